"""nninvert against torch in float64: values and Jacobians of sequential networks."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from frameworks import framework_at_work
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import network
from terms import FLOAT64, distance, largest_terms

import nninvert
from nninvert.layers import (
    BatchNormalization,
    Dense,
    Elementwise,
    Identity,
    LogSoftmax,
    Reshape,
    Softmax,
)
from nninvert.layers.activations import activation_from_text, canonical_name
from nninvert.layers.prelu import PReLU
from nninvert.linalg.stored import ArrayMatrix

pytestmark = pytest.mark.oracle

# Class, arguments, what --activations calls it. The threshold of Softplus is moved out:
# see `test_softplus_is_exact_where_torch_cuts_off`. Torch's derivative of CELU rounds
# alpha to float32, so that alpha is one that float32 holds.
ACTIVATIONS = [
    ("CELU", {}, "celu"),
    ("CELU", {"alpha": 0.75}, "celu:0.75"),
    ("ELU", {}, "elu"),
    ("ELU", {"alpha": 1.5}, "elu:1.5"),
    ("GELU", {}, "gelu"),
    ("GELU", {"approximate": "tanh"}, "gelu_tanh"),
    ("Hardshrink", {}, "hard_shrink"),
    ("Hardshrink", {"lambd": 1.25}, "hard_shrink:1.25"),
    ("Hardsigmoid", {}, "hard_sigmoid:1/6"),
    ("Hardswish", {}, "hard_silu"),
    ("Hardtanh", {}, "hard_tanh"),
    ("Hardtanh", {"min_val": -0.5, "max_val": 2.0}, "hard_tanh:-0.5:2"),
    ("Identity", {}, "linear"),
    ("LeakyReLU", {}, "leaky_relu:0.01"),
    ("LeakyReLU", {"negative_slope": 0.3}, "leaky_relu:0.3"),
    ("LogSigmoid", {}, "log_sigmoid"),
    ("LogSoftmax", {"dim": -1}, "log_softmax"),
    ("Mish", {}, "mish"),
    ("RReLU", {}, "leaky_relu:11/48"),
    ("ReLU", {}, "relu"),
    ("ReLU6", {}, "relu6"),
    ("SELU", {}, "selu"),
    ("SiLU", {}, "silu"),
    ("Sigmoid", {}, "sigmoid"),
    ("Softmax", {"dim": -1}, "softmax"),
    ("Softplus", {"threshold": 50.0}, "softplus"),
    ("Softplus", {"beta": 2.0, "threshold": 50.0}, "softplus:2"),
    ("Softshrink", {}, "soft_shrink"),
    ("Softshrink", {"lambd": 0.2}, "soft_shrink:0.2"),
    ("Softsign", {}, "softsign"),
    ("Tanh", {}, "tanh"),
    ("Tanhshrink", {}, "tanh_shrink"),
    ("Threshold", {"threshold": 0.1, "value": -2.0}, "threshold:0.1:-2"),
    ("Threshold", {"threshold": 0.75, "value": 0.0}, "thresholded_relu:0.75"),
]

# Every kink of the table, both ends, values near zero where differences cancel.
GRID = np.concatenate(
    [
        [-800.0, -100.0, -40.0, -20.0, -1e-3, -1e-9, 1e-9, 1e-3, 20.0, 40.0, 100.0, 800.0],
        [0.1, 0.2, -0.2, 0.75, 1.25, -1.25],
        np.arange(-8.0, 8.5, 0.5),
    ]
)

# Torch's derivative of Hardsigmoid is 1/6 in float32; its values are not concerned.
SLOPES_IN_FLOAT32 = ("hard_sigmoid:1/6",)
FLOAT32_SLOPE = 1e-7

ROWS = 4
OFTEN = settings(max_examples=60, derandomize=True)
activations = st.sampled_from(ACTIVATIONS)
widths = st.integers(1, 6)


def _module(torch, activation):
    name, arguments, _ = activation
    return getattr(torch.nn, name)(**arguments).eval()


def _randomise(torch, model, rng, dtype):
    """Weights of the size that keeps values near 1, variances above 0; evaluation mode."""
    model.to(dtype).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            drawn = rng.standard_normal(tuple(value.shape))
            if value.ndim == 2:
                drawn = 2.0 * drawn / np.sqrt(value.shape[1])
            if name.endswith("running_var"):
                drawn = np.abs(drawn) + 0.3
            value.copy_(torch.from_numpy(drawn))
    return model


def _values(torch, model, x):
    with framework_at_work(), torch.no_grad():
        y = model(torch.from_numpy(x))
    assert y.dtype == torch.float64
    return y.numpy()


def _jacobians(torch, model, x):
    """Of each row, shape (rows, n_out, n_in)."""
    found = []
    for row in x:
        with framework_at_work():
            one = torch.autograd.functional.jacobian(model, torch.from_numpy(row[None]))
        found.append(one.numpy().reshape(-1, row.size))
    return np.stack(found)


def _compare(torch, model, net, x, texts, rng):
    """Values, products with J and J itself; x has the shape that the model takes."""
    model.double()
    flat = x.reshape(len(x), -1)
    assert distance(net, flat, _values(torch, model, x)) <= FLOAT64
    bound = FLOAT32_SLOPE if set(texts) & set(SLOPES_IN_FLOAT32) else FLOAT64
    wanted = _jacobians(torch, model, x)
    direction = rng.standard_normal(flat.shape)
    linear = net.linearize(flat)
    # The terms of J dx and of J's columns are no larger than those of f at such an input.
    terms = bound * largest_terms(net, 1.0 + np.abs(flat) + np.abs(direction))
    moved = np.einsum("bmn,bn->bm", wanted, direction)
    assert (np.abs(linear.jvp(direction) - moved) <= terms).all()
    assert (np.abs(linear.dense() - wanted) <= terms[:, :, None]).all()


def test_every_activation_of_torch_that_has_a_name_here_is_compared(torch):
    classes = torch.nn.modules.activation.__all__
    known = {name for name in classes if canonical_name(name) is not None}
    assert len(known) > 15
    assert known <= {name for name, _, _ in ACTIVATIONS}


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a[2])
def test_an_activation_by_itself(torch, activation):
    z = GRID[:, None] if "softmax" not in activation[2] else GRID[-48:].reshape(-1, 6)
    net = nninvert.from_arrays([(np.eye(z.shape[1]), None, activation[2])])
    assert distance(net, z, _values(torch, _module(torch, activation), z)) <= FLOAT64


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a[2])
def test_an_activation_between_two_layers(torch, activation, rng, tmp_path):
    model = torch.nn.Sequential(
        torch.nn.Linear(5, 6), _module(torch, activation), torch.nn.Linear(6, 3)
    )
    _randomise(torch, model, rng, torch.float64)
    net = _through_a_file(model, f"{activation[2]},linear", tmp_path)
    _compare(torch, model, net, 2.0 * rng.standard_normal((20, 5)), [activation[2]], rng)


def test_softplus_is_exact_where_torch_cuts_off(torch):
    z = np.array([[19.0], [20.5], [25.0]])
    cut = np.abs(_values(torch, torch.nn.Softplus(), z) - np.logaddexp(0.0, z))
    net = nninvert.from_arrays([(np.eye(1), None, "softplus")])
    assert np.abs(net.forward(z) - np.logaddexp(0.0, z)).max() <= FLOAT64
    assert cut[1, 0] == pytest.approx(np.exp(-20.5), rel=1e-4)


def _through_a_file(model, texts, folder):
    path = str(Path(folder) / "model.npz")
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    np.savez(path, **arrays)
    return nninvert.load(path, activations=texts)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@OFTEN
def test_state_dictionaries(torch, data, seed):
    rng = np.random.default_rng(seed)
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    n_in = n = data.draw(widths)
    modules, texts = [], []
    if data.draw(st.booleans()):
        modules.append(torch.nn.Flatten())
    for position in range(data.draw(st.integers(1, 4))):
        m = data.draw(widths)
        # Behind relu a layer without bias would sit on the kink of the next one.
        bias = position > 0 or data.draw(st.booleans())
        activation = data.draw(activations)
        modules += [torch.nn.Linear(n, m, bias=bias), _module(torch, activation)]
        if data.draw(st.booleans()):
            modules.append(torch.nn.Dropout(0.3))
        texts.append(activation[2])
        n = m
    model = _randomise(torch, torch.nn.Sequential(*modules), rng, dtype)
    with tempfile.TemporaryDirectory() as folder:
        net = _through_a_file(model, ",".join(texts), folder)
    _compare(torch, model, net, 2.0 * rng.standard_normal((ROWS, n_in)), texts, rng)


def _drawn_modules(torch, data, shape):
    """Modules in a row, each with the name of its activation or ""."""
    modules = []
    for _ in range(data.draw(st.integers(1, 5))):
        kinds = ["linear", "norm", "activation", "prelu", "dropout", "flatten"]
        kind, text = data.draw(st.sampled_from(kinds)), ""
        if kind == "linear":
            made = torch.nn.Linear(shape[-1], data.draw(widths))
            shape = (*shape[:-1], made.out_features)
        elif kind == "norm":
            scaled, eps = data.draw(st.booleans()), data.draw(st.sampled_from([1e-5, 0.1]))
            made = torch.nn.BatchNorm1d(shape[0], eps=eps, affine=scaled)
        elif kind == "activation":
            activation = data.draw(activations)
            made, text = _module(torch, activation), activation[2]
        elif kind == "prelu":
            made = torch.nn.PReLU(data.draw(st.sampled_from([1, shape[0]])))
        elif kind == "dropout":
            made = torch.nn.Dropout(0.5)
        else:
            made, shape = torch.nn.Flatten(), (int(np.prod(shape)),)
        modules.append((made, text))
    return modules


def _layer(module, text, shape):
    """nninvert's layer for a module of torch."""
    kind = type(module).__name__
    arrays = {name: value.numpy() for name, value in module.state_dict().items()}
    if kind == "Linear":
        return Dense(shape, ArrayMatrix(arrays["weight"]), arrays["bias"])
    if kind == "BatchNorm1d":
        found = {"mean": arrays["running_mean"], "variance": arrays["running_var"]}
        if module.affine:
            found |= {"gamma": arrays["weight"], "beta": arrays["bias"]}
        return BatchNormalization(shape, found, module.eps, (0,))
    if kind == "PReLU":
        return PReLU(shape, arrays["weight"].reshape(-1, *[1] * (len(shape) - 1)))
    if kind == "Flatten":
        return Reshape(shape, (-1,))
    if kind == "Dropout":
        return Identity(shape)
    if text in ("softmax", "log_softmax"):
        return (Softmax if text == "softmax" else LogSoftmax)(shape, -1)
    return Elementwise(shape, activation_from_text(text))


@given(
    data=st.data(),
    shape=st.tuples(widths) | st.tuples(st.integers(1, 3), st.integers(1, 4)),
    seed=st.integers(0, 2**32 - 1),
)
@OFTEN
def test_layers_that_bare_weights_cannot_name(torch, data, shape, seed):
    rng = np.random.default_rng(seed)
    pairs = _drawn_modules(torch, data, shape)
    model = torch.nn.Sequential(*[module for module, _ in pairs])
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    _randomise(torch, model, rng, dtype)
    layers, now = [], shape
    for module, text in pairs:
        layers.append(_layer(module, text, now))
        now = layers[-1].output_shape
    x = 2.0 * rng.standard_normal((ROWS, *shape))
    _compare(torch, model, network(*layers), x, [text for _, text in pairs], rng)
