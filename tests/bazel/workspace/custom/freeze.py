# SPDX-License-Identifier: Apache-2.0
"""Print what the converter's Python has."""

from tflm_build.versions import all_versions

if __name__ == "__main__":
    print(all_versions(), end="")
