"""Write features.h5: two layers that can be inverted, then layers that are not read.

Run in this folder with ``KERAS_BACKEND=torch OMP_NUM_THREADS=1 python make_features.py``.
"""

import keras
import numpy as np

SIZE = 12
ROWS = 5
# Compiled under a name of its own: the code is stored with the name of its source file.
TENFOLD = eval(compile("lambda value: 10.0 * value", "lambda", "eval"))


def build() -> keras.Sequential:
    """Return the untrained network."""
    start = keras.initializers.RandomNormal(stddev=0.1, seed=9)
    square = {"units": SIZE, "activation": "tanh", "bias_initializer": start}
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE,), name="signal"),
            layers.Dense(**square, name="mix"),
            layers.Dense(**square, name="bend"),
            layers.Lambda(TENFOLD, output_shape=(SIZE,), name="tenfold"),
            layers.Reshape((SIZE, 1), name="series"),
            layers.LSTM(4, name="memory"),
            layers.Dense(1, name="score"),
        ],
        name="features",
    )


def main() -> None:
    """Write the network, inputs, and what leaves the layer `bend`."""
    keras.utils.set_random_seed(8)
    model = build()
    model.save("features.h5", include_optimizer=False)
    x = np.random.default_rng(9).uniform(-1.0, 1.0, (ROWS, SIZE)).astype(np.float32)
    features = keras.Model(model.inputs, model.get_layer("bend").output)
    np.save("features_x.npy", x)
    np.save("features_h.npy", features.predict(x, verbose=0))
    for layer in model.layers[:2]:
        kernel = layer.get_weights()[0].astype(np.float64)
        print(f"{layer.name} condition number {np.linalg.cond(kernel):.6g}")
    print(f"largest |h| {np.abs(np.load('features_h.npy')).max():.3f}")


if __name__ == "__main__":
    main()
