# SPDX-License-Identifier: Apache-2.0
"""Pages about models; they begin at the manifest."""
