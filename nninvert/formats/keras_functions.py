"""What the functions of keras.ops and TensorFlow that are read compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._json import Fields, as_whole
from nninvert.formats.keras_activations import activation_layers, inner_axis
from nninvert.formats.keras_class import counts
from nninvert.formats.keras_merges import joined
from nninvert.formats.keras_nodes import Tensor
from nninvert.formats.keras_operations import Build, Made, Operation
from nninvert.formats.keras_slices import flipped, sliced, split, taken
from nninvert.layers import (
    DepthToSpace,
    Elementwise,
    Identity,
    Layer,
    Padding,
    Permute,
    Rescaling,
    Reshape,
    Shape,
    SpaceToDepth,
)
from nninvert.layers.activations import activation_from_config
from nninvert.layers.softmax import LogSoftmax, Softmax

Constant = NDArray[np.float64]


def _binary(op: Operation) -> Made:
    """Two tensors, or a tensor and a constant, by an operator."""
    first, second = op.values.get("x1", op.values.get("x")), op.values.get("x2")
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        shapes = [op.shape(first), op.shape(second)]
        if len(shapes[0]) != len(shapes[1]):
            raise UnsupportedLayerError("", got=f"of shapes {shapes[0]} and {shapes[1]}")
        layers = joined(_MERGES[op.name], shapes)
        return Made(layers, (first.number, second.number))
    if isinstance(first, Tensor):
        shape = op.shape(first)
        constant = _constant(second, shape)
        return Made(_RIGHT[op.name](shape, constant), (first.number,))
    if not isinstance(second, Tensor):
        raise UnsupportedLayerError("", got="called on constants")
    if op.name not in _LEFT:
        raise UnsupportedLayerError("", got="with a tensor behind it")
    shape = op.shape(second)
    return Made(_LEFT[op.name](shape, _constant(first, shape)), (second.number,))


_MERGES = {
    "add": "Add",
    "divide": "Divide",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Multiply",
    "subtract": "Subtract",
}

_ONE, _ZERO = np.ones(()), np.zeros(())


def _scaled(shape: Shape, scale: Constant, offset: Constant) -> tuple[Layer, ...]:
    return (Rescaling(shape, scale, offset),)


def _at_least(shape: Shape, least: Constant) -> tuple[Layer, ...]:
    """max(x, c) as c + relu(x - c), of zero without the detour."""
    relu = Elementwise(shape, activation_from_config({"name": "relu"}))
    if not least.any():
        return (relu,)
    return (*_scaled(shape, _ONE, -least), relu, *_scaled(shape, _ONE, least))


def _at_most(shape: Shape, most: Constant) -> tuple[Layer, ...]:
    """min(x, c) as -max(-x, -c)."""
    turned = _scaled(shape, -_ONE, _ZERO)
    return (*turned, *_at_least(shape, -most), *turned)


def _divided(shape: Shape, constant: Constant) -> tuple[Layer, ...]:
    if not np.all(constant):
        raise FormatError("x2", got="0", expected="numbers that can be divided by")
    return _scaled(shape, 1.0 / constant, _ZERO)


_RIGHT: dict[str, Callable[[Shape, Constant], tuple[Layer, ...]]] = {
    "add": lambda shape, c: _scaled(shape, _ONE, c),
    "divide": _divided,
    "maximum": _at_least,
    "minimum": _at_most,
    "multiply": lambda shape, c: _scaled(shape, c, _ZERO),
    "subtract": lambda shape, c: _scaled(shape, _ONE, -c),
}
"""A tensor, then a constant."""

_LEFT: dict[str, Callable[[Shape, Constant], tuple[Layer, ...]]] = {
    **_RIGHT,
    "subtract": lambda shape, c: _scaled(shape, -_ONE, c),
}
del _LEFT["divide"]


def _constant(value: Any, shape: Shape) -> Constant:
    """Numbers that broadcast to the shape and leave it as it is."""
    if isinstance(value, dict):
        value = value.get("value")
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError("", got=repr(value), expected="numbers") from error
    if found.ndim == len(shape) + 1 and len(found) == 1:
        found = found[0]
    try:
        fits = np.broadcast_shapes(found.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits or found.ndim > len(shape):
        raise UnsupportedLayerError("", got=f"with a constant of shape {found.shape}")
    if not np.isfinite(found).all():
        raise FormatError("", got="a constant that is not finite", expected="numbers")
    return found


def _negative(op: Operation) -> Made:
    return op.on_one(lambda shape: _scaled(shape, -_ONE, _ZERO))


def _square(op: Operation) -> Made:
    tensor = op.tensor()
    return Made(joined("Multiply", [op.shape(tensor)] * 2), (tensor.number,) * 2)


def _activation(name: str, **parameters: str) -> Build:
    """An activation of which parameters are arguments: {its name: argument}."""

    def build(op: Operation) -> Made:
        given = {
            key: op.fields().number(argument)
            for key, argument in parameters.items()
            if op.values.get(argument) is not None
        }
        if not given:
            return op.on_one(lambda shape: activation_layers(name, shape, 3))
        config = {"name": name, **given}
        return op.on_one(lambda s: [Elementwise(s, activation_from_config(config))])

    return build


def _gelu(op: Operation) -> Made:
    approximate = op.fields().flag("approximate", default=True)
    name = "gelu_tanh" if approximate else "gelu"
    return op.on_one(lambda s: [Elementwise(s, activation_from_config({"name": name}))])


def _clip(op: Operation) -> Made:
    low, high = op.fields().number("x_min"), op.fields().number("x_max")
    config = {"name": "hard_tanh", "min_value": low, "max_value": high}
    return op.on_one(lambda s: [Elementwise(s, activation_from_config(config))])


def _softmax(kind: type[Softmax] | type[LogSoftmax]) -> Build:
    def build(op: Operation) -> Made:
        axis = -1 if op.values.get("axis") is None else op.fields().whole("axis")
        return op.on_one(lambda shape: [kind(shape, inner_axis(axis, len(shape)))])

    return build


def _reshape(op: Operation) -> Made:
    _, *wanted = _lengths(op.fields().raw("shape"), "shape")

    def make(shape: Shape) -> list[Layer]:
        known = [n for n in wanted if n != -1]
        if len(known) == len(wanted) and np.prod(known) != np.prod(shape):
            raise UnsupportedLayerError("shape", got=f"{wanted} of {shape}, across samples")
        return [Reshape(shape, tuple(wanted))]

    return op.on_one(make)


def _lengths(value: Any, field: str) -> list[int]:
    items = value if isinstance(value, list) else [value]
    return [-1 if n is None else as_whole(n, field) for n in items]


def _transpose(op: Operation) -> Made:
    def make(shape: Shape) -> list[Layer]:
        rank = len(shape) + 1
        given = op.values.get("axes")
        axes = list(range(rank))[::-1] if given is None else _lengths(given, "axes")
        return _moved(shape, [axis % rank for axis in axes])

    return op.on_one(make)


def _moved(shape: Shape, axes: list[int]) -> list[Layer]:
    """Axes in another order, the batch among them."""
    if not axes or axes[0] != 0:
        raise UnsupportedLayerError("axes", got=f"{axes}, which move the batch")
    return [Permute(shape, tuple(axis - 1 for axis in axes[1:]))]


def _swap_axes(op: Operation) -> Made:
    def make(shape: Shape) -> list[Layer]:
        axes = list(range(len(shape) + 1))
        one, two = (inner_axis(op.fields().whole(k), len(shape)) + 1 for k in _SWAPPED)
        axes[one], axes[two] = two, one
        return _moved(shape, axes)

    return op.on_one(make)


_SWAPPED = ("axis1", "axis2")


def _squeeze(op: Operation) -> Made:
    def make(shape: Shape) -> list[Layer]:
        given = op.values.get("axis")
        listed = [k + 1 for k, n in enumerate(shape) if n == 1]
        axes = listed if given in (None, []) else _lengths(given, "axis")
        gone = {inner_axis(axis, len(shape)) for axis in axes}
        if any(shape[axis] != 1 for axis in gone):
            raise FormatError("axis", got=str(axes), expected="axes of length 1")
        kept = tuple(n for k, n in enumerate(shape) if k not in gone)
        return [Reshape(shape, kept)]

    return op.on_one(make)


def _expand_dims(op: Operation) -> Made:
    axis = op.fields().whole("axis")

    def make(shape: Shape) -> list[Layer]:
        place = inner_axis(axis, len(shape) + 1)
        return [Reshape(shape, (*shape[:place], 1, *shape[place:]))]

    return op.on_one(make)


def _pad(op: Operation) -> Made:
    widths = op.values.get("pad_width")
    listed = widths if isinstance(widths, list) else []
    pairs = [counts(Fields({"pad_width": pair}), "pad_width") for pair in listed]
    mode = op.fields().text("mode", default="constant").lower()
    value = op.fields().number("constant_values", default=0.0)
    if mode not in _PAD_MODES or not all(pairs) or pairs[:1] != [(0, 0)]:
        raise UnsupportedLayerError("", got=f"mode {mode}, widths {widths}")
    inner = [(pair[0], pair[-1]) for pair in pairs[1:]]
    return op.on_one(lambda s: [Padding(s, inner, mode=_PAD_MODES[mode], value=value)])


_PAD_MODES = {"constant": "zeros", "reflect": "reflect", "symmetric": "symmetric"}


def _concatenate(op: Operation) -> Made:
    tensors = op.tensors("xs")
    axis = -1 if op.values.get("axis") is None else op.fields().whole("axis")
    layers = joined("Concatenate", [op.shape(one) for one in tensors], axis)
    return Made(layers, tuple(one.number for one in tensors))


def _stack(op: Operation) -> Made:
    """Concatenation along an axis that is not there before."""
    tensors = op.tensors("xs")
    shapes = {op.shape(one) for one in tensors}
    if len(shapes) > 1:
        raise FormatError("xs", got=f"shapes {sorted(shapes)}", expected="equal shapes")
    (shape,) = shapes
    axis = inner_axis(op.fields().whole("axis"), len(shape) + 1)
    (first, *_) = joined("Concatenate", [(n_of(shape),)] * len(tensors), -1)
    layers: list[Layer] = [first, Reshape(first.output_shape, (len(tensors), *shape))]
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1)]
    if axis:
        layers.append(Permute(layers[-1].output_shape, tuple(order)))
    return Made(tuple(layers), tuple(one.number for one in tensors))


def n_of(shape: Shape) -> int:
    """How many numbers a sample has."""
    return int(np.prod(shape))


def _get_item(op: Operation) -> Made:
    return op.on_one(lambda shape: sliced(shape, op.values.get("key")))


def _split(op: Operation) -> Made:
    fields = op.fields()
    axis = 0 if op.values.get("axis") is None else fields.whole("axis")
    wanted = fields.raw("indices_or_sections")
    sizes = op.name == "split_sizes"
    return op.on_one(lambda s: split(s, wanted, axis, op.output, by_sizes=sizes))


def _take(op: Operation) -> Made:
    axis = op.values.get("axis")
    indices = op.fields().raw("indices")
    if axis is None:
        raise UnsupportedLayerError("axis", got="None")
    return op.on_one(lambda shape: taken(shape, indices, as_whole(axis, "axis")))


def _flip(op: Operation) -> Made:
    axes = op.values.get("axis")
    return op.on_one(lambda shape: flipped(shape, axes))


def _unstack(op: Operation) -> Made:
    axis = 0 if op.values.get("axis") is None else op.fields().whole("axis")
    return op.on_one(lambda shape: taken(shape, op.output, axis))


def _identity(op: Operation) -> Made:
    return op.on_one(lambda shape: [Identity(shape)])


def _blocks(kind: type[SpaceToDepth] | type[DepthToSpace]) -> Build:
    def build(op: Operation) -> Made:
        order = op.fields().text("data_format", default="NHWC")
        if order not in ("NHWC", "channels_last"):
            raise UnsupportedLayerError("data_format", got=repr(order))
        return op.on_one(lambda shape: [kind(shape, op.fields().whole("block_size"))])

    return build


FUNCTIONS: dict[str, Build] = {
    **dict.fromkeys(_MERGES, _binary),
    "celu": _activation("celu", alpha="alpha"),
    "clip": _clip,
    "concatenate": _concatenate,
    "depth_to_space": _blocks(DepthToSpace),
    "elu": _activation("elu", alpha="alpha"),
    "exponential": _activation("exponential"),
    "expand_dims": _expand_dims,
    "flip": _flip,
    "gelu": _gelu,
    "get_item": _get_item,
    "hard_sigmoid": _activation("hard_sigmoid"),
    "hard_silu": _activation("hard_silu"),
    "hard_tanh": _activation("hard_tanh"),
    "identity": _identity,
    "leaky_relu": _activation("leaky_relu", negative_slope="negative_slope"),
    "log_sigmoid": _activation("log_sigmoid"),
    "log_softmax": _softmax(LogSoftmax),
    "mish": _activation("mish"),
    "negative": _negative,
    "pad": _pad,
    "relu": _activation("relu"),
    "relu6": _activation("relu6"),
    "reshape": _reshape,
    "selu": _activation("selu"),
    "sigmoid": _activation("sigmoid"),
    "silu": _activation("silu"),
    "softmax": _softmax(Softmax),
    "softplus": _activation("softplus"),
    "softsign": _activation("softsign"),
    "space_to_depth": _blocks(SpaceToDepth),
    "split": _split,
    "split_sizes": _split,
    "square": _square,
    "squareplus": _activation("squareplus", b="b"),
    "squeeze": _squeeze,
    "stack": _stack,
    "subtract": _binary,
    "swap_axes": _swap_axes,
    "take": _take,
    "tanh": _activation("tanh"),
    "tanh_shrink": _activation("tanh_shrink"),
    "transpose": _transpose,
    "unstack": _unstack,
}
"""By the name that both dialects are translated to."""
