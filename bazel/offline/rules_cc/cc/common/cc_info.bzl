# SPDX-License-Identifier: Apache-2.0
"""CcInfo, which Bazel 4 to 8 have built in."""

load("//cc/private:native.bzl", "native_cc_info")

CcInfo = native_cc_info
