"""Keras layers one by one: what each configuration computes, by a plain formula."""

import numpy as np
import pytest
from keras_files import called, dense, draw, forward, functional, layer, sequential, write

from nninvert import formats
from nninvert.errors import FormatError, UnsupportedLayerError

X = np.linspace(-2.5, 2.5, 24).reshape(6, 4)


def _one(tmp_path, entry, arrays=(), shape=(4,), version="2.15.0"):
    """A model of this one layer."""
    name = entry["config"]["name"]
    path = write(
        tmp_path / "m.h5", sequential([entry], shape), {name: list(arrays)}, version
    )
    return formats.load(path)


def _sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def _elu(z, alpha):
    return np.where(z > 0, z, alpha * np.expm1(z))


NAMED = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "exponential": np.exp,
    "elu": lambda z: _elu(z, 1.0),
    "selu": lambda z: 1.0507009873554805 * _elu(z, 1.6732632423543772),
    "leaky_relu": lambda z: np.where(z < 0, 0.2 * z, z),
    "swish": lambda z: z * _sigmoid(z),
    "silu": lambda z: z * _sigmoid(z),
    "relu6": lambda z: np.clip(z, 0, 6),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("fused", [True, False])
def test_activations_by_name(tmp_path, name, fused):
    if fused:
        kernel, bias = draw((4, 4), (4,))
        net = _one(tmp_path, dense("d", 4, name), [kernel, bias])
        expected = NAMED[name](X @ kernel.astype(float) + bias.astype(float))
    else:
        net = _one(tmp_path, layer("Activation", "a", activation=name))
        expected = NAMED[name](X)
    np.testing.assert_allclose(forward(net, X), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("version", "slope"), [("1.2.2", 0.2), ("2.15.0", 0.2), ("3.8.0", 1 / 6)]
)
def test_hard_sigmoid_has_the_slope_of_its_version(tmp_path, version, slope):
    entry = layer("Activation", "a", activation="hard_sigmoid")
    net = _one(tmp_path, entry, version=version)
    expected = np.clip(slope * X + 0.5, 0, 1)
    np.testing.assert_allclose(forward(net, X), expected, rtol=1e-14)


ADVANCED = {
    "leaky default": (layer("LeakyReLU", "a"), lambda z: np.where(z < 0, 0.3 * z, z)),
    "leaky alpha": (
        layer("LeakyReLU", "a", alpha=0.1),
        lambda z: np.where(z < 0, 0.1 * z, z),
    ),
    "leaky slope": (
        layer("LeakyReLU", "a", negative_slope=0.05),
        lambda z: np.where(z < 0, 0.05 * z, z),
    ),
    "elu": (layer("ELU", "a", alpha=0.7), lambda z: _elu(z, 0.7)),
    "relu": (
        layer("ReLU", "a", max_value=1.5, negative_slope=0.1, threshold=0.5),
        lambda z: np.where(z > 0.5, np.minimum(z, 1.5), 0.1 * (z - 0.5)),
    ),
    "relu as numpy": (
        layer("ReLU", "a", max_value={"type": "ndarray", "value": 1.0}),
        lambda z: np.clip(z, 0, 1),
    ),
    "relu without maximum": (
        layer("ReLU", "a", max_value=None, negative_slope=None),
        lambda z: np.maximum(z, 0),
    ),
    "thresholded": (
        layer("ThresholdedReLU", "a", theta=0.7),
        lambda z: np.where(z > 0.7, z, 0.0),
    ),
    "as a layer": (
        layer(
            "Activation", "a", activation={"class_name": "ELU", "config": {"alpha": 2.0}}
        ),
        lambda z: _elu(z, 2.0),
    ),
    "as a function": (
        layer(
            "Activation",
            "a",
            activation={
                "module": "keras.activations",
                "class_name": "function",
                "config": "tanh",
                "registered_name": "tanh",
            },
        ),
        np.tanh,
    ),
}


@pytest.mark.parametrize("case", ADVANCED)
def test_activation_layers_and_objects(tmp_path, case):
    entry, formula = ADVANCED[case]
    net = _one(tmp_path, entry)
    np.testing.assert_allclose(forward(net, X), formula(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("my_own", "activation 'my_own'"),
        ({"class_name": "Mine", "registered_name": "pkg>Mine", "config": {}}, "custom"),
        (
            {
                "module": "builtins",
                "class_name": "function",
                "config": "tanh",
                "registered_name": "function",
            },
            "custom",
        ),
    ],
)
def test_somebodys_activation_is_refused_by_name(tmp_path, value, match):
    with pytest.raises(UnsupportedLayerError, match=match):
        _one(tmp_path, layer("Activation", "a", activation=value))


