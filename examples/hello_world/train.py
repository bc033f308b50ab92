# SPDX-License-Identifier: Apache-2.0
"""Train the model of this example: sin(x) for x from 0 to 2 pi, by a network of 321 parameters.

Writes `hello_world.keras` and `calibration.npz` beside this file. Both are checked in: run it only to train anew.
"""

from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    """Train and save."""
    keras.utils.set_random_seed(3)
    x = np.linspace(0, 2 * np.pi, 2000, dtype=np.float32)[:, np.newaxis]
    y = np.sin(x)

    model = keras.Sequential(
        [
            keras.Input((1,), name="x"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1),
        ],
        name="hello_world",
    )
    epochs, batch = 300, 32
    learning_rate = keras.optimizers.schedules.CosineDecay(0.01, epochs * len(x) // batch)
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse")
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    print(f"mean squared error: {model.evaluate(x, y, verbose=0):.2e}")

    model.save(HERE / "hello_world.keras", include_optimizer=False)
    np.savez(HERE / "calibration.npz", x=x[::8])


if __name__ == "__main__":
    main()
