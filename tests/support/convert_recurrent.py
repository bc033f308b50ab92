# SPDX-License-Identifier: Apache-2.0
"""Convert recurrent layers of Keras, in one process of TensorFlow, into the folder that is the argument.

For each model and type: NAME-TYPE.tflite, and NAME-TYPE.npz with what went in, what Keras answered, and the notes.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from tflm_build.tasks.convert_tensorflow import run

SAMPLES: Final = 12
L, K2 = keras.layers, tf_keras.layers


def chain(*layers: Any, shape: tuple[int, ...] = (7, 3), batch: int | None = None, package: Any = keras) -> Any:
    """Put layers in a row."""
    inputs = value = package.Input(shape, batch_size=batch, name="x")
    for layer in layers:
        value = layer(value)
    return package.Model(inputs, value)


def twice() -> Any:
    """Use one layer for two inputs, and give away its output and what comes of it."""
    shared, one, other = L.LSTM(4, return_sequences=True), keras.Input((7, 3), name="a"), keras.Input((7, 3), name="b")
    first = shared(one)
    return keras.Model([one, other], [first, L.Add()([first, shared(other)])])


def in_two_directions(layers: Any, package: Any) -> Any:
    """Run in both directions, then backwards."""
    both = layers.Bidirectional(layers.LSTM(5, return_sequences=True))
    return chain(both, layers.LSTM(4, go_backwards=True), layers.Dense(3), package=package)


def with_state() -> Any:
    """Give away the state of a layer."""
    inputs = keras.Input((7, 3), name="x")
    _, _, cell = L.LSTM(4, return_state=True)(inputs)
    return keras.Model(inputs, cell)


ALL, INT8 = ("none", "int8", "int16x8"), ("int8",)
MODELS: Final[dict[str, tuple[tuple[str, ...], Callable[[], Any]]]] = {
    "sequences": (ALL, lambda: chain(L.LSTM(5, return_sequences=True))),
    "one step": (INT8, lambda: chain(L.LSTM(5, return_sequences=True), shape=(1, 3))),
    "both": (ALL, lambda: in_two_directions(L, keras)),
    "both, Keras 2": (INT8, lambda: in_two_directions(K2, tf_keras)),
    "stateful": (ALL, lambda: chain(L.LSTM(5, stateful=True, return_sequences=True), L.Dense(2), batch=1)),
    "stateful, Keras 2": (INT8, lambda: chain(K2.LSTM(5, stateful=True), batch=1, package=tf_keras)),
    "distributed": (INT8, lambda: chain(L.TimeDistributed(L.LSTM(4)), L.TimeDistributed(L.Dense(2)), shape=(2, 5, 3))),
    "convolution": (INT8, lambda: chain(L.Conv1D(4, 3), L.LSTM(5, use_bias=False, recurrent_dropout=0.5))),
    "batch": (INT8, lambda: chain(L.RNN(L.LSTMCell(5), return_sequences=True), batch=2)),
    "twice": (INT8, twice),
    "gru": (ALL, lambda: chain(L.GRU(5, return_sequences=True), L.GRU(4), L.Dense(2))),
    "gru, reset before": (INT8, lambda: chain(L.GRU(5, reset_after=False))),
    "gru, stateful": (INT8, lambda: chain(L.GRU(5, stateful=True), batch=1)),
    "simple and gru, Keras 2": (
        INT8,
        lambda: chain(K2.SimpleRNN(5, return_sequences=True), K2.GRU(4), package=tf_keras),
    ),
    "lstm of relu": (("int16x8",), lambda: chain(L.LSTM(5, activation="relu"))),
    "lstm and gru": (INT8, lambda: chain(L.LSTM(5, return_sequences=True), L.GRU(4))),
    "state": (("none",), with_state),
}


def main(folder: Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)  # as the task does, before anything is computed
    tf.config.threading.set_inter_op_parallelism_threads(1)
    generator = np.random.default_rng(0)
    for name, (types, make) in MODELS.items():
        keras.utils.set_random_seed(1)
        model = make()
        for layer in model.weights:  # biases that are not 0, so that outputs lie off the middle
            if len(layer.shape) == 1 and "int" not in str(layer.dtype):
                layer.assign(generator.normal(0.2, 0.3, layer.shape))
        arrays = {}
        for tensor in model.inputs:
            batch, *shape = tensor.shape
            sizes = (SAMPLES, *([batch] if (batch or 1) > 1 else []), *shape)
            arrays[tensor.name] = generator.normal(size=sizes).astype(np.float32)
        source = folder / "source.py"
        source.write_text("import __main__\n\ndef model():\n    return __main__.MODEL\n")
        for quantize in types:
            globals()["MODEL"] = model
            request = {
                "kind": "function", "path": f"{source}:model", "quantize": quantize, "io_type": "auto",
                "unsafe_deserialize": False, "spell": True, "fit": False, "CALIBRATION.fields": ["x.npz", "", 0, []],
                "CALIBRATION.names": list(arrays), "CALIBRATION.arrays": list(arrays.values()),
            }  # fmt: skip
            answer = run(request)
            (folder / f"{name}-{quantize}.tflite").write_bytes(answer["flatbuffer"])
            if quantize == "int8":
                (folder / f"{name}-float.tflite").write_bytes(answer["float_flatbuffer"])
            data = {f"input_{place}": array for place, array in enumerate(answer["samples"])}
            data |= {f"output_{place}": array for place, array in enumerate(answer["float_outputs"])}
            np.savez(folder / f"{name}-{quantize}.npz", notes=np.array(answer["notes"], str), **data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