def test_prelu_shares_axes(tmp_path):
    (alpha,) = draw((1, 3))
    entry = layer("PReLU", "p", shared_axes=[1])
    net = _one(tmp_path, entry, [alpha], shape=(2, 3))
    x = np.linspace(-1, 1, 12).reshape(2, 2, 3)
    expected = np.where(x < 0, alpha.astype(float) * x, x)
    np.testing.assert_allclose(forward(net, x), expected.reshape(2, -1), rtol=1e-14)


@pytest.mark.parametrize("axis", [-1, 1, [1]])
def test_softmax_layer_along_an_axis(tmp_path, axis):
    net = _one(tmp_path, layer("Softmax", "s", axis=axis), shape=(2, 3))
    x = np.linspace(-1, 1, 12).reshape(2, 2, 3)
    along = -1 if axis == -1 else 1
    e = np.exp(x)
    expected = e / e.sum(axis=along, keepdims=True)
    np.testing.assert_allclose(forward(net, x), expected.reshape(2, -1), rtol=1e-12)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_normalisation_stores_what_it_has(tmp_path, scale, center):
    arrays = draw((4,), (4,), (4,), (4,))
    gamma, beta, mean, variance = (a.astype(float) for a in arrays)
    stored = [a for a, has in zip(arrays, (scale, center, 1, 1), strict=True) if has]
    entry = layer(
        "BatchNormalization", "bn", axis=[1], epsilon=0.01, scale=scale, center=center
    )
    net = _one(tmp_path, entry, stored)
    expected = (X - mean) / np.sqrt(variance + 0.01)
    expected = expected * (gamma if scale else 1.0) + (beta if center else 0.0)
    np.testing.assert_allclose(forward(net, X), expected, rtol=1e-13, atol=1e-15)


def test_batch_normalisation_along_the_first_axis(tmp_path):
    arrays = draw((2,), (2,), (2,), (2,))
    gamma, beta, mean, variance = (a.astype(float)[:, None] for a in arrays)
    entry = layer("BatchNormalization", "bn", axis=1, epsilon=1e-3)
    net = _one(tmp_path, entry, arrays, shape=(2, 3))
    x = np.linspace(-1, 1, 12).reshape(2, 2, 3)
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(forward(net, x), expected.reshape(2, -1), rtol=1e-13)


@pytest.mark.parametrize(
    ("more", "match"),
    [({"mode": 1}, "each sample by itself"), ({"renorm": True}, "renorm")],
)
def test_batch_normalisation_that_depends_on_the_sample(tmp_path, more, match):
    entry = layer("BatchNormalization", "bn", axis=-1, epsilon=1e-3, **more)
    with pytest.raises(UnsupportedLayerError, match=match):
        _one(tmp_path, entry, draw((4,), (4,), (4,), (4,)))


