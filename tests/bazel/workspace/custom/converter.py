# SPDX-License-Identifier: Apache-2.0
"""A converter that is a target of the build."""

from tflm_build.__main__ import main

if __name__ == "__main__":
    main()
