"""Operators on grids without a kernel: pooling, padding, resizing, blocks, repetition."""

from __future__ import annotations

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import require_room
from nninvert.formats.onnx.operators.windows import padded
from nninvert.formats.onnx.values import RowsMixed
from nninvert.layers import (
    AdaptiveAveragePooling,
    AveragePooling,
    Cropping,
    DepthToSpace,
    Layer,
    Padding,
    SpaceToDepth,
    UpSampling,
)
from nninvert.layers.max_pooling import GlobalMaxPooling, MaxPooling
from nninvert.layers.window_geometry import CHANNELS_FIRST

_MODES = {
    "constant": "zeros",
    "edge": "edge",
    "reflect": "reflect",
    "wrap": "circular",
}
"""Pad's words as those of `Padding`."""

_NEAREST_OLD = 11
"""Before this opset Resize and Upsample knew no way to place cells but the simplest."""


def _spatial(call: Call) -> int:
    """How many axes stand behind batch and channels."""
    rank = len(call.signal.shape) - 1
    if not call.batched or not 1 <= rank <= 3:
        raise UnsupportedLayerError(
            "", got=f"{call.rank()} axes", expected="batch, channels, 1 to 3 more"
        )
    return rank


def average_pool(call: Call) -> list[Layer]:
    """Means over windows."""
    chain, options = call.chain, _pooling(call)
    layer = AveragePooling(
        chain.shape,
        options.size,
        strides=options.strides,
        padding=options.padding,
        dilation=options.dilation,
        ceil_mode=options.ceil_mode,
        count_padding=bool(call.attributes.whole("count_include_pad", 0)),
        data_format=CHANNELS_FIRST,
    )
    return chain.then(layer).layers


def max_pool(call: Call) -> list[Layer]:
    """Maxima over windows."""
    chain, options = call.chain, _pooling(call)
    layer = MaxPooling(
        chain.shape,
        options.size,
        strides=options.strides,
        padding=options.padding,
        dilation=options.dilation,
        ceil_mode=options.ceil_mode,
        data_format=CHANNELS_FIRST,
    )
    return chain.then(layer).layers


class _Pooling:
    """The attributes that both kinds share."""

    def __init__(self, call: Call, rank: int) -> None:
        attributes = call.attributes
        size = attributes.wholes("kernel_shape")
        if size is None or len(size) != rank or min(size) < 1:
            raise FormatError("kernel_shape", got=str(size), expected=f"{rank} lengths")
        self.size = size
        self.strides = attributes.wholes("strides") or (1,) * rank
        self.dilation = attributes.wholes("dilations") or (1,) * rank
        for name, found in (("strides", self.strides), ("dilations", self.dilation)):
            if len(found) != rank or min(found) < 1:
                raise FormatError(name, got=str(found), expected=f"{rank} numbers above 0")
        sizes = call.signal.shape[1:]
        self.padding = padded(call, sizes, size, self.strides, self.dilation)
        self.ceil_mode = bool(attributes.whole("ceil_mode", 0))
        for length, (before, after), taps in zip(sizes, self.padding, size, strict=True):
            require_room((length + before + after, taps))


def _pooling(call: Call) -> _Pooling:
    return _Pooling(call, _spatial(call))


def global_average(call: Call) -> list[Layer]:
    """One mean for each channel."""
    _spatial(call)
    chain = call.chain
    return chain.then(
        AdaptiveAveragePooling(chain.shape, 1, data_format=CHANNELS_FIRST)
    ).layers


def global_max(call: Call) -> list[Layer]:
    """One maximum for each channel."""
    _spatial(call)
    chain = call.chain
    return chain.then(
        GlobalMaxPooling(chain.shape, keepdims=True, data_format=CHANNELS_FIRST)
    ).layers


def pad(call: Call) -> list[Layer]:
    """Cells added, or cut off where a width is negative."""
    widths = call.wholes(1, "pads")
    mode = call.attributes.text("mode", "constant")
    if widths is None or mode not in _MODES:
        raise FormatError("Pad", got=f"{widths}, mode {mode!r}", expected="widths")
    shape = call.signal.shape
    axes = call.wholes(3, "axes")
    listed = range(call.rank()) if axes is None else axes
    if len(widths) != 2 * len(listed):
        raise FormatError(
            "pads",
            got=f"{len(widths)} widths",
            expected=f"{2 * len(listed)}",
        )
    pairs = [(0, 0)] * len(shape)
    for k, axis in enumerate(listed):
        pair = widths[k], widths[k + len(listed)]
        if pair != (0, 0):
            pairs[call.axis(axis)] = pair
    value = call.scalar(2, "value", call.attributes.number("value", 0.0))
    return _padded(call, pairs, _MODES[mode], value)


def _padded(
    call: Call, pairs: list[tuple[int, int]], mode: str, value: float
) -> list[Layer]:
    chain = call.chain
    cut = [(max(-a, 0), max(-b, 0)) for a, b in pairs]
    grown = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if any(pair != (0, 0) for pair in cut):
        chain.then(Cropping(chain.shape, cut))
    if any(pair != (0, 0) for pair in grown):
        sides = zip(chain.shape, grown, strict=True)
        require_room(tuple(n + a + b for n, (a, b) in sides))
        kept = value if mode == "zeros" else 0.0
        chain.then(Padding(chain.shape, grown, mode=mode, value=kept))
    return chain.layers