def test_keras_1_variance_is_noted(tmp_path):
    entry = layer("BatchNormalization", "bn", axis=-1, mode=0, epsilon=1e-3)
    net = _one(tmp_path, entry, draw((4,), (4,), (4,), (4,)), version=None)
    assert net.source.format == "Keras 1 HDF5"
    assert "1.0.6" in net.source.notes[0]


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("where", ["arrays", "config", "one number"])
def test_normalization(tmp_path, invert, where):
    mean, variance = draw((4,), (4,))
    arrays = [mean, variance, np.array(7)]
    more = {"axis": [-1], "invert": invert}
    if where == "config":
        arrays = []
        more |= {"mean": [mean.tolist()], "variance": [variance.tolist()]}
    if where == "one number":
        arrays, mean, variance = [], np.array(0.5), np.array(2.0)
        more |= {"axis": None, "mean": 0.5, "variance": 2.0}
    net = _one(tmp_path, layer("Normalization", "n", **more), arrays)
    mean, deviation = mean.astype(float), np.sqrt(variance.astype(float))
    expected = X * deviation + mean if invert else (X - mean) / deviation
    np.testing.assert_allclose(forward(net, X), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("scale", [0.5, [1.0, 2.0, 3.0, 4.0]])
def test_rescaling(tmp_path, scale):
    net = _one(tmp_path, layer("Rescaling", "r", scale=scale, offset=-1.0))
    np.testing.assert_allclose(forward(net, X), X * np.array(scale) - 1.0, rtol=1e-14)


def test_flatten_puts_channels_last_first(tmp_path):
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    plain = _one(
        tmp_path, layer("Flatten", "f", data_format="channels_last"), (), (2, 2, 3)
    )
    np.testing.assert_array_equal(forward(plain, x), x.reshape(1, -1))
    moved = _one(
        tmp_path, layer("Flatten", "f", data_format="channels_first"), (), (2, 2, 3)
    )
    np.testing.assert_array_equal(forward(moved, x), np.moveaxis(x, 1, -1).reshape(1, -1))


def test_permute_counts_axes_from_one(tmp_path):
    net = _one(tmp_path, layer("Permute", "p", dims=[2, 1]), (), (2, 3))
    x = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(forward(net, x), x.transpose(0, 2, 1).reshape(1, -1))


def test_reshape_with_an_open_axis(tmp_path):
    net = _one(tmp_path, layer("Reshape", "r", target_shape=[2, -1]), (), (6,))
    assert net.graph.output_shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["Dropout", "SpatialDropout2D", "GaussianNoise", "AlphaDropout", "Identity"]
)
def test_layers_that_only_train(tmp_path, name):
    net = _one(tmp_path, layer(name, "d", rate=0.5))
    np.testing.assert_array_equal(forward(net, X), X)


@pytest.mark.parametrize(
    "entry",
    [
        layer("TimeDistributed", "t", layer=dense("inner", 2, "tanh")),
        layer("TimeDistributedDense", "t", output_dim=2, activation="tanh"),
        dense("t", 2, "tanh"),
    ],
    ids=["wrapper", "keras 1", "dense"],
)
def test_dense_on_the_last_axis(tmp_path, entry):
    kernel, bias = draw((4, 2), (2,))
    net = _one(tmp_path, entry, [kernel, bias], (3, 4))
    x = np.linspace(-1, 1, 24).reshape(2, 3, 4)
    expected = np.tanh(x @ kernel.astype(float) + bias.astype(float))
    np.testing.assert_allclose(forward(net, x), expected.reshape(2, -1), rtol=1e-12)


def test_keras_1_spells_dense_differently(tmp_path):
    (kernel,) = draw((4, 3))
    entry = layer("Dense", "d", output_dim=3, bias=False, activation="linear")
    net = _one(tmp_path, entry, [kernel], version=None)
    np.testing.assert_allclose(forward(net, X), X @ kernel.astype(float), rtol=1e-13)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (draw((5, 3), (3,)), r"v0:0'.*\(5, 3\), expected \(4, 3\).*4 numbers enter"),
        (draw((4, 2), (3,)), r"\(4, 2\), expected \(4, 3\)"),
        (draw((4, 3), (2,)), r"v1:0'.*\(2,\), expected \(3,\)"),
        (draw((4, 3)), "got 1 arrays.*expected 2"),
        (draw((4, 3), (3,), (3,)), "got 3 arrays"),
        ((), "got 0 arrays, expected 2"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, arrays, match):
    with pytest.raises(FormatError, match=match) as caught:
        _one(tmp_path, dense("d", 3), arrays)
    assert caught.value.layer == ("0", "d")
    assert caught.value.file.endswith("m.h5")


def test_quantised_kernels_are_refused(tmp_path):
    with pytest.raises(UnsupportedLayerError, match="quantised, kernel of int8"):
        _one(tmp_path, dense("d", 3), [np.ones((4, 3), np.int8), np.ones(3, np.float32)])


def test_fields_of_the_wrong_type(tmp_path):
    with pytest.raises(
        FormatError, match="layer 0 'd' > units: got 'many', expected a whole"
    ):
        _one(tmp_path, dense("d", "many"), draw((4, 3), (3,)))


def test_mixed_precision_is_noted(tmp_path):
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    net = _one(tmp_path, dense("d", 3, dtype=policy), draw((4, 3), (3,)))
    assert "float16" in net.source.notes[0]


def test_training_mode_is_refused(tmp_path):
    model = functional(
        [called(layer("Dropout", "drop", rate=0.5), "x", training=True)],
        {"x": (4,)},
        ["drop"],
    )
    path = write(tmp_path / "m.h5", model, {"drop": []})
    with pytest.raises(UnsupportedLayerError, match="training=True"):
        formats.load(path)
