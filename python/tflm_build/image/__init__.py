# SPDX-License-Identifier: Apache-2.0
"""What verify and size say; they begin at a linked image."""
