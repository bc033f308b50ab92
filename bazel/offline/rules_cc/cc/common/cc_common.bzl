# SPDX-License-Identifier: Apache-2.0
"""cc_common, which Bazel 4 to 8 have built in."""

load("//cc/private:native.bzl", "native_cc_common")

cc_common = native_cc_common
