"""Normalisations and attention against torch and Keras 3, layer by layer in float64."""

import numpy as np
import pytest
from frameworks import framework, framework_at_work

from nninvert.layers import (
    GroupNormalization,
    LayerNormalization,
    MultiHeadAttention,
    RMSNormalization,
    UnitNormalization,
    per_axis_rescaling,
)

pytestmark = pytest.mark.oracle

CLOSE = {"rtol": 1e-12, "atol": 1e-13}


@pytest.fixture(scope="module")
def torch():
    return framework("torch")


@pytest.fixture(scope="module")
def keras():
    found = framework("keras")
    with framework_at_work():
        found.config.set_floatx("float64")
    yield found
    found.config.set_floatx("float32")


def close(keras):
    """On torch and JAX, Keras computes these layers in float32, whatever their type is."""
    if keras.backend.backend() == "tensorflow":
        return CLOSE
    return {"rtol": 2e-5, "atol": 2e-5}


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def applied(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def torch_values(torch, module, x, arrays):
    """The module's values, its parameters set by name."""
    module = module.double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[name]))
        return module(torch.from_numpy(x)).numpy()


def keras_values(layer, x, arrays):
    """The layer's values in inference mode, its variables set by name."""
    with framework_at_work():
        layer.build(x.shape)
        for variable in layer.weights:
            variable.assign(arrays[variable.name])
        found = layer(x, training=False)
        return np.array(found.detach().cpu() if hasattr(found, "detach") else found)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-12])
def test_torch_layer_norm(torch, shape, epsilon):
    for rank in range(1, len(shape) + 1):
        last = shape[-rank:]
        arrays = {"weight": drawn(*last), "bias": drawn(*last) + 1.0}
        x = drawn(4, *shape)
        wanted = torch_values(torch, torch.nn.LayerNorm(last, eps=epsilon), x, arrays)
        axes = tuple(range(len(shape) - rank, len(shape)))
        layers = (
            LayerNormalization(shape, axes, epsilon),
            *per_axis_rescaling(shape, arrays["weight"], arrays["bias"], axes),
        )
        np.testing.assert_allclose(applied(layers, x), wanted, **CLOSE)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("space", [(), (3,), (2, 3)])
def test_torch_group_norm(torch, groups, space):
    if groups == 6 and not space:
        pytest.skip("torch refuses groups of one number")
    shape = (6, *space)
    arrays = {"weight": drawn(6), "bias": drawn(6) + 1.0}
    x = drawn(4, *shape)
    wanted = torch_values(torch, torch.nn.GroupNorm(groups, 6), x, arrays)
    layers = (
        GroupNormalization(shape, groups, 0, 1e-5),
        *per_axis_rescaling(shape, arrays["weight"], arrays["bias"], (0,)),
    )
    np.testing.assert_allclose(applied(layers, x), wanted, **CLOSE)


def test_torch_instance_rms_and_unit_normalisation(torch):
    x = drawn(4, 3, 5)
    plain = torch_values(torch, torch.nn.InstanceNorm1d(3), x, {})
    found = GroupNormalization((3, 5), 3, 0, 1e-5).forward(x)
    np.testing.assert_allclose(found, plain, **CLOSE)
    arrays = {"weight": drawn(5)}
    wanted = torch_values(torch, torch.nn.RMSNorm(5, eps=1e-6), x, arrays)
    layers = (
        RMSNormalization((3, 5), (1,), 1e-6),
        *per_axis_rescaling((3, 5), arrays["weight"], None, (1,)),
    )
    np.testing.assert_allclose(applied(layers, x), wanted, **CLOSE)
    unit = torch.nn.functional.normalize(torch.from_numpy(x), dim=-1).numpy()
    found = UnitNormalization((3, 5), (-1,), 1e-12).forward(x)
    np.testing.assert_allclose(found, unit, **CLOSE)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_torch_attention(torch, bias, causal):
    n, heads, positions = 6, 3, 4
    arrays = {"in_proj_weight": drawn(18, 6), "out_proj.weight": drawn(6, 6)}
    if bias:
        arrays |= {"in_proj_bias": drawn(18), "out_proj.bias": drawn(6)}
    x = drawn(5, positions, n)
    module = torch.nn.MultiheadAttention(n, heads, bias=bias, batch_first=True)
    module = module.double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[name]))
        entered = torch.from_numpy(x)
        hidden = torch.ones(positions, positions, dtype=torch.bool).triu(1)
        wanted, _ = module(entered, entered, entered, attn_mask=hidden if causal else None)
    layer = MultiHeadAttention.of_torch((positions, n), arrays, heads, causal)
    np.testing.assert_allclose(layer.forward(x), wanted.numpy(), **CLOSE)


