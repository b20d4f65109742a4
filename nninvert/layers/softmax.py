"""Softmax and its logarithm along one axis: a constant added to all inputs is lost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers.activations import Interval
from nninvert.layers.scaling import positive_axes
from nninvert.linalg.box import Box
from nninvert.linalg.centring import CentringMap
from nninvert.linalg.map import LinearMap

Bool = NDArray[np.bool_]

LEAST = 1e-300
"""Stands for a probability of zero whose radius tells nothing more."""

FAR = 700.0
"""A logarithm lower by this much is that of a probability 1e-304 times as large."""

STORED_EPS = 2.0**-11
"""Largest relative rounding of a stored value: that of half precision."""


class SoftmaxLayer(Layer):
    """What both layers share: groups along one axis, each blind to a constant.

    Parameters
    ----------
    input_shape : tuple of int
    axis : int
        Axis of `input_shape`, not counting the batch; the units along it are one group.
    """

    def __init__(self, input_shape: Shape, axis: int) -> None:
        self.input_shape = input_shape
        self.axis = positive_axes((axis,), input_shape)[0]

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @property
    def _along(self) -> int:
        """The axis counted from the end, whatever stands before it."""
        return self.axis - len(self.input_shape)

    def _sum(self, values: Float64) -> Float64:
        total: Float64 = np.sum(values, axis=self._along, keepdims=True)
        return total

    def _centred(self, values: Float64) -> Float64:
        mean: Float64 = np.mean(values, axis=self._along, keepdims=True)
        return values - mean

    @property
    def group_size(self) -> int:
        """Units in one group."""
        return self.input_shape[self.axis]

    @property
    def seen(self) -> LinearMap:
        """All but the mean of each group."""
        return CentringMap(self.input_shape, (self.axis,))

    @property
    @abstractmethod
    def _range(self) -> Interval:
        """Which values one unit takes."""

    @property
    def facts(self) -> Facts:
        """One dimension is lost in each group.

        The image is the range of the single units; together they take only the values
        whose probabilities add up to 1.
        """
        lost = size_of(self.input_shape) // self.group_size
        which = "1 direction of x is" if lost == 1 else f"{lost} directions of x are"
        return Facts(
            one_to_one=False,
            onto=False,
            image=(self._range,),
            lost=lost,
            reason=f"{self.kind} ignores a constant added to all its inputs: {which} lost",
        )

    def _rounding(self, probability: Float64, error: Float64) -> Float64:
        """How far the sum of a group may be from 1 by rounding alone.

        Frameworks compute the sum in the stored type, with an error of several of its
        spacings that is common to the group; `error` is the radius of each probability.
        """
        stored = np.minimum(error, STORED_EPS * probability)
        own = self.group_size * tolerances.EPS64 * probability
        return self._sum(tolerances.TARGET_ULPS * stored + own)

    @np.errstate(over="ignore")
    def _share(
        self, base: Float64, low: Float64, high: Float64, slack: Float64
    ) -> tuple[Float64, Bool]:
        """How far to go from `base` to `high` (positive) or to `low` so that the sum is 1.

        Returns
        -------
        share : float64 array, 1 along the axis
            Between -1 and 1.
        possible : bool array, 1 along the axis
            Whether the sum can be 1 up to the slack.
        """
        total = self._sum(base)
        missing = 1.0 - total
        room = np.where(missing > 0.0, self._sum(high - base), self._sum(base - low))
        possible = np.abs(missing) <= room + slack
        usable = np.where(room > 0.0, room, 1.0)
        return np.clip(np.where(room > 0.0, missing / usable, 0.0), -1.0, 1.0), possible

    def _found(
        self,
        y: Float64,
        nearest: Float64,
        out: Bool,
        logits: Float64,
        spread: Float64,
        free: Bool,
    ) -> Preimage:
        """Centre the logits and put the rows' facts together."""
        judged = Outside.of(y, nearest, out)
        largest = np.max(np.abs(logits), axis=self._along, keepdims=True)
        mean = np.mean(spread, axis=self._along, keepdims=True)
        reach = spread + mean + 4.0 * tolerances.EPS64 * largest
        loose = flat_rows(free)
        kernel = self.facts.lost
        return judged.preimage(
            self._centred(logits),
            reach,
            free=loose,
            origins=np.zeros(len(loose)),
            kernel=kernel,
        )

    def config(self) -> dict[str, Any]:
        """The axis."""
        return {"axis": self.axis}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Only the axis is needed."""
        return cls(input_shape, config["axis"])


class Softmax(SoftmaxLayer):
    """``y_i = exp(x_i) / sum_j exp(x_j)`` along one axis."""

    kind = "softmax"

    @property
    def _range(self) -> Interval:
        if self.group_size == 1:
            return Interval(1.0, 1.0)
        return Interval(0.0, 1.0, lower_open=True, upper_open=True)

    def forward(self, x: Float64) -> Float64:
        """Relative to the largest input of each group, so that nothing overflows."""
        return _exponentials(x, self._along)[1]

    def linearize(self, x: Float64) -> Linearization:
        """The probabilities determine the Jacobian."""
        return _SoftmaxLinearization(self, self.forward(x))

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """``x = log y`` less its mean.

        A group is outside if no point within the radius has a sum of 1; then the nearest
        point of the simplex stands for it. A probability of 0 is attained by no input: the
        logarithm of its radius is taken, and the entry is free.
        """
        y, radius = _sensible(y, radius)
        low = np.clip(y - radius, 0.0, 1.0)
        high = np.clip(y + radius, 0.0, 1.0)
        base = np.clip(y, 0.0, 1.0)
        slack = self._rounding(base, radius)
        share, possible = self._share(base, low, high, slack)
        possible &= ~np.any(y + radius < 0.0, axis=self._along, keepdims=True)
        moved = base + share * np.where(share > 0.0, high - base, base - low)
        nearest = np.where(possible, moved, self._on_simplex(y))
        out = ~possible & (np.abs(y - nearest) > radius)
        free = (base == 0.0) | (nearest == 0.0)
        floor = np.clip(radius, LEAST, 0.25)
        probability = np.where(free, np.maximum(nearest, floor), nearest)
        with np.errstate(divide="ignore", over="ignore"):
            unknown = np.where(free, 1.0, np.minimum(radius / probability, 1.0))
            spread = -np.log1p(-unknown)
        return self._found(y, nearest, out, np.log(probability), spread, free)

    def _on_simplex(self, y: Float64) -> Float64:
        """The nearest point with entries from 0 on and sum 1.

        Held, Wolfe & Crowder, Math. Programming 6, 1974: subtract the one number that
        makes the positive rest add up to 1, found from the sorted entries.
        """
        along = self._along
        # An entry that is 1 below the largest ends as 0, however far below it is.
        near: Float64 = np.maximum(y - np.max(y, axis=along, keepdims=True), -1.0)
        falling = -np.sort(-near, axis=along)
        count = np.arange(1.0, self.group_size + 1.0)
        count = count.reshape((-1,) + (1,) * (-along - 1))
        shifts = (np.cumsum(falling, axis=along) - 1.0) / count
        kept = np.count_nonzero(falling > shifts, axis=along, keepdims=True)
        shift: Float64 = np.take_along_axis(shifts, kept - 1, axis=along)
        return np.maximum(near - shift, 0.0)


class LogSoftmax(SoftmaxLayer):
    """``y_i = x_i - log sum_j exp(x_j)`` along one axis."""

    kind = "log_softmax"

    @property
    def _range(self) -> Interval:
        if self.group_size == 1:
            return Interval(0.0, 0.0)
        return Interval(-np.inf, 0.0, upper_open=True)

    def forward(self, x: Float64) -> Float64:
        """``s_i - log(1 + sum of the others)``, s relative to the largest input.

        With the largest term left out of the sum, a value just below 0 keeps its digits.
        """
        shifted, _ = _exponentials(x, self._along)
        others = np.exp(shifted)
        top = np.argmax(shifted, axis=self._along, keepdims=True)
        np.put_along_axis(others, top, 0.0, axis=self._along)
        return shifted - np.log1p(self._sum(others))

    def linearize(self, x: Float64) -> Linearization:
        """The probabilities determine the Jacobian."""
        return _LogSoftmaxLinearization(
            self, self.forward(x), _exponentials(x, self._along)[1]
        )

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """``x = y`` less its mean.

        A group is outside if no point within the radius has probabilities that add up to
        1; then all of y is moved by one constant, which changes the largest difference
        least and x not at all.
        """
        y, radius = _sensible(y, radius)
        base, high = np.minimum(y, 0.0), np.minimum(y + radius, 0.0)
        low = np.maximum(np.minimum(y - radius, 0.0), base - FAR)
        probability = np.exp(base)
        error = probability * (1.0 + np.abs(base)) * self._stored_eps(y, radius)
        slack = self._rounding(probability, error)
        slack += self._sum(probability * np.abs(base)) * tolerances.EPS64
        share, possible = self._share(probability, np.exp(low), np.exp(high), slack)
        with np.errstate(divide="ignore"):
            part, rest = np.log(np.abs(share)), np.log1p(-np.abs(share))
        towards = np.where(share > 0.0, high, low)
        moved = np.logaddexp(base + rest, towards + part)
        nearest = np.where(possible, moved, y - self._log_total(y))
        out = ~possible & (np.abs(y - nearest) > radius)
        free = np.zeros(y.shape, dtype=np.bool_)
        return self._found(y, nearest, out, nearest, radius, free)

    def _stored_eps(self, y: Float64, radius: Float64) -> Float64:
        """The relative rounding of a group's stored values, 1 along the axis.

        The largest of the group counts: the radius of a value near 0 says nothing about
        the error of the sum that was subtracted to get it.
        """
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            relative = np.where(y == 0.0, 0.0, radius / np.abs(y))
        worst: Float64 = np.max(relative, axis=self._along, keepdims=True)
        return np.minimum(worst, STORED_EPS)

    def _log_total(self, y: Float64) -> Float64:
        top: Float64 = np.max(y, axis=self._along, keepdims=True)
        return top + np.log(self._sum(np.exp(y - top)))


def _sensible(y: Float64, radius: Float64) -> tuple[Float64, Float64]:
    """Cut y where its sums would overflow; make radii that mean "anything" infinite."""
    bounded = radius < tolerances.UNBOUNDED_RADIUS
    cut = np.clip(y, -tolerances.RADIUS_CAP, tolerances.RADIUS_CAP)
    return cut, np.where(bounded, radius, np.inf)


@np.errstate(over="ignore")
def _exponentials(x: Float64, axis: int) -> tuple[Float64, Float64]:
    """Subtract from x the largest of its group; the probabilities beside it."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    terms = np.exp(shifted)
    return shifted, terms / np.sum(terms, axis=axis, keepdims=True)


