"""Where a nearer input can lie: a ball around `near`, cut by a box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Norm = Literal["1", "max"]


@dataclass(frozen=True)
class Ball:
    """All x in a box with ``||(x - near) / scale|| <= radius``.

    Attributes
    ----------
    near, scale, lower, upper : float64 arrays, shape (n,)
    radius : float
        inf: the box alone.
    norm : "1" or "max"
    """

    near: Float64
    scale: Float64
    lower: Float64
    upper: Float64
    radius: float
    norm: Norm

    def distance(self, x: Float64) -> float:
        """Of x from `near`, in units of the scale."""
        moved = np.abs(x - self.near) / self.scale
        return float(moved.sum() if self.norm == "1" else moved.max())

    def within(self, radius: float) -> Ball:
        """The same with another radius."""
        return replace(self, radius=radius)

    @property
    def measure(self) -> str:
        """How distances are measured, for people."""
        norm = f"the {self.norm}-norm"
        return norm if (self.scale == 1.0).all() else f"{norm}, each input in its unit"

    @property
    def moves(self) -> tuple[Float64, Float64]:
        """Least and greatest (x - near) / scale of each input by itself."""
        low = (self.lower - self.near) / self.scale
        high = (self.upper - self.near) / self.scale
        # What the box demands is never more than the radius: the ball would be empty.
        room = max(self.radius, self.least_distance)
        return np.maximum(low, -room), np.minimum(high, room)

    @property
    def least_distance(self) -> float:
        """Of the box from `near`."""
        return self.distance(np.clip(self.near, self.lower, self.upper))

    @property
    def is_finite(self) -> bool:
        """Whether every input has finite bounds."""
        low, high = self.moves
        return bool(np.isfinite(low).all() and np.isfinite(high).all())

    def largest(self, rows: Float64) -> Float64:
        """The maximum of ``rows @ x`` over the ball, shape (k,) for rows (k, n).

        In the 1-norm a fractional knapsack for each row: what gains most per unit of
        distance is moved first, as far as its bound allows.
        """
        low, high = self.moves
        base = np.clip(0.0, low, high)
        slopes = rows * self.scale
        fixed = rows @ self.near + slopes @ base
        gain = np.abs(slopes)
        caps = np.where(slopes > 0.0, high - base, base - low)
        if self.norm == "1" and np.isfinite(self.radius):
            order = np.argsort(-gain, axis=1)
            caps = np.take_along_axis(caps, order, axis=1)
            gain = np.take_along_axis(gain, order, axis=1)
            spare = max(self.radius - float(np.abs(base).sum()), 0.0)
            spent = np.minimum(np.cumsum(caps, axis=1), spare)
            caps = np.diff(spent, axis=1, prepend=0.0)
        # An input that does not count may be unbounded.
        return np.asarray(fixed + (gain * np.where(gain > 0.0, caps, 0.0)).sum(axis=1))
