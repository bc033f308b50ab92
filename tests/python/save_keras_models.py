# SPDX-License-Identifier: Apache-2.0
"""Save the Keras models that tests convert, with fixed random weights, into the folder that is the argument."""

import os
import sys
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
from keras import layers


def main(folder: Path) -> None:
    keras.utils.set_random_seed(7)

    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(4, activation="softmax")(x)
    keras.Model(image, x, name="cnn").save(folder / "cnn.keras")

    # Two inputs and outputs, named so that the alphabet and the model's order differ, and of different sizes.
    second, first = keras.Input((3,), name="zulu"), keras.Input((5,), name="alpha")
    joined = layers.Concatenate()([layers.Dense(4)(second), layers.Dense(4)(first)])
    keras.Model([second, first], [layers.Dense(2)(joined), layers.Dense(6)(joined)]).save(folder / "two.keras")

    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Dense(3, activation="gelu")(inputs)).save(folder / "gelu.keras")

    free = keras.Input((None, 4))
    keras.Model(free, layers.Dense(3)(free)).save(folder / "free_size.keras")

    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Lambda(lambda value: value * 2)(inputs)).save(folder / "lambda.keras")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
