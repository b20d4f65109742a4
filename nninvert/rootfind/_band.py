"""The parts of a question: the outputs that are good enough, where x may lie, and f."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nninvert.rootfind._inequalities import Inequalities

Float64 = NDArray[np.float64]
Pattern = NDArray[np.intp]

MARGIN = 1e-8
"""Part of the tolerance that is not used, so that linearised constraints that are met to
rounding are met."""

ULPS = 16
"""The same in spacings of the outputs: they differ by some between equal evaluations of
different batches."""

EQUATION = 1e-4
DIGITS = 1e-10
"""Equations are met to this part of their tolerance, and of the largest target, while x
moves along them: met worse, they would let x creep nearer at their expense."""


WALL = 1e-3
"""What lies beyond a wall counts in this part of its size: a thousandth of an input beside
an output that is off by its tolerance."""


@dataclass(frozen=True)
class Walls:
    """Intervals that further values must keep to, whatever else is wanted.

    Attributes
    ----------
    low, high : float64 arrays, shape (w,)
        What is aimed at; infinite where open, equal for an equation.
    least, most : float64 arrays, shape (w,)
        What is allowed.
    size : float64 array, shape (w,)
        Positive: the size of the numbers that make each value.
    """

    low: Float64
    high: Float64
    least: Float64
    most: Float64
    size: Float64

    @classmethod
    def none(cls) -> Walls:
        """No wall at all."""
        return cls(*(np.zeros(0) for _ in range(5)))

    def and_then(self, more: Walls) -> Walls:
        """These walls, followed by others."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return Walls(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Band:
    """The values that are good enough: outputs with |f - target| <= tolerance, and walls.

    Values are the m outputs, then what the walls are about.

    Attributes
    ----------
    target, tolerance : float64 arrays, shape (m,)
        Finite.
    room : float64 array, shape (m,)
        Half-width of the band that is aimed at; 0 to aim at the target itself.
    walls : Walls
    """

    target: Float64
    tolerance: Float64
    room: Float64
    walls: Walls = field(default_factory=Walls.none)

    @classmethod
    def wide(
        cls, target: Float64, tolerance: Float64, terms: Float64 | None = None
    ) -> Band:
        """A band that may be used up to its edges.

        `terms`, shape (m,), is the size of the terms that were added to make each
        output, default |target|: what the rounding of f is proportional to.
        """
        size = np.abs(target) if terms is None else np.maximum(np.abs(target), terms)
        margin = np.maximum(MARGIN * tolerance, ULPS * np.spacing(size))
        return cls(target, tolerance, np.maximum(tolerance - margin, 0.0))

    @classmethod
    def exact(cls, target: Float64, tolerance: Float64) -> Band:
        """A band whose middle is wanted, and whose width is only for judging."""
        return cls(target, tolerance, np.zeros_like(target))

    def narrowed(self, part: float) -> Band:
        """Aim at a part of the room, so that the limit of steps lies inside."""
        return replace(self, room=part * self.room)

    def beside(self, walls: Walls) -> Band:
        """More walls, behind those that are here."""
        return replace(self, walls=self.walls.and_then(walls))

    def without_outputs(self) -> Band:
        """The walls alone."""
        nothing = np.zeros(0)
        return Band(nothing, nothing, nothing, self.walls)

    @property
    def outputs(self) -> int:
        """How many values are outputs, m."""
        return self.target.size

    @cached_property
    def low(self) -> Float64:
        """Lower edges that are aimed at, of outputs and walls."""
        return np.concatenate([self.target - self.room, self.walls.low])

    @cached_property
    def high(self) -> Float64:
        """Upper edges that are aimed at."""
        return np.concatenate([self.target + self.room, self.walls.high])

    @cached_property
    def equation(self) -> NDArray[np.bool_]:
        """Which values are aimed at one number."""
        return np.concatenate([self.room == 0.0, self.walls.low == self.walls.high])

    @cached_property
    def weights(self) -> Float64:
        """Of the residuals in least squares: 1 / tolerance.

        Outputs of very different sizes, probabilities of 1 and of 1e-9, count alike.
        """
        largest = float(self.tolerance.max(initial=0.0))
        outputs = np.maximum(self.tolerance, 1e-12 * largest)
        return np.concatenate([1.0 / outputs, 1.0 / (WALL * self.walls.size)])

    def contains(self, value: Float64) -> bool:
        """Whether every value is good enough, without any margin."""
        off = np.abs(value[: self.outputs] - self.target)
        return bool((off <= self.tolerance).all()) and self.walls_hold(value)

    def walls_hold(self, value: Float64) -> bool:
        """Whether no wall is crossed."""
        beyond = value[self.outputs :]
        return bool(((self.walls.least <= beyond) & (beyond <= self.walls.most)).all())

    def holds(self, value: Float64) -> bool:
        """Whether every value is good enough and equations are met far better."""
        off = np.abs(value[: self.outputs] - self.target)
        size = float(np.abs(self.target).max(initial=0.0))
        fine = EQUATION * self.tolerance
        if size > 0.0:
            fine = np.maximum(np.minimum(fine, DIGITS * size), ULPS * np.spacing(size))
        fine = np.minimum(fine, self.tolerance)
        allowed = np.where(self.room == 0.0, fine, self.tolerance)
        return bool((off <= allowed).all()) and self.walls_hold(value)

    def violation(self, value: Float64) -> float:
        """Sum of squares of what lies outside, in units of the weights; 0 inside.

        Infinite where the value is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            rest = self.excess(value) * self.weights
            total = float(rest @ rest)
        return total if np.isfinite(total) else np.inf

    def excess(self, value: Float64) -> Float64:
        """Signed distance from what is aimed at, 0 inside."""
        return np.maximum(value - self.high, 0.0) + np.minimum(value - self.low, 0.0)


@dataclass(frozen=True)
class Region:
    """Where x may lie, and how its distance from `near` is measured.

    Attributes
    ----------
    near, lower, upper, scale : float64 arrays, shape (n,)
        The distance is ||(x - near) / scale||.
    inequalities : Inequalities or None
        Between the variables, beside the bounds.
    """

    near: Float64
    lower: Float64
    upper: Float64
    scale: Float64
    inequalities: Inequalities | None = None

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which variables are not fixed."""
        return np.asarray(self.lower < self.upper)

    def inside(self, x: Float64) -> Float64:
        """The nearest point within the bounds."""
        return np.clip(x, self.lower, self.upper)

    def offset(self, x: Float64) -> Float64:
        """(x - near) / scale."""
        return (x - self.near) / self.scale

    def squared_distance(self, x: Float64) -> float:
        """||(x - near) / scale||^2."""
        offset = self.offset(x)
        return float(offset @ offset)

    def moved(self, x: Float64, step: Float64) -> Float64:
        """Take a step in units of the scale, inside the bounds to the last bit."""
        return np.clip(x + self.scale * step, self.lower, self.upper)

    def steps(self, x: Float64) -> tuple[Float64, Float64]:
        """The bounds of a step from x, in units of the scale."""
        return (self.lower - x) / self.scale, (self.upper - x) / self.scale


