"""Graphs of random operators: whatever contradicts itself is refused, nothing escapes."""

import os
from contextlib import suppress

import numpy as np
from onnx_files import model, node, tensor, value

from nninvert import formats
from nninvert.errors import NninvertError
from nninvert.formats.onnx.fold import FOLDS
from nninvert.formats.onnx.operators import OPERATORS, SEVERAL
from nninvert.formats.onnx.pointwise import POINTWISE

TRIES = int(os.environ.get("NNINVERT_FUZZ", "600"))
"""A long run asks for 100,000."""

KNOWN = sorted({*OPERATORS, *SEVERAL, *(("", name) for name in {*FOLDS, *POINTWISE})})
EASY = "Tanh", "Relu", "Softmax", "Elu", "Neg", "Identity", "Sigmoid", "Abs"
NUMBERS = "axis", "transA", "transB", "group", "keepdims", "ceil_mode", "to", "blocksize"
LISTS = "axes", "perm", "pads", "strides", "dilations", "kernel_shape", "starts", "ends"
WORDS = {
    "mode": ("linear", "nearest", "edge", "constant", "CRD"),
    "auto_pad": ("SAME_UPPER", "VALID", "SAME_LOWER", "odd"),
    "approximate": ("tanh", "none", "odd"),
}
SHAPES = (
    (),
    (1,),
    (4,),
    (2, 4),
    (4, 4),
    (1, 2, 4),
    (2, 3, 4),
    (3, 2, 1, 1),
    (0,),
    (2, 2, 3, 3),
)


def attributes(rng):
    found = {}
    for name in rng.choice(NUMBERS, rng.integers(0, 3), replace=False):
        found[str(name)] = int(rng.integers(-2, 5))
    for name in rng.choice(LISTS, rng.integers(0, 3), replace=False):
        found[str(name)] = [int(k) for k in rng.integers(-1, 4, rng.integers(1, 5))]
    for name, words in WORDS.items():
        if rng.random() < 0.2:
            found[name] = str(rng.choice(words))
    for name in rng.choice(["alpha", "epsilon", "value_float"], rng.integers(0, 2)):
        found[str(name)] = float(rng.choice([0.0, 0.5, -1.0, np.inf, np.nan]))
    return found


def random_model(rng):
    tensors = []
    for k in range(6):
        shape = SHAPES[rng.integers(len(SHAPES))]
        if rng.random() < 0.3:
            values = rng.integers(-2, 5, shape)
        else:
            values = rng.normal(size=shape).astype(["f4", "f8", "f2"][rng.integers(3)])
        tensors.append(tensor(values, f"c{k}"))
    names = ["x", "x", "x", "c0", "c1", "c2", "c3", "c4", "c5"]
    nodes = []
    for k in range(rng.integers(1, 6)):
        domain, kind = KNOWN[rng.integers(len(KNOWN))]
        given = [names[-1] if rng.random() < 0.4 else names[rng.integers(len(names))]]
        if rng.random() < 0.6:
            domain, kind = "", EASY[rng.integers(len(EASY))]
        else:
            given += [names[rng.integers(len(names))] for _ in range(rng.integers(0, 4))]
        made = [f"v{k}"] + [f"v{k}_{extra}" for extra in range(rng.integers(0, 2))]
        nodes.append(
            node(kind, " ".join(given), " ".join(made), domain=domain, **attributes(rng))
        )
        names += made
    shape = [(("N", 4)), ("N", 2, 4), (1, 2, 4), (4,), ("N", 2, 3, 3), (2, 3), ()]
    inputs = [value("x", shape[rng.integers(len(shape))])]
    outputs = [value(name, ("N",)) for name in names[-rng.integers(1, 3) :]]
    return model(nodes, tensors, inputs, outputs, opset=int(rng.integers(7, 25)), ml=3)


def survives(path, rng):
    path.write_bytes(random_model(rng))
    with suppress(NninvertError):
        formats.describe(str(path))
    with suppress(NninvertError):
        net = formats.load(str(path))
        assert net.n_in > 0
        with np.errstate(all="ignore"):
            assert net.forward(np.ones((2, net.n_in))).shape == (2, net.n_out)
        return True
    return False


def test_random_graphs(tmp_path):
    rng = np.random.default_rng(11)
    count = sum(survives(tmp_path / "net.onnx", rng) for _ in range(TRIES))
    assert count > TRIES // 100  # not all are refused
