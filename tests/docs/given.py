# SPDX-License-Identifier: Apache-2.0
"""What a page's reader has before: for each page, names in the page's folder, and where in the checkout they come from.

Stand-ins, for what cannot be had without a network, are in the folder of that name, and described in its README.
"""

from collections.abc import Iterator
from pathlib import Path

from blocks import ROOT

__all__ = ["RENAMED", "give"]

FW = "examples/fw/fw"
QEMU = "examples/cortex_m_qemu"
STANDINS = "tests/docs/standins"
# No stand-in: the TFLM that tests link is a vendor's, which renames the namespace; see CONTRIBUTING.md.
VENDOR = ".venv/tflm/xmos_ai_tools"
HEADERS = f"{VENDOR}/runtime/include"
LIBRARY = f"{VENDOR}/xinterpreters/libs/linux/xtflm_python.so"
# As the library calls itself.
SONAME = "xtflm_python.so.1.0.1"
RENAMED = "-Dtflite=tflite_micro"
GEMMLOWP = "/usr/include/gemmlowp"


def _from(folder: str, *names: str, to: str = "") -> dict[str, str]:
    """Take files of a folder."""
    return {f"{to}{name}": f"{folder}/{name}" for name in names}


EXAMPLE = _from("examples/hello_world", "hello_world.keras", "calibration.npz")
SINE = _from(FW, "sine.keras", "calibration.npz", to="fw/")
VENDORS = {
    "vendor-tflm/include": HEADERS,
    "vendor-tflm/lib/libvendor.so": LIBRARY,
    f"vendor-tflm/lib/{SONAME}": LIBRARY,
}
TOOLS = "tflite-micro/tensorflow/lite/micro/tools"
# Bazel finds this one beside the page's folder.
MICRO = "../tflite_micro/tensorflow/lite/micro"

GIVEN: dict[str, dict[str, str]] = {
    "README.md": {"dev": "dev", **EXAMPLE},
    "getting_started_bazel.md": SINE,
    "guide/calibration.md": EXAMPLE,
    "guide/firmware.md": _from(QEMU, "patterns.tflite", "arm-none-eabi.cmake", "startup.c"),
    "guide/from_xxd.md": {
        **EXAMPLE,
        **_from(QEMU, "patterns.tflite", "patterns.npz"),
        "tflm/include": HEADERS,
        "tflm/gemmlowp": GEMMLOWP,
        "tflm/lib/libtflm.so": LIBRARY,
        f"tflm/lib/{SONAME}": LIBRARY,
    },
    "guide/int8_or_int16x8.md": EXAMPLE,
    "guide/looking.md": EXAMPLE,
    "guide/testing.md": {
        **_from(QEMU, "patterns.tflite", "patterns.npz", "arm-none-eabi.cmake"),
        "cortex_m_qemu": QEMU,
        **VENDORS,
    },
    "guide/your_tflm.md": {
        **_from(QEMU, "patterns.tflite", "arm-none-eabi.cmake"),
        f"{TOOLS}/make/Makefile": f"{STANDINS}/tflite_micro/Makefile",
        f"{TOOLS}/project_generation/create_tflm_tree.py": f"{STANDINS}/tflite_micro/create_tflm_tree.py",
        "pico-sdk": f"{STANDINS}/pico_sdk",
        "pico-tflmicro": f"{STANDINS}/pico_tflmicro",
        "esp-idf": f"{STANDINS}/esp_idf",
        "zephyr": f"{STANDINS}/zephyr",
        **VENDORS,
    },
    "inside.md": EXAMPLE,
    "reference/bazel.md": {
        **SINE,
        **_from(FW, "firmware.c", "sine.c", "sine.h", to="fw/"),
        **_from(QEMU, "patterns.tflite", "patterns.npz", to="fw/"),
        "../tflite_micro/WORKSPACE": f"{STANDINS}/tflite_micro_module/WORKSPACE",
        f"{MICRO}/BUILD.bazel": f"{STANDINS}/tflite_micro_module/tensorflow/lite/micro/BUILD.bazel",
        f"{MICRO}/include": HEADERS,
        f"{MICRO}/gemmlowp": GEMMLOWP,
        f"{MICRO}/{SONAME}": LIBRARY,
        **_from(HEADERS, "signal", "tensorflow", to="vendor/include/"),
        "vendor/include/third_party/flatbuffers/include/flatbuffers": f"{HEADERS}/flatbuffers",
        "vendor/include/third_party/gemmlowp": GEMMLOWP,
        # It has no interpreter: a model is compiled for it, and nothing is linked.
        "vendor/lib/libtensorflow-microlite.a": f"{VENDOR}/runtime/lib/libhost_xtflitemicro.a",
    },
    "reference/estimates.md": EXAMPLE,
    "reference/manifest.md": EXAMPLE,
}


def give(page: str) -> Iterator[tuple[str, Path]]:
    """Give names in a page's folder, and what they stand for."""
    for name, source in GIVEN.get(page, {}).items():
        yield name, ROOT / source
