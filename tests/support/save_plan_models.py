# SPDX-License-Identifier: Apache-2.0
"""Save Keras models whose memory TFLM plans with gaps, with fixed random weights, into the folder of the argument."""

import os
import sys
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np
from keras import layers


def main(folder: Path) -> None:
    keras.utils.set_random_seed(7)

    mobilenet = keras.applications.MobileNet(alpha=0.25, input_shape=(96, 96, 3), weights=None, classes=10)
    # As made, every layer's numbers are smaller than the last one's, until TFLM refuses their scales: normalize once.
    for layer in mobilenet.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    mobilenet(np.random.RandomState(0).uniform(-1, 1, (8, 96, 96, 3)), training=True)
    mobilenet.save(folder / "mobilenet.keras")

    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    left = layers.Conv2D(12, 1, strides=2, activation="relu")(x)
    right = layers.Conv2D(4, 1, activation="relu")(x)
    right = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu")(right)
    y = layers.Conv2D(24, 1, activation="relu")(layers.Add()([left, right]))
    z = layers.Conv2D(8, 3, padding="same")(layers.Concatenate()([y, layers.MaxPooling2D()(x)]))
    keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(z))).save(folder / "branching.keras")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
