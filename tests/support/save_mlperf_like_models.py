# SPDX-License-Identifier: Apache-2.0
"""Save models like those of MLPerf Tiny, with random weights and quantized to int8, into the second argument's folder.

Dense layers get one scale for all their weights, which every TFLM understands. The first argument is the folder of the
example, whose model is saved so as well.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def convolution(x: Any, filters: int, size: int | tuple[int, int], strides: int | tuple[int, int] = 1) -> Any:
    """Convolve, normalize and rectify."""
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def keyword_spotting() -> Any:
    """Separable convolutions over a spectrogram, as in DS-CNN."""
    spectrogram = keras.Input((49, 10, 1), batch_size=1)
    x = convolution(spectrogram, 16, (10, 4), strides=2)
    for _ in range(2):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = convolution(x, 16, 1)
    x = layers.AveragePooling2D((25, 5))(x)
    return keras.Model(spectrogram, layers.Dense(12, activation="softmax")(layers.Flatten()(x)))


def image_classification() -> Any:
    """Residual blocks, as in ResNet."""
    image = keras.Input((16, 16, 3), batch_size=1)
    x = convolution(image, 8, 3)
    for filters, strides in ((8, 1), (16, 2)):
        y = convolution(x, filters, 3, strides)
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        x = x if strides == 1 else layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.AveragePooling2D(8)(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def anomaly_detection() -> Any:
    """Dense layers through a bottleneck, as in an autoencoder."""
    features = keras.Input((128,), batch_size=1)
    x = features
    for units in (32, 32, 8, 32, 32):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(features, layers.Dense(128)(x))


def quantize(model: Any, samples: np.ndarray[Any, Any]) -> bytes:
    """Quantize to int8 from samples."""

    def representative() -> Iterator[list[np.ndarray[Any, Any]]]:
        for index in range(len(samples)):
            yield [samples[index : index + 1]]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return bytes(converter.convert())


def main(example: Path, folder: Path) -> None:
    """Save the models."""
    keras.utils.set_random_seed(3)
    calibration = np.load(example / "calibration.npz")["x"]
    hello_world = quantize(keras.models.load_model(example / "hello_world.keras"), calibration)
    (folder / "hello_world.tflite").write_bytes(hello_world)
    generator = np.random.default_rng(3)
    for make in (keyword_spotting, image_classification, anomaly_detection):
        model = make()
        samples = generator.normal(size=(40, *model.input_shape[1:])).astype(np.float32)
        (folder / f"{make.__name__}.tflite").write_bytes(quantize(model, samples))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