def resize(call: Call) -> list[Layer]:
    """Axes a whole number of times as long."""
    rank = _spatial(call)
    factors = _factors(call)
    mode = call.attributes.text("mode", "nearest")
    new = call.opset >= _NEAREST_OLD and call.node.op_type == "Resize"
    where = "half_pixel" if new else "asymmetric"
    rounding = "round_prefer_floor" if new else "floor"
    where = call.attributes.text("coordinate_transformation_mode", where)
    rounding = call.attributes.text("nearest_mode", rounding)
    if mode == "nearest" and (where, rounding) in _REPEATING:
        kind = "nearest"
    elif mode in ("linear", "bilinear") and where in _LINEAR:
        kind = _LINEAR[where]
    else:
        raise UnsupportedLayerError("mode", got=f"{mode}, {where}, {rounding}")
    if call.attributes.whole("antialias", 0):
        raise UnsupportedLayerError("antialias", got="1", expected="0")
    chain = call.chain
    if factors == (1,) * rank:
        return chain.layers
    sizes = zip(chain.shape[1:], factors, strict=True)
    require_room((chain.shape[0], *(n * k for n, k in sizes)))
    return chain.then(
        UpSampling(chain.shape, factors, interpolation=kind, data_format=CHANNELS_FIRST)
    ).layers


_REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}
"""Ways to place cells that repeat each of them a whole number of times."""

_LINEAR = {
    "align_corners": "linear_corners",
    "half_pixel": "linear",
    "pytorch_half_pixel": "linear",
}


def _factors(call: Call) -> tuple[int, ...]:
    """How many times as long each spatial axis becomes."""
    shape = call.signal.shape
    scales: list[float] | None = None
    place = 1 if call.opset < _NEAREST_OLD or call.node.op_type == "Upsample" else 2
    if "scales" in call.attributes:
        scales = call.attributes.numbers("scales")
    elif call.has(place) and call.constant(place, "scales").size:
        scales = call.numbers(place, "scales").ravel().tolist()
    axes = call.attributes.wholes("axes") or tuple(range(call.rank()))
    if scales is None:
        sizes = call.target_shape(3)
        if len(sizes) != len(axes):
            raise FormatError("sizes", got=str(sizes), expected=f"{len(axes)} lengths")
        full = (sizes[0], *shape) if axes[0] % call.rank() == 0 else (1, *shape)
        pairs = zip(sizes, axes, strict=True)
        scales = [size / full[axis % call.rank()] for size, axis in pairs]
    if len(scales) != len(axes):
        raise FormatError("scales", got=str(scales), expected=f"{len(axes)} numbers")
    found = [1.0] * call.rank()
    for factor, axis in zip(scales, axes, strict=True):
        found[axis % call.rank()] = factor
    if found[:2] != [1.0, 1.0] or any(f < 1.0 or f % 1.0 for f in found):
        raise UnsupportedLayerError(
            "scales", got=str(found), expected="whole numbers along spatial axes"
        )
    return tuple(int(f) for f in found[2:])


def space_to_depth(call: Call) -> list[Layer]:
    """Blocks become channels."""
    chain, block = call.chain, call.attributes.whole("blocksize", 0)
    mode = call.attributes.text("mode", "DCR")
    return chain.then(
        SpaceToDepth(chain.shape, block, mode=mode, data_format=CHANNELS_FIRST)
    ).layers


def depth_to_space(call: Call) -> list[Layer]:
    """Channels become blocks."""
    chain, block = call.chain, call.attributes.whole("blocksize", 0)
    mode = call.attributes.text("mode", "DCR")
    return chain.then(
        DepthToSpace(chain.shape, block, mode=mode, data_format=CHANNELS_FIRST)
    ).layers


def tile(call: Call) -> list[Layer]:
    """All of it several times along each axis."""
    counts = call.wholes(1, "repeats")
    if counts is None or len(counts) != call.rank():
        raise FormatError("repeats", got=str(counts), expected=f"{call.rank()} numbers")
    if call.batched and counts[0] != 1:
        raise RowsMixed("repeats rows")
    counts = counts[call.rows :]
    if all(n == 1 for n in counts):
        return call.chain.layers
    return call.chain.repeat(counts).layers


def expand(call: Call) -> list[Layer]:
    """Axes of length 1 repeated, as NumPy broadcasts."""
    target = call.target_shape(1)
    rank = max(len(target), call.rank())
    if call.batched and len(target) > call.rank():
        raise RowsMixed("puts axes before the batch")
    shape = call.signal.shape
    full = (*(1,) * (rank - call.rank()), *(-2,) * call.rows, *shape)
    wanted = (*(1,) * (rank - len(target)), *target)
    if call.batched and wanted[0] not in (1, -2):
        raise RowsMixed("repeats rows")
    counts = []
    for have, want in list(zip(full, wanted, strict=True))[call.rows :]:
        if want not in (1, have) and have != 1:
            raise FormatError("shape", got=str(wanted), expected=f"one for {full}")
        counts.append(want if have == 1 else 1)
    chain = call.chain.reshape(full[call.rows :])
    if any(n != 1 for n in counts):
        chain.repeat(counts)
    return chain.layers
