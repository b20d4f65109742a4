"""Train reactor.h5: a surrogate of the stirred tank of reactor_physics.py.

Run in this folder with ``KERAS_BACKEND=torch OMP_NUM_THREADS=1 python
make_reactor.py``.
"""

import csv

import keras
import numpy as np
import torch
from reactor_physics import INPUTS, OUTPUTS, count_steady_states, steady_state

TRAINING_ROWS, TEST_ROWS = 8000, 2000
EPOCHS, BATCH = 250, 64
TODAY = (310.0, 100.0, 300.0, 80.0, 1.0, 5.0)
WANTED = (310.0, 80.0, 305.0, 60.0, 1.3, 5.0)
IMPOSSIBLE = (0.95, 300.0, 0.999)


def draw_settings(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Draw settings evenly between the bounds, shape (rows, 6), float32."""
    lower = [bounds[1] for bounds in INPUTS]
    upper = [bounds[2] for bounds in INPUTS]
    return generator.uniform(lower, upper, (rows, 6)).astype(np.float32)


def train(settings: np.ndarray, outputs: np.ndarray) -> keras.Model:
    """Train 6-32-32-3, physical units in and out."""
    normalise = keras.layers.Normalization(name="units_in")
    normalise.adapt(settings)
    mean, deviation = outputs.mean(axis=0), outputs.std(axis=0)
    core = [
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(3),
    ]
    inner = keras.Sequential([keras.Input((6,)), normalise, *core])
    steps = EPOCHS * -(-len(settings) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    inner.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    scaled = (outputs - mean) / deviation
    inner.fit(settings, scaled, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    back = keras.layers.Rescaling(
        scale=deviation.tolist(), offset=mean.tolist(), name="units_out"
    )
    return keras.Sequential([keras.Input((6,)), normalise, *core, back], name="reactor")


def write_tables(model: keras.Model) -> None:
    """Write the bounds and the two target rows, one reachable, one impossible."""
    with open("reactor_bounds.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "lower", "upper", "fixed", "near"])
        for (name, lower, upper), today in zip(INPUTS, TODAY, strict=True):
            table.writerow([name, lower, upper, "", today])
    reachable = model.predict(np.array([WANTED], dtype=np.float32), verbose=0)[0]
    with open("reactor_y.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(OUTPUTS)
        decimals = (3, 1, 3)
        table.writerow(
            [round(float(v), d) for v, d in zip(reachable, decimals, strict=True)]
        )
        table.writerow(IMPOSSIBLE)


def main() -> None:
    """Train and write the surrogate, print its error against the physics."""
    torch.set_num_threads(1)
    keras.utils.set_random_seed(7)
    generator = np.random.default_rng(7)
    settings = draw_settings(generator, TRAINING_ROWS)
    test = draw_settings(generator, TEST_ROWS)
    assert (count_steady_states(np.concatenate([settings, test])) == 1).all()
    model = train(settings, steady_state(settings.astype(np.float64)))
    model.save("reactor.h5", include_optimizer=False)
    write_tables(model)
    truth = steady_state(test.astype(np.float64))
    error = model.predict(test, verbose=0) - truth
    for label, row in (("today", TODAY), ("wanted", WANTED)):
        print(f"{label}: physics says {steady_state(np.array([row]))[0].round(4)}")
    for index, name in enumerate(OUTPUTS):
        values, misses = truth[:, index], error[:, index]
        print(f"{name}: physics from {values.min():.4g} to {values.max():.4g}, ", end="")
        rms = np.sqrt(np.mean(misses**2))
        print(f"rms error {rms:.2e}, largest {np.abs(misses).max():.2e}")


if __name__ == "__main__":
    main()
