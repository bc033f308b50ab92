# SPDX-License-Identifier: Apache-2.0
"""The stages of a build: one function on values each; none writes a file."""
