"""Boxes that hold values, and functions that rise from end to end of each interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

KEPT_OFF = 0.05
"""A centre keeps off open ends by this part of the width, or of the largest room."""

FLAT = 1e-6
"""Units that are cut off at closed ends count with this slope, so that steps are finite."""

LEAST_SLOPE = 1e-8
"""So do those that are close to open ends, with this."""


@dataclass(frozen=True)
class Box:
    """Where x shall lie, unit by unit.

    Attributes
    ----------
    lower, upper : float64 arrays, shape (n,)
        -inf and inf where there is no end.
    open_ends : bool array, shape (n,)
        Whether x shall keep off its ends.
    centre : float64 array, shape (n,) or (rows, n)
        What x shall be near to.
    """

    lower: Float64
    upper: Float64
    open_ends: Mask
    centre: Float64

    @classmethod
    def around(cls, centre: Float64) -> Box:
        """No ends, only a centre."""
        n = centre.shape[-1]
        ends = np.full(n, np.inf)
        return cls(-ends, ends, np.zeros(n, dtype=np.bool_), centre)

    @property
    def size(self) -> Float64:
        """The largest finite end of each unit, widened for the rounding of what makes x."""
        ends = np.stack([self.lower, self.upper])
        most: Float64 = np.abs(np.where(np.isfinite(ends), ends, 0.0)).max(axis=0)
        return most * (1.0 + 16.0 * tolerances.EPS64)


class Units:
    """The function h(s) of each unit: it rises, and h(0) is the centre.

    Between two open ends a hyperbolic tangent, with one open end half of a hyperbola,
    else the identity, cut off at closed ends.
    """

    def __init__(self, box: Box, centre: Float64, smooth: Mask) -> None:
        self.box, self.centre, self.smooth = box, centre, smooth
        low, high = box.lower, box.upper
        self._two = smooth & np.isfinite(low) & np.isfinite(high)
        self._one = smooth & ~self._two
        half = np.where(self._two, 0.5 * (high - low), 1.0)
        self._middle = np.where(self._two, low + half, 0.0)
        part = np.where(self._two, (centre - self._middle) / half, 0.0)
        self._half, self._shift = half, np.arctanh(part)
        self._end = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0))
        self._room = np.where(self._one, centre - self._end, 1.0)

    @classmethod
    def keeping_off(cls, box: Box, rows: int) -> Units:
        """Smooth where ends are open; the centre is moved away from those."""
        low, high = box.lower, box.upper
        shape = (rows, low.size)
        centre = np.clip(np.broadcast_to(box.centre, shape), low, high)
        smooth = box.open_ends & (np.isfinite(low) | np.isfinite(high)) & (low < high)
        width = np.where(smooth, high - low, 0.0)
        room = np.minimum(centre - low, high - centre)
        one_sided = smooth & np.isinf(width)
        largest = np.where(one_sided, room, 0.0).max(axis=1, keepdims=True, initial=0.0)
        largest = np.where(largest > 0.0, largest, 1.0)
        kept = KEPT_OFF * np.where(one_sided, largest, np.where(smooth, width, 0.0))
        return cls(box, np.clip(centre, low + kept, high - kept), smooth)

    def clip(self, x: Float64) -> Float64:
        """The nearest point of the box, at some distance from open ends."""
        low, high = self.box.lower, self.box.upper
        from_low = np.where(self.smooth & np.isfinite(low), self.centre - low, 0.0)
        from_high = np.where(self.smooth & np.isfinite(high), high - self.centre, 0.0)
        return np.clip(x, low + 0.1 * from_low, high - 0.1 * from_high)

    def take(self, rows: NDArray[np.generic]) -> Units:
        """Some of the rows."""
        return Units(self.box, self.centre[rows], self.smooth)

    def at(self, s: Float64) -> tuple[Float64, Float64]:
        """h(s) and h'(s), shape (rows, n); no slope is quite zero."""
        free = self.centre + s
        value = np.clip(free, self.box.lower, self.box.upper)
        slope = np.where(value == free, 1.0, FLAT)
        if self._two.any():
            tanh = np.tanh(s / self._half + self._shift)
            value = np.where(self._two, self._middle + self._half * tanh, value)
            slope = np.where(self._two, 1.0 - tanh**2, slope)
        if self._one.any():
            t = 2.0 * s / self._room
            root = np.hypot(t, 2.0)
            # For t < 0 the sum of t and the root would cancel.
            part = np.where(t < 0.0, 2.0 / (root + np.abs(t)), 0.5 * (root + t))
            value = np.where(self._one, self._end + self._room * part, value)
            slope = np.where(self._one, 2.0 * part / root, slope)
        return value, np.maximum(slope, LEAST_SLOPE)

    def holds(self, value: Float64, moved: Float64, slack: Float64) -> Mask:
        """Rows in which `moved` is as good as `value`, a value of h.

        It may take half of the room that the value has to its open ends; closed ones it may
        leave by the slack, and units that are there may move by no more.
        """
        low, high = self.box.lower, self.box.upper
        room = np.minimum(value - low, high - value)
        close = np.abs(moved - value) <= 0.5 * room
        inside = (moved >= low - slack) & (moved <= high + slack)
        at_end = (value == low) | (value == high)
        inside &= ~at_end | (np.abs(moved - value) <= slack)
        return np.asarray(np.where(self.smooth, close, inside).all(axis=1))

    def settled(self, value: Float64, moved: Float64) -> Float64:
        """`moved`, but units that `value` has at closed ends stay there to the last bit.

        What is 1e-17 above the end of relu is another answer than the end itself.
        """
        low, high = self.box.lower, self.box.upper
        at_end = (value == low) | (value == high)
        closed = np.where(at_end, value, np.clip(moved, low, high))
        return np.where(self.smooth, moved, closed)
