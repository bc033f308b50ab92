# SPDX-License-Identifier: Apache-2.0
"""Train the second model of this example: a small CNN that tells level stripes, upright stripes and checks apart.

Writes `patterns.tflite`, which TensorFlow's own converter quantizes, and `patterns.npz`, labelled test data, beside
this file. Both are checked in: run it only to train anew.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
SIZE = 12
CLASSES = 3

Array = np.ndarray[Any, Any]


def draw(count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Return noisy images (count, SIZE, SIZE, 1) in float32 from 0 to 1, and the class of each."""
    labels = np.arange(count) % CLASSES
    rows, columns = np.indices((SIZE, SIZE))
    images = np.empty((count, SIZE, SIZE, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        width = generator.integers(1, 4)
        level, upright = (rows + generator.integers(6)) // width % 2, (columns + generator.integers(6)) // width % 2
        pattern = (level, upright, level ^ upright)[label]
        image[..., 0] = 0.2 + 0.6 * pattern + generator.normal(0, 0.1, pattern.shape)
    return np.round(np.clip(images, 0, 1) * 255).astype(np.float32) / 255, labels


def main() -> None:
    """Train, quantize and save."""
    keras.utils.set_random_seed(5)
    generator = np.random.default_rng(5)
    images, labels = draw(3000, generator)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1), batch_size=1, name="image"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.DepthwiseConv2D(3, activation="relu"),
            keras.layers.Conv2D(12, 1, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ],
        name="patterns",
    )
    learning = keras.Sequential([keras.Input((SIZE, SIZE, 1)), *model.layers])
    learning.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    learning.fit(images, labels, batch_size=32, epochs=12, verbose=0)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images[:100])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # TFLM of before September 2024 knows one scale for all outputs of a dense layer.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - it has no other
    (HERE / "patterns.tflite").write_bytes(converter.convert())

    images, labels = draw(48, generator)
    print(f"accuracy: {learning.evaluate(images, labels, verbose=0)[1]:.2f}")
    np.savez_compressed(HERE / "patterns.npz", image=images, labels=labels)


if __name__ == "__main__":
    main()
