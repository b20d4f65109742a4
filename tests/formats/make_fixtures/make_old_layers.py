"""Layers of Keras 1.2.2 and 2.2.4, on Theano and on TensorFlow.

One file for each version and backend, as `make_layers.py` makes them.
"""

import importlib
import json

import fixtures
import keras
import numpy as np
import old_layer_cases
from keras import layers

ROWS = 2
BACKEND = keras.backend.backend()
MAJOR = int(keras.__version__[0])

# Keras 1 hands TensorFlow's convolutions float32, whatever the rest is.
PRECISION = "float32" if (MAJOR, BACKEND) == (1, "tensorflow") else "float64"
keras.backend.set_floatx(PRECISION)

if BACKEND == "theano":
    importlib.import_module("theano.ifelse")  # used by Keras, imported by nobody


def write(cases):
    """Configurations in one text, all arrays one after another."""
    described, weights, inputs, outputs = [], [], [], []
    for number, (key, (shape, made)) in enumerate(sorted(cases.items())):
        start = layers.Input(shape, dtype=PRECISION)
        flow = start
        for layer in made:
            flow = layer(flow)
        model = keras.models.Model(start, flow)
        fixtures.randomise(model, seed=number)
        x = np.random.RandomState(number).uniform(-2.0, 2.0, (ROWS, *shape))
        x = x.astype(np.float32).astype(np.float64)
        shapes = {}
        for layer in model.layers:
            held = [np.asarray(w).astype(np.float32) for w in layer.get_weights()]
            layer.set_weights([w.astype(PRECISION) for w in held])
            shapes[layer.name] = [list(w.shape) for w in held]
            weights += held
        y = np.asarray(model.predict(x))
        assert y.dtype == PRECISION, (key, y.dtype)
        inputs.append(x.astype(np.float32))  # which changes nothing
        outputs.append(y.astype(np.float64))
        described.append(
            {
                "case": key,
                "config": json.loads(model.to_json()),
                "weights": shapes,
                "x": list(x.shape),
                "y": list(y.shape),
            }
        )
    about = {
        "vintage": f"keras {keras.__version__}, {BACKEND} backend",
        "cases": described,
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    flat = {"weights": weights, "x": inputs, "y": outputs}
    flat = {key: np.concatenate([a.ravel() for a in held]) for key, held in flat.items()}
    path = fixtures.path_of(f"keras{MAJOR}_{BACKEND}_layers.npz")
    np.savez_compressed(path, about=text, **flat)


make = old_layer_cases.keras_1 if MAJOR == 1 else old_layer_cases.keras_2
write(make(layers, BACKEND))
