"""Convolutions against their definition, written as loops, for all options together."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nninvert.errors import ShapeError
from nninvert.layers import Convolution, TransposedConvolution


def naive(x, kernel, windows, groups):
    """One row (*grid, channels) by the definition; places outside count by the padding."""
    fan_in, channels = kernel.shape[-2:]
    own = channels // groups
    y = np.zeros((*windows.counts, channels))
    for window in np.ndindex(*windows.counts):
        for tap in np.ndindex(*windows.kernel):
            place = [
                p * s + t * d - b
                for p, s, t, d, b in zip(
                    window,
                    windows.strides,
                    tap,
                    windows.dilation,
                    windows.before,
                    strict=True,
                )
            ]
            if windows.circular:
                place = [p % n for p, n in zip(place, windows.sizes, strict=True)]
            if any(not 0 <= p < n for p, n in zip(place, windows.sizes, strict=True)):
                continue
            for o in range(channels):
                first = o // own * fan_in
                seen = x[(*place, slice(first, first + fan_in))]
                y[(*window, o)] += kernel[(*tap, slice(None), o)] @ seen
    return y


def naive_transpose(x, kernel, windows, groups):
    """Each input of (*windows, channels in) spread over the places of its window."""
    fan_out, channels = kernel.shape[-2:]
    own = channels // groups
    y = np.zeros((*windows.sizes, fan_out * groups))
    for window in np.ndindex(*windows.counts):
        for tap in np.ndindex(*windows.kernel):
            place = [
                p * s + t * d - b
                for p, s, t, d, b in zip(
                    window,
                    windows.strides,
                    tap,
                    windows.dilation,
                    windows.before,
                    strict=True,
                )
            ]
            if any(not 0 <= p < n for p, n in zip(place, windows.sizes, strict=True)):
                continue
            for c in range(channels):
                first = c // own * fan_out
                y[(*place, slice(first, first + fan_out))] += (
                    kernel[(*tap, slice(None), c)] * x[(*window, c)]
                )
    return y


@st.composite
def geometries(draw):
    rank = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 4}[rank]
    numbers = st.integers(1, 3)

    def axes(numbers):
        return tuple(draw(numbers) for _ in range(rank))

    made = {
        "sizes": axes(st.integers(1, most)),
        "kernel": axes(numbers),
        "strides": axes(numbers),
        "dilation": axes(st.integers(1, 2)),
        "groups": draw(numbers),
        "fan": draw(st.integers(1, 2)),
        "channels": draw(st.integers(1, 2)),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        "bias": draw(st.booleans()),
    }
    pairs = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    words = ["valid", "same", pairs] + (["causal"] if rank == 1 else [])
    made["padding"] = draw(st.sampled_from(words))
    return made


def arrays(made, fan, channels):
    """Kernel, bias and inputs (channels last) of the sizes that were drawn."""
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((*made["kernel"], fan, channels))
    bias = rng.standard_normal(channels) if made["bias"] else None
    return rng, kernel, bias


def by_format(x, data_format):
    """(batch, *grid, channels) as a layer of this format has it."""
    return np.moveaxis(x, -1, 1) if data_format == "channels_first" else x


def shape_of(sizes, channels, data_format):
    first = data_format == "channels_first"
    return (channels, *sizes) if first else (*sizes, channels)


def made_or_none(kind, *arguments, **options):
    """The layer, or None for a geometry that leaves no window or no output."""
    try:
        return kind(*arguments, **options)
    except ShapeError:
        return None


@settings(deadline=None, max_examples=150)
@given(geometries(), st.sampled_from(["zeros", "circular"]))
def test_forward_is_the_definition(made, padding_mode):
    groups, form = made["groups"], made["data_format"]
    fan, channels = made["fan"], made["channels"] * groups
    rng, kernel, bias = arrays(made, fan, channels)
    shape = shape_of(made["sizes"], fan * groups, form)
    options = {k: made[k] for k in ("strides", "dilation", "groups", "padding")}
    layer = made_or_none(
        Convolution,
        shape,
        kernel,
        bias,
        padding_mode=padding_mode,
        data_format=form,
        **options,
    )
    if layer is None:
        return
    x = rng.standard_normal((2, *made["sizes"], fan * groups))
    expected = np.stack([naive(row, kernel, layer.windows, groups) for row in x])
    if bias is not None:
        expected += bias
    found = layer.forward(by_format(x, form))
    assert found.shape[1:] == layer.output_shape
    np.testing.assert_allclose(found, by_format(expected, form), rtol=1e-12, atol=1e-12)
    check_map(layer, rng)


@settings(deadline=None, max_examples=150)
@given(geometries(), st.sampled_from([None, 0, 1]))
def test_transposed_forward_is_the_definition(made, output_padding):
    groups, form = made["groups"], made["data_format"]
    fan, channels = made["fan"], made["channels"] * groups
    rng, kernel, _ = arrays(made, fan, channels)
    bias = rng.standard_normal(fan * groups) if made["bias"] else None
    shape = shape_of(made["sizes"], channels, form)
    options = {k: made[k] for k in ("strides", "dilation", "groups", "padding")}
    layer = made_or_none(
        TransposedConvolution,
        shape,
        kernel,
        bias,
        output_padding=output_padding,
        data_format=form,
        **options,
    )
    if layer is None:
        return
    x = rng.standard_normal((2, *made["sizes"], channels))
    expected = np.stack([naive_transpose(row, kernel, layer.windows, groups) for row in x])
    if bias is not None:
        expected += bias
    found = layer.forward(by_format(x, form))
    assert found.shape[1:] == layer.output_shape
    np.testing.assert_allclose(found, by_format(expected, form), rtol=1e-12, atol=1e-12)
    check_map(layer, rng)


def check_map(layer, rng):
    """Adjoint, magnitudes and the sparse matrix agree with the dense one."""
    linear_map = layer.linear_part[0]
    matrix = linear_map.apply(np.eye(linear_map.shape[1])).T
    np.testing.assert_allclose(linear_map.dense(), matrix, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(
        linear_map.sparse().to_float64(), matrix, rtol=1e-13, atol=1e-13
    )
    x = rng.standard_normal((2, 1, linear_map.shape[1]))
    size = linear_map.magnitude(x)
    assert size.shape == (2, 1, linear_map.shape[0])
    # Where a circular window meets a place twice, the sizes of both count.
    assert (size >= np.abs(x) @ np.abs(matrix).T * (1.0 - 1e-12)).all()
    if not getattr(linear_map, "windows", None) or not linear_map.windows.circular:
        np.testing.assert_allclose(size, np.abs(x) @ np.abs(matrix).T, atol=1e-12)


def golden():
    """What `make_convolution_golden.py` has written."""
    found = []
    for framework in ("torch", "keras"):
        with np.load(Path(__file__).with_name(f"convolution_{framework}.npz")) as file:
            cases, numbers = json.loads(str(file["cases"])), file["numbers"]
        for number, case in enumerate(cases):
            arrays = {}
            for name, shape in case["shapes"].items():
                size = int(np.prod(shape))
                arrays[name] = numbers[:size].astype(np.float64).reshape(shape)
                numbers = numbers[size:]
            found.append(pytest.param(framework, case, arrays, id=f"{framework} {number}"))
        assert not numbers.size
    return found


@pytest.mark.parametrize(("framework", "case", "arrays"), golden())
def test_forward_is_that_of_the_framework(framework, case, arrays):
    """The numbers are such that frameworks sum them without rounding."""
    kind, kernel = case["kind"], arrays["kernel"]
    if framework == "torch":
        kernel = np.moveaxis(kernel, (1, 0), (-2, -1))
        assert np.shares_memory(kernel, arrays["kernel"])
    if kind == "depthwise":
        *taps, channels, multiplier = kernel.shape
        kernel = kernel.reshape(*taps, 1, channels * multiplier)
    made = TransposedConvolution if kind == "transposed_convolution" else Convolution
    layer = made(arrays["x"].shape[1:], kernel, arrays.get("bias"), **case["config"])
    np.testing.assert_array_equal(layer.forward(arrays["x"]), arrays["y"])
    again = made.from_config(layer.config(), layer.weights(), layer.input_shape)
    np.testing.assert_array_equal(again.forward(arrays["x"]), arrays["y"])


def test_real_sizes_need_no_matrix():
    """224 x 224 places of 64 channels: few arrays of the size of the input."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((3, 3, 64, 64)).astype(np.float32)
    layer = Convolution((224, 224, 64), kernel, padding="same")
    linear_map = layer.linear_part[0]
    x = rng.standard_normal((1, linear_map.shape[1]))
    tracemalloc.start()
    y = linear_map.apply(x)
    back = linear_map.adjoint(y)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 8 * x.nbytes
    assert np.sum(x * back) == pytest.approx(np.sum(y * y), rel=1e-12)
    grid, made = x.reshape(224, 224, 64), y.reshape(224, 224, 64)
    for i, j in ((0, 0), (100, 17), (223, 222)):
        seen = np.zeros((3, 3, 64))
        for a, b in np.ndindex(3, 3):
            if 0 <= i + a - 1 < 224 and 0 <= j + b - 1 < 224:
                seen[a, b] = grid[i + a - 1, j + b - 1]
        expected = np.einsum("abc,abco->o", seen, kernel.astype(np.float64))
        np.testing.assert_allclose(made[i, j], expected, rtol=1e-12, atol=1e-12)


