# SPDX-License-Identifier: Apache-2.0
"""What a page's reader has before: for each page, names in the page's folder, and where in the checkout they come from.

Stand-ins, for what cannot be had without a network, are in the folder of that name, and described in its README.
"""

from pathlib import Path

from support import ROOT
from support.vendor_tflm import GEMMLOWP, HEADERS, LIBRARY, SONAME

__all__ = ["GIVEN"]

FW = ROOT / "examples" / "fw" / "fw"
HELLO_WORLD = ROOT / "examples" / "hello_world"
QEMU = ROOT / "examples" / "cortex_m_qemu"
STANDINS = ROOT / "tests" / "docs" / "standins"


def _from(folder: Path, *names: str, to: str = "") -> dict[str, Path]:
    """Take files of a folder."""
    return {f"{to}{name}": folder / name for name in names}


def _vendor(folder: str, library: str) -> dict[str, Path]:
    """Take the vendor's TFLM: no stand-in."""
    libraries = {f"{folder}/lib/{name}": LIBRARY for name in (library, SONAME)}
    return {f"{folder}/include": HEADERS, **libraries}


EXAMPLE = _from(HELLO_WORLD, "hello_world.keras", "calibration.npz")
SINE = _from(FW, "sine.keras", "calibration.npz", to="fw/")
TOOLS = "tflite-micro/tensorflow/lite/micro/tools"
# Bazel finds this one beside the page's folder.
MICRO = "../tflite_micro/tensorflow/lite/micro"

GIVEN: dict[str, dict[str, Path]] = {
    "README.md": EXAMPLE,
    "getting_started_bazel.md": SINE,
    "guide/arduino.md": {
        **_from(QEMU, "patterns.tflite"),
        **_from(STANDINS / "arduino", "arduino-cli", "pio", to="../bin/"),
    },
    "guide/calibration.md": EXAMPLE,
    "guide/firmware.md": _from(QEMU, "patterns.tflite", "arm-none-eabi.cmake", "startup.c"),
    "guide/from_xxd.md": {
        **EXAMPLE,
        **_from(QEMU, "patterns.tflite", "patterns.npz"),
        **_vendor("tflm", "libtflm.so"),
        "tflm/gemmlowp": GEMMLOWP,
    },
    "guide/int4.md": EXAMPLE,
    "guide/int8_or_int16x8.md": EXAMPLE,
    "guide/looking.md": EXAMPLE,
    "guide/recipes.md": _from(QEMU, "patterns.tflite", "patterns.npz"),
    "guide/pytorch_and_onnx.md": {
        "calibration.npz": QEMU / "patterns.npz",
        **_from(STANDINS / "converters", "litert_torch.py", "network.py", "onnx2tf.py", "patterns.onnx", "torch.py"),
    },
    "guide/testing.md": {
        **_from(QEMU, "patterns.tflite", "patterns.npz", "arm-none-eabi.cmake"),
        "cortex_m_qemu": QEMU,
        **_vendor("vendor-tflm", "libvendor.so"),
    },
    "guide/your_tflm.md": {
        **_from(QEMU, "patterns.tflite", "arm-none-eabi.cmake"),
        f"{TOOLS}/make/Makefile": STANDINS / "tflite_micro/Makefile",
        f"{TOOLS}/project_generation/create_tflm_tree.py": STANDINS / "tflite_micro/create_tflm_tree.py",
        "pico-sdk": STANDINS / "pico_sdk",
        "pico-tflmicro": STANDINS / "pico_tflmicro",
        "esp-idf": STANDINS / "esp_idf",
        "zephyr": STANDINS / "zephyr",
        **_vendor("vendor-tflm", "libvendor.so"),
    },
    "inside.md": EXAMPLE,
    "reference/bazel.md": {
        **SINE,
        **_from(FW, "firmware.c", "sine.c", "sine.h", to="fw/"),
        **_from(QEMU, "patterns.tflite", "patterns.npz", to="fw/"),
        "../tflite_micro/WORKSPACE": STANDINS / "tflite_micro_module/WORKSPACE",
        f"{MICRO}/BUILD.bazel": STANDINS / "tflite_micro_module/tensorflow/lite/micro/BUILD.bazel",
        f"{MICRO}/include": HEADERS,
        f"{MICRO}/gemmlowp": GEMMLOWP,
        f"{MICRO}/{SONAME}": LIBRARY,
        **_from(HEADERS, "signal", "tensorflow", to="vendor/include/"),
        "vendor/include/third_party/flatbuffers/include/flatbuffers": HEADERS / "flatbuffers",
        "vendor/include/third_party/gemmlowp": GEMMLOWP,
        # It has no interpreter: a model is compiled for it, and nothing is linked.
        "vendor/lib/libtensorflow-microlite.a": HEADERS.parent / "lib" / "libhost_xtflitemicro.a",
    },
    "reference/estimates.md": EXAMPLE,
    "reference/manifest.md": EXAMPLE,
}
