# SPDX-License-Identifier: Apache-2.0
"""The attributes of `tflm_model`: the options of python/tflm_build/options.py, to which a test holds them."""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel/private:target.bzl", "CORES")

# Options whose values are passed as they are, with the value that stands for "not given"; embed is always given.
OPTIONS = {
    "align": 16,
    "arena": "",
    "dense_scales": "channel",
    "embed": "",
    "io_type": "auto",
    "keep_names": False,
    "kernels": "auto",
    "max_arena": "",
    "max_flash": "",
    "max_float_error": "",
    "max_lsb": -1,
    "max_macs": "",
    "min_sqnr": "",
    "min_top1": "",
    "plan": "auto",
    "quantize": "none",
    "report": False,
    "section": "",
    "shrink": "auto",
    "symbol": "",
    "target": "auto",
    "unsafe_deserialize": False,
    "weight_type": "int8",
}

_FILES = {
    "calibration": attr.label(
        doc = """Calibration data, required to quantize: an .npz with one array per input, an .npy, a filegroup with the
.npy files or images of one folder, or a Python file with `calibration_function`.""",
        allow_files = True,
    ),
    "calibration_function": attr.string(
        doc = "The function in `calibration` that yields samples.",
    ),
    "calibration_random": attr.int(
        doc = "Number of random samples to calibrate with, in place of `calibration`: for trials alone.",
    ),
    "data": attr.label_list(
        doc = "Files that the Python files above import or read.",
        allow_files = True,
    ),
    "src": attr.label(
        doc = """The trained model: .keras, .h5, .hdf5, .tflite, a SavedModel as a folder or as a filegroup with its
files, or a Python file with `src_function`; it may be the output of another rule.""",
        allow_files = True,
        mandatory = True,
    ),
    "src_function": attr.string(
        doc = "The function in `src` that returns the model.",
    ),
    "test_data": attr.label(
        doc = """Data that golden inputs are taken from and accuracy is measured on, like `calibration`; an array
'labels' has the class of each sample; default: the calibration data.""",
        allow_files = True,
    ),
    "test_data_function": attr.string(
        doc = "The function in `test_data` that yields samples.",
    ),
}

