"""The parts of a question: the outputs that are good enough, where x may lie, and f."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

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


@dataclass(frozen=True)
class Band:
    """The outputs with |f - target| <= tolerance.

    Attributes
    ----------
    target, tolerance : float64 arrays, shape (m,)
        Finite.
    room : float64 array, shape (m,)
        Half-width of the band that is aimed at; 0 to aim at the target itself.
    """

    target: Float64
    tolerance: Float64
    room: Float64

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

    @property
    def equation(self) -> NDArray[np.bool_]:
        """Which outputs are aimed at the target itself."""
        return np.asarray(self.room == 0.0)

    @property
    def weights(self) -> Float64:
        """Of the residuals in least squares: 1 / tolerance.

        Outputs of very different sizes, probabilities of 1 and of 1e-9, count alike.
        """
        largest = float(self.tolerance.max())
        return 1.0 / np.maximum(self.tolerance, 1e-12 * largest)

    def contains(self, value: Float64) -> bool:
        """Whether every output is good enough, without any margin."""
        return bool((np.abs(value - self.target) <= self.tolerance).all())

    def holds(self, value: Float64) -> bool:
        """Whether every output is good enough and equations are met far better."""
        off = np.abs(value - self.target)
        size = float(np.abs(self.target).max(initial=0.0))
        fine = EQUATION * self.tolerance
        if size > 0.0:
            fine = np.maximum(np.minimum(fine, DIGITS * size), ULPS * np.spacing(size))
        fine = np.minimum(fine, self.tolerance)
        allowed = np.where(self.equation, fine, self.tolerance)
        return bool((off <= allowed).all())

    def violation(self, value: Float64) -> float:
        """Sum of squares of what lies outside, in units of the weights; 0 inside.

        Infinite where the value is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            rest = self.excess(value) * self.weights
            total = float(rest @ rest)
        return total if np.isfinite(total) else np.inf

    def excess(self, value: Float64) -> Float64:
        """Signed distance from the band that is aimed at, 0 inside."""
        off = value - self.target
        return np.sign(off) * np.maximum(np.abs(off) - self.room, 0.0)


@dataclass(frozen=True)
class Region:
    """Where x may lie, and how its distance from `near` is measured.

    Attributes
    ----------
    near, lower, upper, scale : float64 arrays, shape (n,)
        The distance is ||(x - near) / scale||.
    """

    near: Float64
    lower: Float64
    upper: Float64
    scale: Float64

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


@dataclass(frozen=True)
class SmoothMap:
    """A function with its derivatives, on single points.

    Attributes
    ----------
    value : callable
        f, from (n,) to (m,).
    jacobian : callable
        From (n,) to (m, n); finite where f is.
    curvature : callable or None
        From x (n,) and weights w (m,) to the Hessian of w^T f at x, shape (n, n),
        symmetric to its own accuracy; None where it is zero or not known.
    """

    value: Callable[[Float64], Float64]
    jacobian: Callable[[Float64], Float64]
    curvature: Callable[[Float64, Float64], Float64] | None = None
