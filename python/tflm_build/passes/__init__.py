# SPDX-License-Identifier: Apache-2.0
"""What rewrites a model. A pass takes a model and returns one, and what it proved; it knows no options and no files."""
