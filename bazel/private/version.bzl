# SPDX-License-Identifier: Apache-2.0
"""The version of these rules, which is that of the Python package."""

VERSION = "0.1.0"
