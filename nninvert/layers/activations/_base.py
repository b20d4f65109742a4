"""What every elementwise activation offers: its branches, image and inverse.

An activation is a continuous or piecewise function of one real variable. It is
described by its *branches*, maximal intervals on which it is strictly monotone or
constant, from left to right. Everything that inversion needs follows from them: the
image, whether it is one-to-one, onto, which values have several origins, and which only
an interval of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A real interval; an infinite end is always open."""

    lower: float
    upper: float
    lower_open: bool = False
    upper_open: bool = False

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise ValueError(f"empty interval: {self.lower} > {self.upper}")
        if math.isinf(self.lower):
            object.__setattr__(self, "lower_open", True)
        if math.isinf(self.upper):
            object.__setattr__(self, "upper_open", True)

    def contains(self, values: Float64) -> NDArray[np.bool_]:
        """Tell for each value whether it lies inside, ends as declared."""
        above = values > self.lower if self.lower_open else values >= self.lower
        below = values < self.upper if self.upper_open else values <= self.upper
        return above & below

    @property
    def is_everything(self) -> bool:
        """Whether this is the whole real line."""
        return math.isinf(self.lower) and math.isinf(self.upper)

    def __str__(self) -> str:
        left = "(" if self.lower_open else "["
        right = ")" if self.upper_open else "]"
        return f"{left}{self.lower:.6g}, {self.upper:.6g}{right}"


class Trend(Enum):
    """How an activation behaves on one branch."""

    INCREASING = 1
    CONSTANT = 0
    DECREASING = -1


@dataclass(frozen=True)
class Branch:
    """A maximal interval `domain` of z on which the activation follows one `trend`.

    A jump ends a branch as well, so that the values taken on it are one interval.
    `image` is the set of values taken there; for a constant branch, one point.
    """

    domain: Interval
    image: Interval
    trend: Trend


EVERYTHING = Interval(-math.inf, math.inf, lower_open=True, upper_open=True)


@dataclass(frozen=True)
class ScalarPreimage:
    """Elementwise preimage of an array of values.

    Attributes
    ----------
    z : float64 array
        One origin of each value, always finite.
    flat : bool array
        The value comes from a whole interval of z; `z` is the finite end of it that is
        nearest to zero (or zero, where zero is inside).
    origins : int array
        How many monotone branches reach the value (1 where it is unique, flat or not).
    """

    z: Float64
    flat: NDArray[np.bool_]
    origins: NDArray[np.int64]