@pytest.mark.parametrize("axes", [(-1,), (2, 3), (3, 1, 2)])
@pytest.mark.parametrize("parts", [(True, True), (False, True), (False, False)])
def test_keras_layer_normalisation(keras, axes, parts):
    shape = (3, 4, 2)
    inner = tuple(sorted(axis - 1 if axis > 0 else len(shape) + axis for axis in axes))
    size = tuple(shape[axis] for axis in inner)
    x, arrays = drawn(4, *shape), {"gamma": drawn(*size), "beta": drawn(*size)}
    made = keras.layers.LayerNormalization(axis=list(axes), scale=parts[0], center=parts[1])
    wanted = keras_values(made, x, arrays)
    gamma, beta = (
        arrays[name] if given else None
        for name, given in zip(("gamma", "beta"), parts, strict=True)
    )
    layers = (
        LayerNormalization(shape, inner, 1e-3),
        *per_axis_rescaling(shape, gamma, beta, inner),
    )
    np.testing.assert_allclose(applied(layers, x), wanted, **close(keras))


@pytest.mark.parametrize("groups", [1, 2, -1])
@pytest.mark.parametrize("axis", [-1, 1])
def test_keras_group_normalisation(keras, groups, axis):
    shape = (3, 2, 4) if axis == -1 else (4, 3, 2)
    inner = axis if axis < 0 else axis - 1
    x, arrays = drawn(4, *shape), {"gamma": drawn(4), "beta": drawn(4)}
    made = keras.layers.GroupNormalization(groups=groups, axis=axis)
    wanted = keras_values(made, x, arrays)
    layers = (
        GroupNormalization(shape, 4 if groups < 0 else groups, inner, 1e-3),
        *per_axis_rescaling(shape, arrays["gamma"], arrays["beta"], (inner,)),
    )
    np.testing.assert_allclose(applied(layers, x), wanted, **close(keras))


def test_keras_rms_and_unit_normalisation(keras):
    x, arrays = drawn(4, 3, 5), {"scale": drawn(5)}
    wanted = keras_values(keras.layers.RMSNormalization(), x, arrays)
    layers = (
        RMSNormalization((3, 5), (-1,), 1e-6),
        *per_axis_rescaling((3, 5), arrays["scale"], None, (-1,)),
    )
    np.testing.assert_allclose(applied(layers, x), wanted, **close(keras))
    for axes in ((-1,), (1, 2)):
        unit = keras_values(keras.layers.UnitNormalization(axis=list(axes)), x, {})
        inner = tuple(axis if axis < 0 else axis - 1 for axis in axes)
        found = UnitNormalization((3, 5), inner, 1e-12).forward(x)
        np.testing.assert_allclose(found, unit, **close(keras))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sizes", [(3, None, None), (2, 5, 7)])
def test_keras_attention(keras, bias, causal, sizes):
    d, width, made = sizes
    x = drawn(5, 4, 6)
    layer = keras.layers.MultiHeadAttention(
        2, d, value_dim=width, output_shape=made, use_bias=bias
    )
    with framework_at_work():
        layer.build(x.shape, x.shape)
        arrays = {}
        for variable in layer.weights:
            part, kind = variable.path.split("/")[-2:]
            name = "output" if part == "attention_output" else part
            values = drawn(*variable.shape)
            arrays[name if kind == "kernel" else f"{name}_bias"] = values
            variable.assign(values)
        found = layer(x, x, use_causal_mask=causal)
        wanted = np.array(found.detach().cpu() if hasattr(found, "detach") else found)
    mine = MultiHeadAttention((4, 6), arrays, causal)
    np.testing.assert_allclose(mine.forward(x), wanted, **close(keras))
