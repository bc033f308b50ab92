# SPDX-License-Identifier: Apache-2.0
"""The persistent worker of Bazel; it knows no models."""