_VALUES = {
    "align": attr.int(
        doc = "Alignment of the data in bytes, a power of two from 16 to 4096; default: 16.",
        default = 16,
    ),
    "arena": attr.string(
        doc = """Bytes of arena that tflm_arena_used() reported on a device, with K or M for 1024s: emitted in place of
what is worked out.""",
    ),
    "dense_scales": attr.string(
        doc = """Scales of the weights of dense layers where a model is quantized: one for each output channel, or, for
a TFLM from before September 2024, one for the whole tensor; one of channel (default), tensor.""",
        default = "channel",
        values = ["channel", "tensor"],
    ),
    "embed": attr.string(
        doc = """How the data gets into the program: as a C array, or by the assembler's .incbin, which compiles in no
time; auto is incbin where the C++ toolchain assembles; one of auto (default), array, incbin.""",
        default = "auto",
        values = ["auto", "array", "incbin"],
    ),
    "io_type": attr.string(
        doc = """Element type of inputs and outputs of a quantized model: auto is its integer type; one of auto
(default), float32.""",
        default = "auto",
        values = ["auto", "float32"],
    ),
    "keep_names": attr.bool(
        doc = "Keep the names of tensors in the model, for debugging.",
    ),
    "kernels": attr.string(
        doc = """Kernels of the TFLM on the `target`; auto: those that ask for most memory; one of auto (default),
reference, cmsis-nn, esp-nn.""",
        default = "auto",
        values = [
            "auto",
            "reference",
            "cmsis-nn",
            "esp-nn",
        ],
    ),
    "max_arena": attr.string(
        doc = "Budget of the arena, in bytes, with K or M for 1024s.",
    ),
    "max_flash": attr.string(
        doc = "Budget of flash for the model's data, in bytes, with K or M for 1024s.",
    ),
    "max_float_error": attr.string(
        doc = "Largest difference from the float model, in real numbers; default: not limited.",
    ),
    "max_lsb": attr.int(
        doc = """Largest difference of the outputs from LiteRT's, in steps, which each layer is allowed too on equal
inputs; -1, the default: outputs are not limited, layers equal but for known differences of rounding.""",
        default = -1,
    ),
    "max_macs": attr.string(
        doc = "Budget of multiply-accumulates of one run, with K or M for 1000s.",
    ),
    "min_sqnr": attr.string(
        doc = """Smallest signal-to-quantization-noise ratio of the outputs in dB, before a final SOFTMAX, against the
float model; with a source of int8 and weights of 4 bits against that source; default: not limited.""",
    ),
    "min_top1": attr.string(
        doc = """Smallest share, 0 to 1, of samples whose largest output is that of the label, or of the float model
where the test data has no labels; default: not limited.""",
    ),
    "plan": attr.string(
        doc = "Plan the arena offline where TFLM's own planner wastes some; one of auto (default), off.",
        default = "auto",
        values = ["auto", "off"],
    ),
    "quantize": attr.string(
        doc = "Quantization scheme; none leaves the model unchanged; one of none (default), int8, int16x8.",
        default = "none",
        values = ["none", "int8", "int16x8"],
    ),
    "report": attr.bool(
        doc = "Write the report on the model as well, NAME.html, which is the output group report.",
    ),
    "section": attr.string(
        doc = "Linker section of the data; default: that of constants.",
    ),
    "shrink": attr.string(
        doc = """Drop from an integer model what no input can show, such as channels that never change; every answer
stays the same, which is proven on TFLM; one of auto (default), off.""",
        default = "auto",
        values = ["auto", "off"],
    ),
    "symbol": attr.string(
        doc = """C identifier that the emitted symbols begin with, where models of a program have one name; default: the
name.""",
    ),
    "target": attr.string(
        doc = """Processor that the arena's size is computed for; auto: what the platform or the C++ toolchain says;
host: it is measured here, with reference kernels; any32: the most that a chip of 32 bits needs; one of auto (default),
host, cortex-m0, cortex-m0plus, cortex-m1, cortex-m3, cortex-m4, cortex-m7, cortex-m23, cortex-m33, cortex-m35p,
cortex-m52, cortex-m55, cortex-m85, esp32, esp32s3, esp32p4, riscv32, any32.""",
        default = "auto",
        values = ["auto", "host"] + CORES + ["any32"],
    ),
    "unsafe_deserialize": attr.bool(
        doc = "Let Keras run code that lies in the source, as Lambda layers do.",
    ),
    "weight_type": attr.string(
        doc = """Element type of the weights of convolutions and dense layers in an int8 model: int4 halves their flash,
and changes the answers; auto searches which layers take it, for a budget of flash or a floor of accuracy; one of int8
(default), int4, auto.""",
        default = "int8",
        values = ["int8", "int4", "auto"],
    ),
}

# What the library takes as a cc_library does.
LIBRARY_ATTRIBUTES = {
    "alwayslink": attr.bool(
        doc = "Link the model into every program that depends on it, also where nothing refers to it.",
    ),
    "copts": attr.string_list(
        doc = "Options of the C and C++ compiler, for this library alone.",
    ),
    "deps": attr.label_list(
        doc = "Further libraries that this one brings.",
        providers = [CcInfo],
    ),
    "include_prefix": attr.string(
        doc = "What stands before the header's name in place of the package's path: with `audio`, the header is `audio/<name>.h`.",
    ),
}

# Of the processors that every Bazel knows.
_OF_64_BITS = ["aarch64", "mips64", "riscv64", "s390x", "x86_64"]

_PRIVATE = {
    "_cc_toolchain": attr.label(default = "@rules_cc//cc:current_cc_toolchain"),
    "_cores": attr.label_list(default = ["//bazel/target:" + core for core in CORES]),
    "_model_h": attr.label(
        default = "//bazel/runtime:model_h",
        providers = [CcInfo],
    ),
    "_one_model": attr.label(
        default = "//:one_model",
        allow_single_file = True,
    ),
    "_probe": attr.label(default = "//bazel:probe"),
    "_runtime": attr.label(
        default = "//bazel/runtime",
        providers = [CcInfo],
    ),
    "_tflm": attr.label(default = "//bazel:tflm"),
    "_wide": attr.label_list(default = ["@platforms//cpu:" + cpu for cpu in _OF_64_BITS]),
}

# What a conversion depends on.
CONVERSION_ATTRIBUTES = dict(_FILES, **_VALUES)

ATTRIBUTES = dict(dict(CONVERSION_ATTRIBUTES, **LIBRARY_ATTRIBUTES), **_PRIVATE)
