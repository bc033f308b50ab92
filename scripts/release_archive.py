#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the archive of a release from what is committed, and print what pins it: for http_archive and the registry."""

import argparse
import base64
import gzip
import hashlib
import subprocess
from pathlib import Path

import tflm_build

_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the archive into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the archive goes")
    parser.add_argument("--commit", default="HEAD", help="what is released; default: HEAD")
    arguments = parser.parse_args()
    name = f"tflm-build-{tflm_build.__version__}"
    command = ["git", "archive", "--format=tar", f"--prefix={name}/", arguments.commit]
    tar = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True).stdout
    content = gzip.compress(tar, mtime=0)
    path = arguments.folder / f"{name}.tar.gz"
    path.write_bytes(content)
    digest = hashlib.sha256(content)
    print(path)  # noqa: T201
    print(f"sha256 {digest.hexdigest()}")  # noqa: T201
    print(f"integrity sha256-{base64.b64encode(digest.digest()).decode()}")  # noqa: T201


if __name__ == "__main__":
    main()
