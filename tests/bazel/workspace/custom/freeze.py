# SPDX-License-Identifier: Apache-2.0
"""Print what the converter's Python has."""

from tflm_build.versions import freeze

if __name__ == "__main__":
    print(freeze(), end="")