class Activation(ABC):
    """An elementwise function and its inverse. Subclasses are frozen dataclasses.

    The dataclass fields are the parameters; they must be finite floats and are what
    `config` writes. All methods take and return float64 arrays of one shape, never
    modify their argument, raise nothing because of the data, and warn about nothing: a
    branch of the formula that is not used must not overflow.
    """

    name: ClassVar[str]

    @abstractmethod
    def forward(self, z: Float64) -> Float64:
        """Evaluate the activation to rounding.

        The error is at most 4 spacings of y plus what 4 spacings of z make: where the
        formula rounds a product (gelu far to the left), no more can be had.
        """

    @abstractmethod
    def derivative(self, z: Float64) -> Float64:
        """Evaluate dy/dz; at a kink the derivative from the right."""

    @property
    @abstractmethod
    def branches(self) -> tuple[Branch, ...]:
        """The branches from left to right; their domains cover the real line."""

    @abstractmethod
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Invert on the strictly monotone branch number `branch`.

        Parameters
        ----------
        y : float64 array, shape (k,)
            Values inside the image of that branch (open ends excluded).
        branch : int
            Index into `branches`; never that of a constant branch.

        Returns
        -------
        z : float64 array, shape (k,)
            Finite, with forward(z) = y to rounding.
        """

    def config(self) -> dict[str, Any]:
        """The name and the parameters, as JSON can hold them."""
        parameters = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {"name": self.name, **parameters}

    @cached_property
    def image(self) -> tuple[Interval, ...]:
        """All values taken: disjoint intervals, ascending."""
        return merge_intervals([branch.image for branch in self.branches])

    @property
    def one_to_one(self) -> bool:
        """Whether each value has exactly one origin."""
        if any(branch.trend is Trend.CONSTANT for branch in self.branches):
            return False
        images = sorted((b.image for b in self.branches), key=lambda i: i.lower)
        return not any(_overlap(left, right) for left, right in pairwise(images))

    @property
    def onto(self) -> bool:
        """Whether every real number is a value."""
        return len(self.image) == 1 and self.image[0].is_everything

    @property
    def monotone(self) -> bool:
        """Whether the activation never decreases or never increases, jumps included."""
        trends = {branch.trend for branch in self.branches}
        steps = list(pairwise(branch.image for branch in self.branches))
        rises = all(left.upper <= right.lower for left, right in steps)
        falls = all(left.lower >= right.upper for left, right in steps)
        return (rises and Trend.DECREASING not in trends) or (
            falls and Trend.INCREASING not in trends
        )

    def project(self, y: Float64) -> Float64:
        """The point of the closure of the image nearest to each value."""
        best = np.full(y.shape, np.inf)
        nearest = np.array(y, dtype=np.float64)
        for interval in self.image:
            candidate = np.clip(y, interval.lower, interval.upper)
            distance = np.abs(candidate - y)
            better = distance < best
            nearest[better] = candidate[better]
            best = np.minimum(best, distance)
        return nearest

    def preimage(self, y: Float64) -> ScalarPreimage:
        """One origin of each value; see `ScalarPreimage`.

        Of several monotone branches the rightmost is taken (for silu, gelu and mish the
        one that contains all positive z). Where a constant branch has the value, the
        value is flat.

        Parameters
        ----------
        y : float64 array
            Values of the image (open ends excluded). Others give NaN.
        """
        z = np.full(y.shape, np.nan)
        flat = np.zeros(y.shape, dtype=np.bool_)
        origins = np.zeros(y.shape, dtype=np.int64)
        for index, branch in enumerate(self.branches):
            inside = branch.image.contains(y)
            if branch.trend is Trend.CONSTANT:
                z[inside] = _nearest_to_zero(branch.domain)
                flat |= inside
            else:
                chosen = inside & ~flat
                z[chosen] = self.branch_inverse(y[chosen], index)
                origins += inside
        origins[flat] = 1
        return ScalarPreimage(z, flat, origins)


def _nearest_to_zero(interval: Interval) -> float:
    nearest = min(max(0.0, interval.lower), interval.upper)
    if nearest == interval.lower and interval.lower_open:
        return math.nextafter(nearest, math.inf)
    if nearest == interval.upper and interval.upper_open:
        return math.nextafter(nearest, -math.inf)
    return nearest


def merge_intervals(intervals: list[Interval]) -> tuple[Interval, ...]:
    """Unite intervals that overlap or touch; ascending."""
    merged: list[Interval] = []
    for item in sorted(intervals, key=lambda i: (i.lower, i.lower_open)):
        if merged and _joined(merged[-1], item):
            last = merged[-1]
            longer = item if item.upper > last.upper else last
            if item.upper == last.upper:
                open_end = item.upper_open and last.upper_open
            else:
                open_end = longer.upper_open
            merged[-1] = Interval(last.lower, longer.upper, last.lower_open, open_end)
        else:
            merged.append(item)
    return tuple(merged)


def _overlap(left: Interval, right: Interval) -> bool:
    """Whether two intervals, the left one with the lower end, share a value."""
    touching_closed = not (left.upper_open or right.lower_open)
    return right.lower < left.upper or (right.lower == left.upper and touching_closed)


def _joined(left: Interval, right: Interval) -> bool:
    if right.lower < left.upper:
        return True
    touching_closed = not (left.upper_open and right.lower_open)
    return right.lower == left.upper and touching_closed
