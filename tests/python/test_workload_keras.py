# SPDX-License-Identifier: Apache-2.0
"""The work of Keras layers, against the textbook's formulas.

Run as a script, this file writes the models of its tests, as .tflite, into the folder that is the argument.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tflm_build.model.layers import describe_layers
from tflm_build.model.values import Layer
from tflm_build.passes.canonical import canonicalize


@pytest.fixture(scope="module")
def keras_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert Keras models in a process of its own: tests do not import TensorFlow."""
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run([sys.executable, __file__, folder], check=True)
    return folder


def works(path: Path) -> tuple[Layer, ...]:
    return describe_layers(canonicalize(path.read_bytes()).graph)


def test_blocks_as_in_mobilenet(keras_tflite: Path) -> None:
    found = works(keras_tflite / "mobilenet.tflite")
    assert [(work.op, work.macs, work.parameters) for work in found if work.macs] == [
        ("CONV_2D", 16 * 16 * 8 * (3 * 3 * 3), 8 * 3 * 3 * 3 + 8),
        ("DEPTHWISE_CONV_2D", 16 * 16 * 8 * (3 * 3), 3 * 3 * 8 + 8),
        ("CONV_2D", 16 * 16 * 16 * 8, 8 * 16 + 16),
        ("DEPTHWISE_CONV_2D", 8 * 8 * 16 * (3 * 3), 3 * 3 * 16 + 16),
        ("CONV_2D", 8 * 8 * 32 * 16, 16 * 32 + 32),
        ("FULLY_CONNECTED", 32 * 10, 32 * 10 + 10),
    ]
    assert sum(work.macs for work in found) == 55_296 + 18_432 + 32_768 + 9_216 + 32_768 + 320 == 148_800


def test_other_layers_of_keras(keras_tflite: Path) -> None:
    found = works(keras_tflite / "others.tflite")
    assert [(work.op, work.macs) for work in found if work.macs] == [
        ("CONV_2D", 6 * 6 * 8 * (3 * 3 * 2)),  # two groups: two of four channels each
        ("TRANSPOSE_CONV", 6 * 6 * 8 * (3 * 3 * 5)),
        ("FULLY_CONNECTED", 12 * 12 * 5 * 7),  # Dense on the last axis of an image
        ("BATCH_MATMUL", 12 * 12 * 12 * 7),
    ]


def main(folder: Path) -> None:
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    import tensorflow as tf

    layers = tf.keras.layers
    block = [layers.BatchNormalization, lambda: layers.ReLU(6.0)]
    mobilenet = [
        layers.Input((32, 32, 3), 1),
        layers.Conv2D(8, 3, 2, "same", use_bias=False),
        *(new() for new in block),
    ]
    for channels, stride in ((16, 1), (32, 2)):
        mobilenet += [layers.DepthwiseConv2D(3, stride, "same", use_bias=False), *(new() for new in block)]
        mobilenet += [layers.Conv2D(channels, 1, use_bias=False), *(new() for new in block)]
    mobilenet += [layers.GlobalAveragePooling2D(), layers.Dense(10, "softmax", bias_initializer="ones")]

    image = layers.Input((6, 6, 4), 1)
    x = layers.Conv2DTranspose(5, 3, 2, "same")(layers.Conv2D(8, 3, padding="same", groups=2)(image))
    x = layers.Reshape((12, 12 * 7))(layers.Dense(7)(x))
    others = tf.keras.Model(image, layers.Dot(2)([x, x]))

    for name, model in (("mobilenet", tf.keras.Sequential(mobilenet)), ("others", others)):
        (folder / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