def test_zeros_of_the_kernel_are_no_entries():
    kernel = np.array([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
    layer = Convolution((4, 2), kernel, padding="causal")
    assert layer.linear_part[0].sparse().size == 3 * 2 + 4 * 1


def refusals():
    kernel = np.zeros((3, 3, 2, 4))
    shape = (6, 5, 2)
    yield "kernel", Convolution, shape, np.zeros((3, 2, 4)), {}
    yield "kernel", Convolution, (6, 5, 3), kernel, {}
    yield "groups", Convolution, (6, 5, 6), kernel, {"groups": 3}
    yield "bias", Convolution, shape, kernel, {"bias": np.zeros(3)}
    yield "strides", Convolution, shape, kernel, {"strides": 0}
    yield "dilation", Convolution, shape, kernel, {"dilation": (1, 2, 3)}
    yield "padding", Convolution, shape, kernel, {"padding": "full"}
    yield "padding", Convolution, shape, kernel, {"padding": "causal"}
    yield "padding", Convolution, shape, kernel, {"padding": [(1, -1), 0]}
    yield "padding", Convolution, shape, kernel, {"padding": [1]}
    wide = {"padding": [(7, 0), 0], "padding_mode": "circular"}
    yield "padding", Convolution, shape, kernel, wide
    yield "padding", Convolution, shape, kernel, {"padding": "same", "dilation": 10**6}
    yield "padding_mode", Convolution, shape, kernel, {"padding_mode": "reflect"}
    yield "data_format", Convolution, shape, kernel, {"data_format": "NHWC"}
    yield "kernel size", Convolution, (6, 2, 2), kernel, {}
    yield "input shape", Convolution, (2,), kernel, {}
    yield "kernel", TransposedConvolution, shape, kernel, {}
    last = (6, 5, 4)
    yield "padding", TransposedConvolution, last, kernel, {"padding": "causal"}
    yield "padding", TransposedConvolution, (1, 1, 4), kernel, {"padding": [2, 1]}
    yield "output_padding", TransposedConvolution, last, kernel, {"output_padding": -1}
    yield "bias", TransposedConvolution, last, kernel, {"bias": np.zeros(4)}


@pytest.mark.parametrize(("field", "kind", "shape", "kernel", "options"), list(refusals()))
def test_what_does_not_fit_is_refused(field, kind, shape, kernel, options):
    with pytest.raises(ShapeError) as caught:
        kind(shape, kernel, **options)
    assert caught.value.field == field


def test_facts_tell_what_is_lost():
    wide = Convolution((4, 4, 2), np.ones((2, 2, 2, 3)), strides=2).facts
    assert (wide.one_to_one, wide.onto, wide.lost) == (False, None, 20)
    assert wide.reason == "maps 32 numbers to 12: at least 20 directions of x are lost"
    unread = Convolution((5, 2), np.ones((1, 2, 4)), strides=2).facts
    assert (unread.one_to_one, unread.onto, unread.lost) == (False, False, 4)
    assert unread.reason == "its windows never read 4 of its 10 inputs"
    square = Convolution((5, 2), np.ones((3, 2, 2)), padding="same").facts
    assert (square.one_to_one, square.onto, square.lost) == (None, None, 0)
    assert square.reason == ""
