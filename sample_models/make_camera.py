"""Train camera.h5: a square tanh network that plays a camera out of focus.

Run in this folder with ``KERAS_BACKEND=torch OMP_NUM_THREADS=1 python make_camera.py``.
"""

import keras
import numpy as np
import torch
from digits import split_digits

SEED = 2
BRIGHTNESS = 0.9
EPOCHS = 150
BATCH = 32


def blur(images: np.ndarray) -> np.ndarray:
    """Blur 8x8 images as the camera does.

    The kernel is the 3x3 binomial one, [1 2 1]/4 along rows and columns, with black
    outside the image. The result is multiplied by 0.9, so that a tanh unit can
    say the brightest pixel.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (rows, 64), values in [0, 1].

    Returns
    -------
    numpy.ndarray
        Shape (rows, 64), float32, values in [0, 0.9].
    """
    padded = np.pad(images.reshape(-1, 8, 8).astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    weights = np.array([0.25, 0.5, 0.25])
    rows = sum(w * padded[:, i : i + 8, :] for i, w in enumerate(weights))
    both = sum(w * rows[:, :, i : i + 8] for i, w in enumerate(weights))
    return (BRIGHTNESS * both).reshape(-1, 64).astype(np.float32)


def build() -> keras.Model:
    """Return the untrained 64-64-64-64 tanh network.

    Orthogonal kernels start perfectly conditioned and stay moderately conditioned
    in training. A weight penalty would do the contrary: it shrinks the weights of
    the pixels that are black in every digit until the first kernel is singular.
    """
    layers = [keras.Input((64,))]
    for index in range(3):
        start = keras.initializers.Orthogonal(gain=1.2, seed=index)
        layers.append(keras.layers.Dense(64, activation="tanh", kernel_initializer=start))
    return keras.Sequential(layers, name="camera")


def invert(model: keras.Model, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pull outputs back through the three layers in float64.

    Returns
    -------
    tuple of numpy.ndarray
        The inputs found, and for each row whether some value left (-1, 1).
    """
    values = outputs.astype(np.float64)
    outside = np.zeros(len(values), dtype=bool)
    for layer in reversed(model.layers):
        kernel, bias = (np.asarray(w, dtype=np.float64) for w in layer.get_weights())
        outside |= (np.abs(values) >= 1.0).any(axis=1)
        edge = 1.0 - 1e-12
        before = np.arctanh(np.clip(values, -edge, edge))
        values = np.linalg.solve(kernel.T, (before - bias).T).T
    return values, outside


def report(model: keras.Model, test: np.ndarray, measured: np.ndarray) -> None:
    """Print the figures that MODELS.md states."""
    output = model.predict(test, verbose=0)
    norm = np.linalg.norm
    error = norm(output - measured, axis=1) / norm(measured, axis=1)
    print(f"validation mse {np.mean((output - measured) ** 2):.3e}")
    print(f"|f(x)-measured|/|measured| median {np.median(error):.4f} ", end="")
    print(f"max {error.max():.4f}, all rows {norm(output - measured):.4f}", end="")
    print(f" / {norm(measured):.4f} = {norm(output - measured) / norm(measured):.4f}")
    for layer in model.layers:
        kernel = np.asarray(layer.get_weights()[0], dtype=np.float64)
        print(f"{layer.name} condition number {np.linalg.cond(kernel):.4g}")
    for name, values in (("own float32 output", output), ("measured", measured)):
        found, outside = invert(model, values)
        error = norm(found - test, axis=1) / norm(test, axis=1)
        print(f"inverting {name}: {outside.sum()} rows outside the image")
        print(f"  error of x median {np.median(error):.2e} max {error.max():.2e}")
        print(f"  x from {found.min():.1f} to {found.max():.1f}")


def main() -> None:
    """Train the network, write it with its data and print what was measured."""
    torch.set_num_threads(1)
    keras.utils.set_random_seed(SEED)
    training, _, test, _ = split_digits()
    measured = blur(test)
    model = build()
    steps = EPOCHS * -(-len(training) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    model.fit(training, blur(training), epochs=EPOCHS, batch_size=BATCH, verbose=0)
    model.save("camera.h5", include_optimizer=False)
    np.save("camera_x.npy", test)
    np.save("camera_y.npy", model.predict(test, verbose=0))
    np.save("camera_measured.npy", measured)
    np.save("camera_near.npy", training.mean(axis=0))
    report(model, test, measured)


if __name__ == "__main__":
    main()
