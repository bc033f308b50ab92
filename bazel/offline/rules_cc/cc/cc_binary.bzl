# SPDX-License-Identifier: Apache-2.0
"""cc_binary, which Bazel 4 to 8 have built in."""

cc_binary = native.cc_binary
