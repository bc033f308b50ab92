# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm_build` is `tflm-build`."""

from tflm_build.cli import main

if __name__ == "__main__":
    main()
