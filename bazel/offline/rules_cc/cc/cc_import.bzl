# SPDX-License-Identifier: Apache-2.0
"""cc_import, which Bazel 4 to 8 have built in."""

cc_import = native.cc_import
