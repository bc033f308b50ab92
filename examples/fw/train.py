# SPDX-License-Identifier: Apache-2.0
"""Train the model of this example: sin(x) for x from 0 to 2 pi.

Writes `fw/sine.keras` and `fw/calibration.npz`, in place of those that are checked in.
"""

from pathlib import Path

import keras
import numpy as np

FOLDER = Path(__file__).parent / "fw"

keras.utils.set_random_seed(3)
x = np.linspace(0, 2 * np.pi, 2000, dtype=np.float32)[:, np.newaxis]
layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((1,), name="x"), *layers])
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 18750)), loss="mse")
model.fit(x, np.sin(x), epochs=300, verbose=0)

model.save(FOLDER / "sine.keras", include_optimizer=False)
np.savez(FOLDER / "calibration.npz", x=x[::8])
