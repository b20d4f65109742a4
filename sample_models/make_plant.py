"""Write plant.keras: three named inputs, two named outputs, by Keras 3.

Run in this folder with ``KERAS_BACKEND=torch OMP_NUM_THREADS=1 python make_plant.py``.
"""

import keras
import numpy as np

ROWS = 5
INPUTS = {"profile": (2, 3), "flow": (3,), "feed_T": (1,)}


def build() -> keras.Model:
    """An untrained network from a dict of inputs to a dict of outputs."""
    given = {name: keras.Input(shape, name=name) for name, shape in INPUTS.items()}
    flat = keras.layers.Flatten()(given["profile"])
    joined = keras.layers.Concatenate()([flat, given["flow"], given["feed_T"]])
    start = keras.initializers.RandomNormal(0.0, 0.3)
    hidden = keras.layers.Dense(
        12, activation="tanh", kernel_initializer="orthogonal", bias_initializer=start
    )(joined)
    levels = keras.layers.Dense(4)(hidden)
    purity = keras.layers.Dense(2, activation="sigmoid")(hidden)
    return keras.Model(given, {"levels": levels, "purity": purity}, name="plant")


def main() -> None:
    """Write the network, inputs and what it says to them, each by its names."""
    keras.utils.set_random_seed(11)
    model = build()
    model.save("plant.keras")
    generator = np.random.default_rng(11)
    x = {
        name: generator.uniform(0.0, 1.0, (ROWS, *shape)).astype(np.float32)
        for name, shape in INPUTS.items()
    }
    np.savez("plant_x.npz", **x)
    np.savez("plant_y.npz", **model.predict(x, verbose=0))


if __name__ == "__main__":
    main()
