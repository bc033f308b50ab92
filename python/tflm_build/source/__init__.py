# SPDX-License-Identifier: Apache-2.0
"""Models, archives and data as their users wrote them, read and judged. No other room judges a user's file."""
