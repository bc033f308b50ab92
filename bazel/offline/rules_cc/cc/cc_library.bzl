# SPDX-License-Identifier: Apache-2.0
"""cc_library, which Bazel 4 to 8 have built in."""

cc_library = native.cc_library
