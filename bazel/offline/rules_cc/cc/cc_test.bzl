# SPDX-License-Identifier: Apache-2.0
"""cc_test, which Bazel 4 to 8 have built in."""

cc_test = native.cc_test