class _SoftmaxLinearization(Linearization):
    """``J = diag(p) - p p^T``, symmetric."""

    def __init__(self, layer: Softmax, y: Float64) -> None:
        self._layer, self.y = layer, y

    def jvp(self, dx: Float64) -> Float64:
        """``p (dx - p^T dx)``."""
        return self.y * (dx - self._layer._sum(self.y * dx))

    def vjp(self, dy: Float64) -> Float64:
        """The same."""
        return self.jvp(dy)

    def magnitude(self, dx: Float64) -> Float64:
        """``p_i ((1 - p_i) |dx_i| + sum over j != i of p_j |dx_j|)``."""
        return self.y * _off_diagonal(self._layer, self.y, np.abs(dx))

    def solve(self, dy: Float64, context: Context) -> Float64:
        """``dy / p`` less its mean.

        Values of J add up to 0. What dy adds up to is taken from its entries in proportion
        to p: taken evenly, as J^+ does, it would be far more than the smallest of them.
        """
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = dy / self.y
        return self._layer._centred(np.where(np.isfinite(step), step, 0.0))


class _LogSoftmaxLinearization(Linearization):
    """``J = I - 1 p^T``."""

    def __init__(self, layer: LogSoftmax, y: Float64, probability: Float64) -> None:
        self._layer, self.y, self._p = layer, y, probability

    def jvp(self, dx: Float64) -> Float64:
        """``dx - p^T dx``."""
        return dx - self._layer._sum(self._p * dx)

    def vjp(self, dy: Float64) -> Float64:
        """``dy - p sum(dy)``."""
        return dy - self._p * self._layer._sum(dy)

    def magnitude(self, dx: Float64) -> Float64:
        """``(1 - p_i) |dx_i| + sum over j != i of p_j |dx_j|``."""
        return _off_diagonal(self._layer, self._p, np.abs(dx))

    def solve(self, dy: Float64, context: Context) -> Float64:
        """What of dy is orthogonal to p, less its mean: J^+ dy."""
        along = self._layer._sum(self._p * dy) / self._layer._sum(self._p**2)
        return self._layer._centred(dy - along * self._p)


def _off_diagonal(layer: SoftmaxLayer, p: Float64, size: Float64) -> Float64:
    """``|I - 1 p^T| size``."""
    total = layer._sum(p * size)
    return (1.0 - p) * size + np.maximum(total - p * size, 0.0)
