# SPDX-License-Identifier: Apache-2.0
"""`./dev bench [FOLDER]`: measure speed, and carry the published models of a folder to a passing golden test.

`./dev bench embed`: measure compilers on a model's data alone.
`./dev bench overhead`: count what the runtime adds to TFLM's instructions.
`./dev bench bazel`: measure twenty models through Bazel and CMake.
`./dev bench fuzz N`: put N damaged files and N changed models to the compiler.
`./dev bench int4 FOLDER`: draw flash against SQNR for weights of 4 bits of MLPerf Tiny's wake-word model.
`./dev bench shrink N`: shrink N random models, and compare each with what it was on TFLM.
"""

import sys
from pathlib import Path

from benchmarks import bazel, embed, fuzz, int4, models, overhead, shrink, speed

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> int:
    """Run what the arguments say; the exit status says whether every model that has to pass did."""
    match sys.argv[1:]:
        case ["bazel"]:
            bazel.main()
            return 0
        case ["fuzz", count] if count.isdecimal():
            fuzz.main(int(count))
            return 0
        case ["shrink", count] if count.isdecimal():
            shrink.main(int(count))
            return 0
        case ["int4", path] if Path(path).is_dir():
            int4.main(Path(path))
            return 0
        case ["embed"]:
            embed.main()
            return 0
        case ["overhead"]:
            overhead.main()
            return 0
        case []:
            folder = EXAMPLES
        case [path] if Path(path).is_dir():
            folder = Path(path)
        case _:
            usage = (
                "usage: ./dev bench [FOLDER WITH MODELS] | bazel | embed | overhead | fuzz N | int4 FOLDER | shrink N"
            )
            print(usage, file=sys.stderr)
            return 2
    speed.main()
    embed.main()
    overhead.main()
    return models.main(folder)


if __name__ == "__main__":
    sys.exit(main())
