# SPDX-License-Identifier: Apache-2.0
"""Bazel's own C++ names, under others: a file cannot give a built-in name to itself."""

native_cc_common = cc_common  # buildifier: disable=native-cc-common
native_cc_info = CcInfo  # buildifier: disable=native-cc-info
