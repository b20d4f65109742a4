"""Every layer in every variant: configurations, arrays and golden values in one file.

They are computed in float64 throughout, and written as HDF5 by the tests. Run with keras
3.15 on torch and with tf.keras 2.15.
"""

import json
import sys

import fixtures
import h5py
import layer_cases
import numpy as np

ROWS = 2

NOT_ON_TORCH = {"layer_norm_axes", "layer_norm_middle", "rms_norm_axis", "average2d_same"}
"""Keras 3.15 asks torch for normalisations along axes other than the last ones, and torch
refuses; averages of windows beyond the edge count copies of the edge there."""

NOT_ON_TENSORFLOW = {"average3d", "max3d", "up2d_bilinear"}
"""There is no code for float64 on processors."""


def build(keras, shape, made):
    """A Sequential, or a functional model where a layer takes its input twice."""
    start = keras.layers.Input(shape)
    if isinstance(made[0], keras.layers.MultiHeadAttention):
        attention, options = made
        return keras.Model(start, attention(start, start, **options))
    return keras.Sequential([start, *made])


def write(keras, name, vintage, at_least, more=()):
    """One file for all cases: their configurations in one text, the arrays by number."""
    keras.backend.set_floatx("float64")
    if hasattr(keras, "config"):
        keras.config.set_dtype_policy("float64")
    found = layer_cases.cases(keras.layers, at_least)
    for group in more:
        group(keras.layers, lambda key, shape, *made: found.update({key: (shape, made)}))
    described, weights, inputs, outputs = [], [], [], []
    for number, (key, (shape, made)) in enumerate(sorted(found.items())):
        if key in (NOT_ON_TORCH if keras.__name__ == "keras" else NOT_ON_TENSORFLOW):
            continue
        model = build(keras, shape, made)
        fixtures.randomise(model, seed=number)
        x = np.random.RandomState(number).uniform(-2.0, 2.0, (ROWS, *shape))
        x = x.astype(np.float32).astype(np.float64)
        shapes = {}
        for layer in model.layers:
            held = [np.asarray(w).astype(np.float32) for w in layer.get_weights()]
            layer.set_weights([w.astype(np.float64) for w in held])
            shapes[layer.name] = [list(w.shape) for w in held]
            weights += held
        y = np.asarray(model.predict(x, verbose=0))
        assert y.dtype == np.float64, (key, y.dtype)
        inputs.append(x.astype(np.float32))  # which changes nothing
        outputs.append(y)
        described.append(
            {
                "case": key,
                "config": json.loads(model.to_json()),
                "weights": shapes,
                "x": list(x.shape),
                "y": list(y.shape),
            }
        )
    about = {"vintage": vintage, "cases": described}
    path = fixtures.path_of(f"{name}_layers.npz")
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    flat = {"weights": weights, "x": inputs, "y": outputs}
    flat = {key: np.concatenate([a.ravel() for a in held]) for key, held in flat.items()}
    np.savez_compressed(path, about=text, **flat)


if __name__ == "__main__":
    if "tf" in sys.argv[1:]:
        import tensorflow

        about = f"tf.keras of tensorflow {tensorflow.__version__}"
        write(tensorflow.keras, "tf215", about, lambda *version: version <= (2, 15))
    else:
        import keras

        backend = keras.backend.backend()
        about = f"keras {keras.__version__}, {backend} backend, h5py {h5py.__version__}"
        write(
            keras,
            "keras3",
            about,
            lambda *version: True,
            [layer_cases.grouped_and_first],
        )
