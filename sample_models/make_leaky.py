"""Write leaky.h5: a square network with LeakyReLU layers, by tf.keras 2.

Run in this folder with ``python make_leaky.py`` where TensorFlow 2.15 is installed.
"""

import numpy as np
import tensorflow as tf

SIZE = 16
ROWS = 20
SLOPE = 0.2


def main() -> None:
    """Write an untrained network with random kernels and biases."""
    tf.keras.utils.set_random_seed(3)
    layers = [tf.keras.layers.InputLayer(input_shape=(SIZE,))]
    for index in range(2):
        layers.append(
            tf.keras.layers.Dense(
                SIZE,
                bias_initializer=tf.keras.initializers.RandomNormal(0, 0.3, seed=index),
            )
        )
        layers.append(tf.keras.layers.LeakyReLU(alpha=SLOPE))
    model = tf.keras.Sequential(layers, name="leaky")
    model.save("leaky.h5", include_optimizer=False)
    x = np.random.default_rng(16).uniform(-2.0, 2.0, (ROWS, SIZE)).astype(np.float32)
    np.save("leaky_x.npy", x)
    np.save("leaky_y.npy", model.predict(x, verbose=0))
    for layer in model.layers[::2]:
        kernel = layer.get_weights()[0].astype(np.float64)
        print(f"{layer.name} condition number {np.linalg.cond(kernel):.6g}")


if __name__ == "__main__":
    main()
