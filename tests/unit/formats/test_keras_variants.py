"""Every layer of Keras in every variant, against what the framework computed in float64."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from keras_files import write

from nninvert import formats

DATA = Path(__file__).parents[2] / "formats" / "data"
FILES = ("keras1_theano", "keras1_tensorflow", "keras2_theano", "keras3", "tf215")

# On torch, Keras 3 computes these in float32, in part or whole; TensorFlow does not.
# Keras 1 hands TensorFlow's convolutions float32, and Theano zeros and epsilons.
ROUNDED = (
    "keras1_tensorflow",
    "keras1_theano-batch_norm",
    "keras2_theano-causal",
    "keras3-attention",
    "keras3-batch_norm_first",
    "keras3-global_Average1",
    "keras3-global_Average2",
    "keras3-global_Average3",
    "keras3-global_average_first",
    "keras3-group_norm",
    "keras3-group_norm_first",
    "keras3-instance_norm",
    "keras3-layer_norm",
    "keras3-rms_norm",
    "keras3-time_batch_norm",
    "keras3-time_dense",
    "keras3-time_layer_norm",
    "keras3-unit_norm",
    "keras3-unit_norm_axes",
)
FLOAT64, FLOAT32 = 1e-12, 1e-6


def _cases():
    """Each case with its arrays, which lie one after another in the file."""
    for name in FILES:
        held = np.load(DATA / f"{name}_layers.npz")
        about = json.loads(held["about"].tobytes())
        weights, inputs, outputs = held["weights"], held["x"], held["y"]
        origin = {"version": re.search(r"\d+\.[\d.]+", about["vintage"])[0]}
        origin["backend"] = "theano" if "theano" in name else "tensorflow"
        for case in about["cases"]:
            arrays = {}
            for layer, shapes in case["weights"].items():
                arrays[layer] = []
                for shape in shapes:
                    size = int(np.prod(shape))
                    arrays[layer].append(weights[:size].reshape(shape))
                    weights = weights[size:]
            key = f"{name}-{case['case']}"
            x, inputs = np.split(inputs, [np.prod(case["x"])])
            y, outputs = np.split(outputs, [np.prod(case["y"])])
            yield pytest.param(
                origin,
                case["config"],
                arrays,
                x.astype(np.float64).reshape(case["x"]),
                y.reshape(case["y"]),
                FLOAT32 if key.startswith(ROUNDED) else FLOAT64,
                id=key,
            )


@pytest.mark.parametrize(
    ("origin", "config", "arrays", "x", "y", "tolerance"), list(_cases())
)
def test_forward_is_the_frameworks(origin, config, arrays, x, y, tolerance, tmp_path):
    path = write(tmp_path / "m.h5", config, arrays, **origin)
    net = formats.load(path)
    got = net.forward(x.reshape(len(x), -1))
    assert net.layers[-1][-1].layer.output_shape == y.shape[1:]
    assert np.abs(got - y.reshape(len(y), -1)).max() <= tolerance * np.abs(y).max()