class Cells(Protocol):
    """The cells on which a map with kinks is smooth, each named by a pattern."""

    def around(self, x: Float64) -> Around:
        """The cells that touch at x."""
        ...

    def piece(self, pattern: Pattern, x: Float64) -> tuple[SmoothMap, Walls]:
        """The map on a cell, continued beyond it; and what keeps to the cell.

        The values are those of the map, then those that the walls are about. A point that
        `around` counts to the cell keeps to it.
        """
        ...


@dataclass(frozen=True)
class Around:
    """The cells that touch at a point.

    Attributes
    ----------
    patterns : tuple of patterns
        The one that the point itself is counted to comes first.
    complete : bool
        Whether these are all.
    """

    patterns: tuple[Pattern, ...]
    complete: bool


@dataclass(frozen=True)
class SmoothMap:
    """A function with its derivatives, on single points.

    Attributes
    ----------
    value : callable
        f, from (n,) to (m,).
    jacobian : callable
        From (n,) to (m, n); finite where f is.
    bend : callable or None
        From x (n,), weights w (m,) and directions (k, n) to the Hessian of w^T f at x
        times each direction, shape (k, n), symmetric to its own accuracy; NaN in rows
        where it does not exist. None where it is zero or not known.
    cells : Cells or None
        Where f has kinks: the smooth pieces that it is made of.
    """

    value: Callable[[Float64], Float64]
    jacobian: Callable[[Float64], Float64]
    bend: Callable[[Float64, Float64, Float64], Float64] | None = None
    cells: Cells | None = None
