# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the script of tflite-micro: its layout, a vendor's headers under upstream's names, and one source.

So what a model needs of the tree compiles, but does not link.
"""

import argparse
import shutil
from pathlib import Path

HEADERS = Path(__file__).resolve().parents[4] / ".venv/tflm/xmos_ai_tools/runtime/include"

parser = argparse.ArgumentParser()
parser.add_argument("--makefile_options", required=True)
parser.add_argument("output_dir", type=Path)
tree: Path = parser.parse_args().output_dir
for part in ("tensorflow", "signal"):
    shutil.copytree(HEADERS / part, tree / part)
shutil.copytree(HEADERS / "flatbuffers", tree / "third_party" / "flatbuffers" / "include" / "flatbuffers")
shutil.copytree("/usr/include/gemmlowp", tree / "third_party" / "gemmlowp")
for header in tree.rglob("*.h"):
    # This fork compiles without the switch alone, which upstream has done away with.
    text = header.read_bytes().replace(b"TF_LITE_STATIC_MEMORY", b"A_SWITCH_THAT_IS_NO_MORE")
    header.write_bytes(text.replace(b"tflite_micro", b"tflite"))
source = tree / "tensorflow" / "lite" / "micro" / "micro_interpreter.cc"
source.write_text('#include "tensorflow/lite/micro/micro_interpreter.h"\n')
