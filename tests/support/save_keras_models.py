# SPDX-License-Identifier: Apache-2.0
"""Save the Keras models that tests convert, with fixed random weights, into the folder that is the argument."""

import json
import os
import sys
import warnings
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import h5py
import keras
import tensorflow as tf
import tf_keras
from keras import layers, ops


def save_lacking(folder: Path) -> None:
    """Save layers that become ops that TFLM lacks, and, in int16x8, the quantizer."""
    inputs = keras.Input((6,), dtype="int32", name="words")
    x = layers.UpSampling1D(2)(layers.Embedding(20, 4)(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(folder / "embedding.keras")
    inputs = keras.Input((6, 4), name="x")
    keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(inputs))).save(folder / "normalized.keras")


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

    inputs = keras.Input((6, 4), name="sequence")
    keras.Model(inputs, layers.Dense(2)(layers.LSTM(8)(inputs))).save(folder / "lstm.keras")
    keras.Model(inputs, layers.Dense(2)(layers.GRU(8)(inputs))).save(folder / "gru.keras")

    inputs = keras.Input(batch_shape=(1, 3, 4), name="sequence")
    keras.Model(inputs, layers.Dense(2)(layers.LSTM(5, stateful=True)(inputs))).save(folder / "stateful.keras")

    save_lacking(folder)

    # One model, in every format that holds a trained model; a classifier, so that there is a largest output.
    inputs = keras.Input((8,), name="features")
    x = layers.Dense(16, activation="relu")(inputs)
    classifier = keras.Model(inputs, layers.Dense(5, activation="softmax")(x), name="classifier")
    classifier.save(folder / "classifier.keras")
    classifier.save(folder / "classifier.h5")
    classifier.export(folder / "classifier", verbose=False)
    tf.saved_model.save(classifier, folder / "classifier_by_tf")
    (folder / "classifier.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(classifier).convert())
    half = tf.lite.TFLiteConverter.from_keras_model(classifier)
    half.optimizations, half.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    (folder / "float16.tflite").write_bytes(half.convert())

    inputs = keras.Input((4,), name="x")
    keras.Model(inputs, layers.Dense(2)(ops.log(inputs))).save(folder / "log.keras")
    inputs = keras.Input(batch_shape=(4, 3), name="x")
    keras.Model(inputs, layers.Dense(2)(inputs)).save(folder / "batch_4.keras")

    # Code in a file of Keras 2, whose configuration is written without the spaces that Keras writes.
    inputs = tf_keras.Input((4,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf_keras.Model(inputs, tf_keras.layers.Lambda(lambda value: value * 2)(inputs)).save(folder / "lambda.h5")
    with h5py.File(folder / "lambda.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps(json.loads(file.attrs["model_config"]), separators=(",", ":"))

    # Keras 3 cannot load this one: Keras 2 wrote an argument that it does not know.
    image = tf_keras.Input((6, 6, 2))
    x = tf_keras.layers.Flatten()(tf_keras.layers.DepthwiseConv2D(3)(image))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf_keras.Model(image, tf_keras.layers.Dense(3)(x)).save(folder / "keras2.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
