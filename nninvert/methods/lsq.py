"""Least squares on the whole network: of all x that meet the target, the nearest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Progress
from nninvert.layers import LinearLayer
from nninvert.linalg.map import DiagonalMap
from nninvert.methods._base import Attempt, Method
from nninvert.methods.inner_search import inner_start
from nninvert.methods.problem import Problem
from nninvert.network import Network
from nninvert.rootfind.least_change import (
    Band,
    LeastChange,
    Region,
    SmoothMap,
    least_change,
    least_misfit,
)

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_INPUTS = 2000
"""Largest n_in: dense Jacobians are factored at every step, which is seconds there."""

JACOBIANS = 8
"""How many arrays of the Jacobian's size exist at a time."""

SPARE_STARTS = 4
"""Random starts where neither `near` nor earlier methods led to the target."""

DIFFERENCE = 1e-5
"""Step of the central differences of gradients, relative to an input's size: truncation
then leaves ten digits, rounding eleven."""

NEAREST_STEPS = 60
"""Evaluations for a target that is out of reach: more lower the last digits of a residual
that stays, and drive x away to do so."""

KINK = 0.01
"""Differences to both sides that differ by more than this part of themselves come from a
kink, where there is no curvature."""


class LeastSquares(Method):
    """All layers at once, with exact Jacobians, inside the bounds."""

    name = "lsq"
    summary = "whole-network least squares: bounds, tolerances, the x nearest to --near"
    searches = True

    def obstacle(self, problem: Problem) -> str:
        """Too many inputs, or a Jacobian that does not fit into the memory."""
        n_in, n_out = problem.network.n_in, problem.network.n_out
        if n_in > MOST_INPUTS:
            return (
                f"{n_in:,} inputs, more than the {MOST_INPUTS:,} that lsq supports so "
                "far; exact and pinv have no such limit"
            )
        needed = JACOBIANS * 8 * n_in * n_out
        if needed > problem.context.memory:
            return (
                f"a Jacobian of {n_out:,} by {n_in:,} numbers, for which lsq needs "
                f"{needed / 1e9:.1f} GB; exact and pinv form none"
            )
        return ""

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Search row by row, from `near`, from `start` where finite, then at random.

        Where a tolerance was asked for, it is used up to its edge to stay near; else the
        targets themselves are aimed at. Either way, of the x that were within reach the
        one nearest to `near` is given, distances being measured in the units of the
        network's first scaler if it has one.
        """
        context, rows = problem.context, problem.rows
        x = problem.domain.clip(problem.near if start is None else _filled(start, problem))
        stopped = np.zeros(rows, dtype=np.bool_)
        reason = [""] * rows
        scale = _input_scale(problem.network)
        for row in range(rows):
            if context.should_stop():
                stopped[row:] = True
                break
            found = _RowSearch(problem, row, scale).run(
                None if start is None else start[row]
            )
            x[row] = found.x if np.isfinite(found.value).all() else np.nan
            stopped[row] = found.stopped
            reason[row] = _reason(problem, row, found)
            context.emit(Progress("least squares", row + 1, rows))
        return Attempt(x, stopped, tuple(reason))


def _filled(start: Float64, problem: Problem) -> Float64:
    """The starts, with `near` in rows that are not finite."""
    usable = np.isfinite(start).all(axis=1, keepdims=True)
    return np.where(usable, start, problem.near)


def _reason(problem: Problem, row: int, found: LeastChange) -> str:
    if found.feasible:
        return "" if found.stationary else "a nearer x may exist: no step was found"
    wanted = problem.targets.wanted[row]
    error = np.abs(found.value - problem.targets.values[row, wanted]).max()
    if not np.isfinite(error):
        return "f(x) is not finite at any start"
    return f"best local least-squares point; |f(x) - y| = {error:.3g}; no proof"


def _input_scale(network: Network) -> Float64:
    """What counts as one unit of each input: the deviation in a scaler at the front."""
    first = next(iter(network.graph.leaves())).layer
    ones = np.ones(network.n_in)
    if not isinstance(first, LinearLayer):
        return ones
    linear_map = first.linear_part[0]
    if not isinstance(linear_map, DiagonalMap):
        return ones
    with np.errstate(divide="ignore", over="ignore"):
        deviation = 1.0 / np.abs(linear_map.diagonal)
    usable = np.isfinite(deviation) & (deviation > 0.0)
    return np.where(usable, deviation, 1.0)


class _RowSearch:
    """One row: its wanted outputs as a function of x, its tolerances, its starts."""

    def __init__(self, problem: Problem, row: int, scale: Float64) -> None:
        self.problem, self.row, self.scale = problem, row, scale
        self.network = problem.network
        self.wanted = problem.targets.wanted[row]
        self.target = problem.targets.values[row, self.wanted]
        self.part = problem.take(np.array([row]))
        bounds = problem.domain
        self.region = Region(problem.near[row], bounds.lower, bounds.upper, scale)
        self.smooth = SmoothMap(
            self.value, self.jacobian, lambda x, w, d: d @ self.curvature(x, w)
        )

    def run(self, start: Float64 | None) -> LeastChange:
        """The search, once more where the tolerance at its end admits what it found."""
        region = self.region
        near = np.clip(region.near, region.lower, region.upper)
        starts = [] if start is None or not np.isfinite(start).all() else [start]
        unreachable = self.problem.unreachable
        with np.errstate(all="ignore"):
            if unreachable is not None and unreachable[self.row]:
                return self._nearest_output(near)
            if self.problem.within is not None:
                return self._search(near, starts)
            starts += self._inner_starts(near)
            for x in starts:
                settled = self._settled(x)
                if settled is not None:
                    return settled
            found = self._search(near, starts)
            if found.feasible or found.stopped or not np.isfinite(found.x).all():
                return found
            return self._settled(found.x) or found

    def _settled(self, x: Float64) -> LeastChange | None:
        """The search from a point that meets the default tolerances at itself, if it does.

        They grow with the terms that are added at x, so that those at `near` may refuse
        what is as good as can be had.
        """
        inside = np.array_equal(x, np.clip(x, self.region.lower, self.region.upper))
        if not inside or not self._band(x).contains(self.value(x)):
            return None
        return self._search(x, [x])

    def _nearest_output(self, near: Float64) -> LeastChange:
        """For a target that is proved to be out of reach: a short search from `near`."""
        steps = count()
        stop = self.problem.context.should_stop

        def enough() -> bool:
            return next(steps) > NEAREST_STEPS or stop()

        return least_misfit(
            self.smooth, self._band(near), self.region, near, should_stop=enough
        )

    def _inner_starts(self, near: Float64) -> list[Float64]:
        """Where the equations before the last activation lead, if all outputs count."""
        if not self.wanted.all():
            return []
        part = self.part
        found = inner_start(
            self.network,
            part.targets.values[0],
            part.targets.precision.half_step[0],
            near,
            part.domain,
            part.context,
        )
        return [] if found is None else [found]

    def _search(self, x: Float64, starts: list[Float64]) -> LeastChange:
        return least_change(
            self.smooth,
            self._band(x),
            self.region,
            starts=starts,
            spare=self._spare(),
            should_stop=self.problem.context.should_stop,
        )

    def _band(self, x: Float64) -> Band:
        """The tolerances, the default ones from the terms at x."""
        terms = self.network.forward_with_terms(x[None])[1]
        tolerance = self.part.tolerance(terms)[0, self.wanted]
        if self.problem.within is None:
            return Band.exact(self.target, tolerance)
        return Band.wide(self.target, tolerance, terms[0, self.wanted])

    def _spare(self) -> list[Float64]:
        """Random points inside the bounds, or around `near` where they are open."""
        random = np.random.default_rng([self.problem.context.seed, self.row])
        low, high = self.region.lower, self.region.upper
        shape = (SPARE_STARTS, low.size)
        around = self.region.near + self.scale * random.standard_normal(shape)
        closed = np.isfinite(low) & np.isfinite(high)
        width = np.where(closed, high - low, 0.0)
        inside = np.where(closed, low, 0.0) + width * random.random(shape)
        return list(np.where(closed, inside, around))

    def value(self, x: Float64) -> Float64:
        """The wanted outputs, shape (m,)."""
        return np.asarray(self.network.forward(x[None])[0, self.wanted])

    def jacobian(self, x: Float64) -> Float64:
        """Of the wanted outputs, shape (m, n); a slope that is not finite leads nowhere."""
        matrix = self.network.linearize(x[None]).dense()[0, self.wanted]
        return np.asarray(np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0))

    def curvature(self, x: Float64, weights: Float64) -> Float64:
        """Hessian of the weighted sum of outputs, by central differences of gradients."""
        every = np.zeros(self.wanted.size)
        every[self.wanted] = weights
        width = DIFFERENCE * np.maximum(self.scale, np.abs(x))
        gradient = _gradients(self.network, every)
        here = gradient(x[None])
        ahead = (gradient(x + np.diag(width)) - here) / width[:, None]
        behind = (here - gradient(x - np.diag(width))) / width[:, None]
        size = np.maximum(np.abs(ahead), np.abs(behind)).max(axis=1)
        smooth = np.abs(ahead - behind).max(axis=1) <= KINK * size
        hessian = 0.5 * (ahead + behind) * smooth[:, None] * smooth
        return np.asarray(0.5 * (hessian + hessian.T))


def _gradients(network: Network, weights: Float64) -> Callable[[Float64], Float64]:
    """From points (k, n) to the gradients of weights^T f there, (k, n)."""

    def gradient(points: Float64) -> Float64:
        near = network.linearize(points)
        return near.vjp(np.tile(weights, (points.shape[0], 1)))

    return gradient
