"""Bounds of linear functions of a layer's values, by linear relaxation of the others.

Every activation is replaced by a line below and a line above it (`lines`); a linear
function of values late in the network is then carried back to the inputs, where its least
value over a box is known: Zhang et al., Efficient Neural Network Robustness Certification
with General Activation Functions, NeurIPS 2018, arXiv 1811.00866; Singh et al., An Abstract
Domain for Certifying Neural Networks, POPL 2019.

The bounds hold for the exact network and for the plain forward pass, and their own
rounding is paid for: an error of a coefficient is charged with the largest value that it
can multiply, which the intervals of the layers know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import TINY, Box, rounding_of_sums
from nninvert.analysis.bounds.interval import image, matrix_of, units_of
from nninvert.analysis.bounds.lines import Lines, lines
from nninvert.context import Context
from nninvert.layers import Elementwise, Layer, LinearLayer, PReLU
from nninvert.network import Network

Float64 = NDArray[np.float64]

RELAXATION_WORK = 4e9
"""Most multiplications that carrying the units of all layers back may take: a second or
two. Layers for which that is not enough keep the intervals that follow from the ones
before."""


@dataclass(frozen=True)
class AffineStep:
    """``A v + b``, with what the forward pass and the fusion of maps may add or take.

    Attributes
    ----------
    matrix : float64 array, shape (m, n)
    bias, error : float64 arrays, shape (m,)
    """

    matrix: Float64
    bias: Float64
    error: Float64


Step = AffineStep | Lines


@dataclass(frozen=True)
class Relaxation:
    """A network over a box of inputs: bounds of all layers, and lines that tighten them.

    Attributes
    ----------
    boxes : tuple of Box
        Of what enters each segment, and of the outputs.
    steps : tuple of Step
        One for each segment; empty where a matrix is too large to be held, or where the
        time did not suffice.
    """

    boxes: tuple[Box, ...]
    steps: tuple[Step, ...]

    def lower_bounds(self, coefficients: Float64) -> Float64:
        """A guaranteed lower bound of each ``coefficients @ y``, y being outputs.

        Parameters
        ----------
        coefficients : float64 array, shape (q, n_out)

        Returns
        -------
        float64 array, shape (q,), -inf where nothing is known.
        """
        boxes = self.boxes if self.steps else self.boxes[-1:]
        return lower_bounds(coefficients, self.steps, boxes)

    @property
    def outputs(self) -> Box:
        """Bounds of the outputs."""
        return self.boxes[-1]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        held = sum(box.lower.nbytes + box.upper.nbytes for box in self.boxes)
        for step in self.steps:
            held += step.matrix.nbytes if isinstance(step, AffineStep) else 0
        return held


def relax(network: Network, lower: Float64, upper: Float64, context: Context) -> Relaxation:
    """Bound every layer, tightly as far as `RELAXATION_WORK` goes.

    Parameters
    ----------
    network : Network
    lower, upper : float64 arrays, shape (n_in,)
        The inputs; -inf and inf where open. Layers that this leaves unbounded are bounded
        by the ranges of activations alone.
    context : Context
        Asked whether to stop; what is left then keeps its intervals.
    """
    boxes: list[Box] = [Box(lower, upper)]
    steps: list[Step] = []
    complete = True
    work, carried = 0.0, 0.0
    for place, segment in enumerate(network.segments):
        box = image(segment.layer, boxes[-1])
        complete = complete and not context.should_stop()
        step = _step(segment.layer, boxes[-1]) if complete else None
        complete = step is not None
        if step is not None:
            steps.append(step)
        if isinstance(step, AffineStep):
            carried += step.matrix.size
            cost = 4.0 * step.matrix.shape[0] * carried
            # Up to the first activation intervals are exact.
            if place > 1 and work + cost <= RELAXATION_WORK:
                work += cost
                box = box.meet(ranges(np.eye(step.matrix.shape[0]), steps, boxes))
        boxes.append(box)
    return Relaxation(tuple(boxes), tuple(steps) if complete else ())


def _step(layer: Layer, box: Box) -> Step | None:
    """What stands for a layer; None where its matrix is too large."""
    if isinstance(layer, Elementwise | PReLU):
        return lines(units_of(layer), box.lower, box.upper)
    if not isinstance(layer, LinearLayer):
        return _constant(image(layer, box), box.lower.size)
    linear_map, bias = layer.linear_part
    matrix = matrix_of(linear_map)
    if matrix is None:
        return None
    known = np.isfinite(box.size)
    size = np.where(known, box.size, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        error = 4.0 * layer.product_and_rounding(size[None])[1][0] + TINY
    # What rounds where a term has no bound has none either.
    error[(matrix[:, ~known] != 0.0).any(axis=1)] = np.inf
    offset = np.zeros(matrix.shape[0]) if bias is None else bias
    return AffineStep(matrix, offset, error)


def _constant(box: Box, n: int) -> Step | None:
    """The values of a layer with n inputs, of which only bounds are known."""
    m = box.lower.size
    if m == n:
        flat = np.zeros(m)
        return Lines(flat, box.lower, flat, box.upper)
    if 8.0 * m * n > tolerances.SMALL_WEIGHTS:
        return None
    known = np.isfinite(box.lower) & np.isfinite(box.upper)
    low, high = np.where(known, box.lower, 0.0), np.where(known, box.upper, 0.0)
    middle = 0.5 * low + 0.5 * high
    reach = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
    return AffineStep(np.zeros((m, n)), middle, np.where(known, reach, np.inf))


def ranges(coefficients: Float64, steps: Sequence[Step], boxes: Sequence[Box]) -> Box:
    """Bounds of linear functions of the values that leave the last step.

    Parameters
    ----------
    coefficients : float64 array, shape (q, m)
    steps : sequence of Step
    boxes : sequence of Box
        Of what enters each of the steps, and possibly of what leaves the last.
    """
    low = lower_bounds(coefficients, steps, boxes)
    return Box(low, -lower_bounds(-coefficients, steps, boxes))


@np.errstate(over="ignore", invalid="ignore")
def lower_bounds(
    coefficients: Float64, steps: Sequence[Step], boxes: Sequence[Box]
) -> Float64:
    """A guaranteed lower bound of each ``coefficients @ v``, v leaving the last step.

    Of the bounds that the boxes on the way give the best is taken.

    Returns
    -------
    float64 array, shape (q,), -inf where nothing is known.
    """
    best = np.full(coefficients.shape[0], -np.inf)
    carried = _Carried.of(coefficients)
    if len(boxes) > len(steps):
        best = carried.least(boxes[len(steps)])
    for step, box in zip(reversed(steps), reversed(boxes[: len(steps)]), strict=True):
        carried = carried.before(step, box)
        found = carried.least(box)
        best = np.fmax(best, found)
    return best


@dataclass(frozen=True)
class _Carried:
    """``weights @ v + constant - slack`` is at most what is bounded.

    Attributes
    ----------
    weights : shape (q, n)
    constant, slack, size : shape (q,)
        `size` sums the sizes of all terms of the constant.
    """

    weights: Float64
    constant: Float64
    slack: Float64
    size: Float64

    @classmethod
    def of(cls, coefficients: Float64) -> _Carried:
        zero = np.zeros(coefficients.shape[0])
        return cls(coefficients, zero, zero, zero)

    def before(self, step: Step, box: Box) -> _Carried:
        """The same in terms of what enters a step; `box` bounds that."""
        if isinstance(step, AffineStep):
            return self._before_affine(step, box)
        rising = np.maximum(self.weights, 0.0)
        falling = np.minimum(self.weights, 0.0)
        weights = rising * step.lower_slope + falling * step.upper_slope
        added, size = _signed_sum(self.weights, step.lower_offset, step.upper_offset)
        rounding = 4.0 * tolerances.EPS64 * _weighed(np.abs(weights), box.size)
        return self._with(weights, added, size, rounding)

    def _before_affine(self, step: AffineStep, box: Box) -> _Carried:
        weights = self.weights @ step.matrix
        added = self.weights @ step.bias
        size = np.abs(self.weights) @ np.abs(step.bias)
        terms = np.abs(self.weights) @ np.abs(step.matrix)
        rounding = _weighed(rounding_of_sums(step.matrix.shape[0], terms), box.size)
        own = _weighed(np.abs(self.weights), step.error)
        return self._with(weights, added, size, rounding + 2.0 * own)

    def _with(
        self, weights: Float64, added: Float64, size: Float64, rounding: Float64
    ) -> _Carried:
        grown = self.size + size
        own = rounding_of_sums(self.weights.shape[1], grown)
        return _Carried(weights, self.constant + added, self.slack + rounding + own, grown)

    def least(self, box: Box) -> Float64:
        """The least value over a box, with all slack taken off."""
        total, size = _signed_sum(self.weights, box.lower, box.upper)
        own = rounding_of_sums(self.weights.shape[1], self.size + size)
        margin = 2.0 * (self.slack + own) + TINY
        found: Float64 = np.nextafter(self.constant + total - margin, -np.inf)
        return np.where(np.isnan(found), -np.inf, found)


def _signed_sum(
    weights: Float64, lower: Float64, upper: Float64
) -> tuple[Float64, Float64]:
    """The least of ``weights @ v`` for v in [lower, upper], and the sizes of its terms."""
    terms = np.where(weights > 0.0, weights * lower, weights * upper)
    # What does not count may be infinite.
    terms = np.where(weights == 0.0, 0.0, terms)
    return terms.sum(axis=1), np.abs(terms).sum(axis=1)


def _weighed(weights: Float64, sizes: Float64) -> Float64:
    """``weights @ sizes``; weights that are zero make nothing of infinity."""
    return np.asarray(np.where(weights == 0.0, 0.0, weights * sizes).sum(axis=1))


def pre_activation_bounds(
    network: Network, lower: Float64, upper: Float64, context: Context
) -> tuple[tuple[Float64, Float64], ...]:
    """Bounds of the values that enter each segment, for inputs within a box.

    Parameters
    ----------
    network : Network
    lower, upper : float64 arrays, shape (n_in,)
        -inf and inf where open.
    context : Context

    Returns
    -------
    tuple of (lower, upper)
        Flat float64 arrays, one pair for each of `network.segments`; infinite where
        nothing is known. They hold the exact values and those of the plain forward pass.
    """
    boxes = relax(network, lower, upper, context).boxes
    return tuple((box.lower, box.upper) for box in boxes[:-1])
