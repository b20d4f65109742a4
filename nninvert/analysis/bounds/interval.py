"""Interval arithmetic through a network: bounds for every layer, one pass.

What is enclosed is both the exact network and the plain forward pass in float64: every
step maps an interval that holds the numbers entering it, computed or exact, to one that
holds those leaving it, by a-priori bounds of rounding.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import Box, rounding_of_sums, widened
from nninvert.analysis.bounds.normalised import normalised, of_length_one
from nninvert.analysis.bounds.units import ActivationUnits, SlopeUnits, UnitFunction
from nninvert.layers import (
    Block,
    Elementwise,
    Layer,
    LinearLayer,
    LogSoftmax,
    Maximum,
    Minimum,
    Multiply,
    PReLU,
    Softmax,
    UnitNormalization,
)
from nninvert.layers.max_pooling import MaximumLayer
from nninvert.layers.mean_square import MeanSquareLayer
from nninvert.linalg.map import ComposedMap, LinearMap
from nninvert.network import Network

Float64 = NDArray[np.float64]

_ROUNDINGS = 12.0
"""How often the rounding of a forward pass is counted: once for the pass itself, and for
centre, radius, their sums and the fusion of several maps, each at most two of it."""

_SOFTMAX_UNITS = 1024
"""Largest group of a softmax that is enclosed more closely than by its range."""

_STANDS_FOR_INFINITY = 1e300


def interval_bounds(network: Network, lower: Float64, upper: Float64) -> tuple[Box, ...]:
    """Bounds of what enters every segment, and of the outputs, by one interval pass.

    Parameters
    ----------
    network : Network
    lower, upper : float64 arrays, shape (n_in,)
        The inputs; -inf and inf where open.

    Returns
    -------
    tuple of Box
        One for each of `network.segments`, and that of the outputs.
    """
    boxes = [Box(lower, upper)]
    for segment in network.segments:
        boxes.append(image(segment.layer, boxes[-1]))
    return tuple(boxes)


@singledispatch
def image(layer: Layer, box: Box) -> Box:
    """Bounds of what leaves a layer for values in `box`.

    Of a layer that is not known here, nothing is known.
    """
    return Box.everything(int(np.prod(layer.output_shape)))


@image.register
def _(layer: Elementwise, box: Box) -> Box:
    return Box(*units_of(layer).enclose(box.lower, box.upper))


@image.register
def _(layer: PReLU, box: Box) -> Box:
    return Box(*units_of(layer).enclose(box.lower, box.upper))


@image.register
def _(layer: MeanSquareLayer, box: Box) -> Box:
    return normalised(layer, box)


@image.register
def _(layer: UnitNormalization, box: Box) -> Box:
    return of_length_one(layer, box)


@image.register
def _(layer: MaximumLayer, box: Box) -> Box:
    """The largest of a window rises with every cell, and nothing is rounded."""
    shape = (1, *layer.input_shape)
    ends = (layer.forward(end.reshape(shape)).ravel() for end in (box.lower, box.upper))
    return Box(*ends)


def units_of(layer: Elementwise | PReLU) -> UnitFunction:
    """What the layer does to each unit."""
    if isinstance(layer, Elementwise):
        return ActivationUnits(layer.activation)
    slope = np.asarray(layer.alpha, dtype=np.float64)
    return SlopeUnits(np.broadcast_to(slope, layer.input_shape).ravel())


@image.register
def _(layer: LinearLayer, box: Box) -> Box:
    """Centre and radius; terms that are infinite are looked at by their signs."""
    linear_map, bias = layer.linear_part
    finite = _finite_part(box)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = 0.5 * finite.lower + 0.5 * finite.upper
        reach = np.maximum(finite.upper - centre, centre - finite.lower)
        radius = np.where(reach > 0.0, np.nextafter(reach, np.inf), 0.0)
        middle = linear_map.apply(centre[None])[0]
        if bias is not None:
            middle = middle + bias
        spread = spread_through(linear_map, radius)
        own = layer.product_and_rounding(finite.size[None])[1][0]
        margin = spread + _ROUNDINGS * own * _inflation(linear_map)
    found = widened(middle, middle, margin)
    return found if box.is_finite else _with_infinite_terms(linear_map, box, found)


def _finite_part(box: Box) -> Box:
    """The box with infinite ends drawn to the finite ones, or to zero."""
    low, high = np.isfinite(box.lower), np.isfinite(box.upper)
    lower = np.where(low, box.lower, np.where(high, box.upper, 0.0))
    upper = np.where(high, box.upper, np.where(low, box.lower, 0.0))
    return Box(lower, upper)


def matrix_of(linear_map: LinearMap) -> Float64 | None:
    """The matrix in float64, fused where the map is composed; None where it is large."""
    if 8.0 * linear_map.shape[0] * linear_map.shape[1] > tolerances.SMALL_WEIGHTS:
        return None
    return linear_map.dense()


def spread_through(linear_map: LinearMap, radius: Float64) -> Float64:
    """``|A| radius``; for large composed maps the product of the sizes instead."""
    if isinstance(linear_map, ComposedMap):
        matrix = matrix_of(linear_map)
        if matrix is not None:
            return np.asarray(np.abs(matrix) @ radius)
    spread: Float64 = linear_map.magnitude(radius[None])[0] * _inflation(linear_map)
    return spread


def _inflation(linear_map: LinearMap) -> float:
    """What sums of sizes in float32, as large maps make them, may be too small by."""
    m, n = linear_map.shape
    if 8.0 * m * n <= tolerances.SMALL_WEIGHTS:
        return 1.0
    return 1.0 + 4.0 * (n + 8) * float(np.finfo(np.float32).eps)


def _with_infinite_terms(linear_map: LinearMap, box: Box, finite: Box) -> Box:
    """Open the ends that terms without bound reach."""
    matrix = matrix_of(linear_map)
    falls, rises = np.isinf(box.lower), np.isinf(box.upper)
    if matrix is None:
        open_ends = linear_map.magnitude((falls | rises).astype(np.float64)[None])[0] > 0.0
        low = high = open_ends
    else:
        positive, negative = matrix > 0.0, matrix < 0.0
        low = (positive & falls).any(axis=1) | (negative & rises).any(axis=1)
        high = (positive & rises).any(axis=1) | (negative & falls).any(axis=1)
    return Box(np.where(low, -np.inf, finite.lower), np.where(high, np.inf, finite.upper))


@image.register
def _(layer: Block, box: Box) -> Box:
    """Node by node, as if what several nodes read were independent."""
    boxes = {-1: box}
    for place, node in enumerate(layer.wiring.nodes):
        read = [boxes[source] for source in layer.wiring.sources[place]]
        lower = np.concatenate([one.lower for one in read])
        upper = np.concatenate([one.upper for one in read])
        boxes[place] = image(node.layer, Box(lower, upper))
    return boxes[len(layer.wiring.nodes) - 1]


@image.register(Maximum)
@image.register(Minimum)
def _(layer: Maximum | Minimum, box: Box) -> Box:
    """Neither falls where a part rises, and nothing is rounded."""
    return Box(*(layer.forward(end[None])[0].ravel() for end in (box.lower, box.upper)))


@image.register
def _(layer: Multiply, box: Box) -> Box:
    """The extreme products of ends, one part after the other, rounding outwards."""
    lows, highs = layer.parts.split(box.lower), layer.parts.split(box.upper)
    low, high = lows[0], highs[0]
    for more in zip(lows[1:], highs[1:], strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            ends = np.stack(
                np.broadcast_arrays(*(a * b for a in (low, high) for b in more))
            )
        # Zero times infinity is zero here: the other end is never reached.
        ends = np.where(np.isnan(ends), 0.0, ends)
        low = np.nextafter(ends.min(axis=0), -np.inf)
        high = np.nextafter(ends.max(axis=0), np.inf)
    return Box(low.ravel(), high.ravel())


@image.register
def _(layer: Softmax, box: Box) -> Box:
    """A probability rises with its own input and falls with the others."""
    if not _is_moderate(layer, box):
        return Box(np.zeros(box.lower.size), np.ones(box.lower.size))
    low, high = _extremes(layer, box)
    # The sum rounds, and exp at arguments of up to 745 in size.
    margin = rounding_of_sums(layer.group_size + 1600, high)
    found = widened(low, high, margin)
    return Box(np.maximum(found.lower, 0.0), np.minimum(found.upper, 1.0))


@image.register
def _(layer: LogSoftmax, box: Box) -> Box:
    """A logarithm rises with its own input and falls with the others."""
    n = box.lower.size
    if not _is_moderate(layer, box):
        return Box(np.full(n, -np.inf), np.zeros(n))
    low, high = _extremes(layer, box)
    low = np.where(low <= -0.5 * _STANDS_FOR_INFINITY, -np.inf, low)
    size = np.where(np.isfinite(low), np.abs(low), 0.0)
    margin = rounding_of_sums(layer.group_size + 1600, 1.0 + size)
    found = widened(low, high, margin)
    return Box(found.lower, np.minimum(found.upper, 0.0))


def _is_moderate(layer: Softmax | LogSoftmax, box: Box) -> bool:
    """Whether groups are small, and numbers far from what stands for infinity."""
    size = np.where(np.isinf(box.size), 0.0, box.size)
    small = layer.group_size <= _SOFTMAX_UNITS
    return small and bool((size < 1e-9 * _STANDS_FOR_INFINITY).all())


def _extremes(layer: Softmax | LogSoftmax, box: Box) -> tuple[Float64, Float64]:
    """The layer where one unit of each group is at an end and the others at the other."""
    shape, axis = layer.input_shape, layer.axis
    limit = _STANDS_FOR_INFINITY
    lower = np.clip(box.lower, -limit, limit).reshape(shape)
    upper = np.clip(box.upper, -limit, limit).reshape(shape)
    lowest, highest = np.empty(shape), np.empty(shape)
    for unit in range(layer.group_size):
        own = tuple(unit if k == axis else slice(None) for k in range(len(shape)))
        for ends, others, found in ((lower, upper, lowest), (upper, lower, highest)):
            mixed = others.copy()
            mixed[own] = ends[own]
            found[own] = layer.forward(mixed[None])[0][own]
    return lowest.ravel(), highest.ravel()
