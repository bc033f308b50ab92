# SPDX-License-Identifier: Apache-2.0
"""The one table of tasks: what each runs, whom its errors name, what it may use, and what its process has loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = [
    "ALL", "ANSWER", "CHECK_HDF5", "CHECK_SHAPES", "COLLECT_SAMPLES", "COMPARE_LAYERS", "COMPARE_MODELS",
    "COMPARE_SHRUNK", "CONVERT", "FIT_WEIGHTS", "FOLLOW_LAYERS", "QUANTIZE", "RUN_LITERT", "RUN_TFLM", "Task",
]  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What a child does, and what it may use.

    Attributes:
        module: the module that has the function `run(request) -> response`.
        title: whom errors name, such as "TensorFlow".
        seconds: wall-clock limit.
        gigabytes: limit of address space, and of every file that it writes.
        library: what is loaded in the process that it is forked from; empty: it gets a new process, because what it
            imports may start threads or read variables, as TensorFlow and a user's functions do.
        environment: variables that it gets in addition to those of the process that starts it.
    """

    module: str
    title: str
    seconds: int
    gigabytes: int
    library: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


_LITERT: Final = "ai_edge_litert.interpreter"
_TFLM: Final = "tflite_micro.runtime"

# HDF5 loads a library for a filter that a file names, from folders that a variable names: "::" means none.
_NO_PLUGINS: Final = MappingProxyType({"HDF5_PLUGIN_PRELOAD": "::"})

# Nothing of the machine may decide the bytes; the rest keeps TensorFlow from talking and from looking for a GPU.
_TENSORFLOW: Final = MappingProxyType(
    {
        **_NO_PLUGINS,
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONHASHSEED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
)

CHECK_HDF5: Final = Task("tflm_build.tasks.check_hdf5", "HDF5", 60, 8, environment=_NO_PLUGINS)
CHECK_SHAPES: Final = Task("tflm_build.tasks.check_shapes", "LiteRT", 20, 8, _LITERT)
COLLECT_SAMPLES: Final = Task("tflm_build.tasks.collect_samples", "The function", 3600, 32)
CONVERT: Final = Task("tflm_build.tasks.convert_tensorflow", "TensorFlow", 3600, 16, environment=_TENSORFLOW)
QUANTIZE: Final = Task("tflm_build.tasks.quantize_flatbuffer", "ai-edge-quantizer", 3600, 16)
RUN_TFLM: Final = Task("tflm_build.tasks.run_tflm", "TFLM", 600, 4, _TFLM)
RUN_LITERT: Final = Task("tflm_build.tasks.run_litert", "LiteRT", 600, 8, _LITERT)
COMPARE_LAYERS: Final = Task("tflm_build.tasks.compare_layers", "The comparison of layers", 1200, 8, _LITERT)
COMPARE_MODELS: Final = Task("tflm_build.tasks.compare_models", "The comparison of models", 1200, 8, _LITERT)
COMPARE_SHRUNK: Final = Task("tflm_build.tasks.compare_shrunk", "TFLM", 600, 4, _TFLM)
ANSWER: Final = Task("tflm_build.tasks.answer", "TFLM", 600, 4, _TFLM)
FIT_WEIGHTS: Final = Task("tflm_build.tasks.fit_weights", "LiteRT", 1200, 16, _LITERT)
FOLLOW_LAYERS: Final = Task("tflm_build.tasks.follow_layers", "LiteRT", 600, 8, _LITERT)

ALL: Final = (
    CHECK_HDF5, CHECK_SHAPES, COLLECT_SAMPLES, CONVERT, QUANTIZE, RUN_TFLM, RUN_LITERT, COMPARE_LAYERS, COMPARE_MODELS,
    COMPARE_SHRUNK, ANSWER, FIT_WEIGHTS, FOLLOW_LAYERS,
)  # fmt: skip
