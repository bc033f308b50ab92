#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
echo "tflm-build: error: coverage: this workspace is offline and has no coverage tools" >&2
exit 1
