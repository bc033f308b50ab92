# SPDX-License-Identifier: Apache-2.0
"""A model that keeps the last four of its inputs, for tests that convert it."""

import tensorflow as tf


class Streaming(tf.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.window = tf.Variable(tf.fill([1, 4, 8], 0.5), trainable=False)
        self.weights = tf.Variable(tf.random.stateless_uniform([40, 6], [1, 2], -1, 1))

    @tf.function(input_signature=[tf.TensorSpec([1, 1, 8], tf.float32, name="frame")])  # type: ignore[untyped-decorator]
    def call(self, frame: tf.Tensor) -> dict[str, tf.Tensor]:
        window = tf.concat([self.window, frame], 1)
        self.window.assign(window[:, 1:])
        scores = tf.nn.relu(tf.reshape(window, [1, 40]) @ self.weights)
        return {"scores": scores, "newest": window[:, 4]}


MODEL = Streaming()


def streaming() -> object:
    return MODEL.call.get_concrete_function()
