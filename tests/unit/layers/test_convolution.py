"""Convolutions against their definition, written as loops, for all options together."""

import json
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
