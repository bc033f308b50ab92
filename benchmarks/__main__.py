# SPDX-License-Identifier: Apache-2.0
"""`./dev bench [FOLDER]`: measure start-up, and carry the published models of a folder to a passing golden test."""

import sys
from pathlib import Path

from benchmarks import models, startup


def main() -> int:
    """Run all benchmarks; the exit status says whether every model that has to pass did."""
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and not Path(sys.argv[1]).is_dir()):  # noqa: PLR2004
        print("usage: ./dev bench [FOLDER WITH MODELS]", file=sys.stderr)
        return 2
    startup.main()
    default = Path(__file__).parents[1] / "examples"
    return models.main(Path(sys.argv[1]) if len(sys.argv) == 2 else default)  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(main())
