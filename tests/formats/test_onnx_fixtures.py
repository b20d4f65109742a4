"""Files of the real exporters: the same function, to the rounding of their constants."""

import json
from pathlib import Path

import numpy as np
import pytest

from nninvert import formats

DATA = Path(__file__).parent / "onnx_data"
INDEX = json.loads((DATA / "index.json").read_text())


def _inputs_and_outputs(name):
    golden = np.load(DATA / f"{name}.npz")
    return [
        np.concatenate(
            [
                golden[k].reshape(len(golden[k]), -1)
                for k in sorted(golden)
                if k.startswith(letter)
            ],
            axis=1,
        )
        for letter in "xy"
    ]


@pytest.mark.parametrize("name", INDEX)
def test_same_function(name):
    entry = INDEX[name]
    net = formats.load(str(DATA / f"{name}.onnx"))
    x, y = _inputs_and_outputs(name)
    found = net.forward(x)
    assert found.shape == y.shape
    assert np.abs(found - y).max() <= entry["error"] * max(1.0, np.abs(y).max())


@pytest.mark.parametrize("name", INDEX)
def test_every_layer_is_described(name):
    found = formats.describe(str(DATA / f"{name}.onnx"))
    assert [item.problem for item in found.layers if item.problem] == []
    assert found.format.startswith("ONNX opset")
