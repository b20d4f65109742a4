"""Write pruned.h5: a square tanh network with one unit that nothing reads.

Run in this folder with ``KERAS_BACKEND=torch python make_pruned.py``.
"""

import keras
import numpy as np

SIZE = 20
UNREAD = 7
ROWS = 10


def main() -> None:
    """Write an untrained network and prune unit 7 of its first layer."""
    keras.utils.set_random_seed(4)
    start = keras.initializers.RandomNormal(stddev=0.1, seed=4)
    layers = [
        keras.layers.Dense(SIZE, activation="tanh", bias_initializer=start)
        for _ in range(3)
    ]
    model = keras.Sequential([keras.Input((SIZE,)), *layers], name="pruned")
    reader = model.layers[1]
    kernel, bias = reader.get_weights()
    kernel[UNREAD] = 0.0
    reader.set_weights([kernel, bias])
    model.save("pruned.h5", include_optimizer=False)
    x = np.random.default_rng(20).uniform(-1.0, 1.0, (ROWS, SIZE)).astype(np.float32)
    np.save("pruned_x.npy", x)
    np.save("pruned_y.npy", model.predict(x, verbose=0))
    for layer in model.layers:
        values = np.linalg.svd(layer.get_weights()[0].astype(float), compute_uv=False)
        print(f"{layer.name} singular values {values[-1]:.3g} .. {values[0]:.3g}")


if __name__ == "__main__":
    main()
