# SPDX-License-Identifier: Apache-2.0
"""The rule that Bazel 4 has built in."""

# buildifier: disable=native-py
py_binary = native.py_binary
