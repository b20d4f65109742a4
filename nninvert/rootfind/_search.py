"""The two phases of a search for the least change, and where they may begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap
from nninvert.rootfind._feasible_descent import FINEST, Descended, descend
from nninvert.rootfind._feasible_start import (
    INWARDS,
    Candidate,
    ShouldStop,
    candidate,
    least_violation,
    nearest_output,
    project,
)
from nninvert.rootfind._inequalities import bordered
from nninvert.rootfind._walk import ACROSS, walk_closer, walk_nearer
from nninvert.rootfind.levenberg_marquardt import never

SECOND_LOOKS = 4
"""Further descents for maps with kinks. On random relu nets the first one ends a fifth
farther away than the best of six, on smooth ones it is the best."""

ROUGH = 1e-2
"""Length, relative to the distance, of the shortest steps of a first try."""

PROMISING = 1.1
"""Distance after a first try, relative to the best, up to which it is followed up."""


class Search:
    """The whole question, inequalities included, and the ways to answer it."""

    def __init__(
        self, smooth: SmoothMap, band: Band, region: Region, should_stop: ShouldStop
    ) -> None:
        self.smooth, self.band = bordered(smooth, band, region)
        self.outputs_band, self.region, self.outputs = band, region, band.outputs
        self.should_stop = should_stop

    def inside(self, x: Float64) -> Float64:
        """The nearest point, in units of the scale, that bounds and inequalities allow."""
        region, given = self.region, self.region.inequalities
        x = region.inside(x)
        if given is None:
            return x
        walls = SmoothMap(given.values, lambda _: given.matrix)
        return project(walls, self.band.without_outputs(), region, x, never).x

    def project(self, x: Float64) -> Candidate:
        inner = self.band.narrowed(INWARDS)
        return project(self.smooth, inner, self.region, x, self.should_stop)

    def nearest_output(self, x: Float64) -> Candidate:
        return nearest_output(self.smooth, self.band, self.region, x, self.should_stop)

    def least_violation(self, x: Float64) -> Candidate:
        return least_violation(self.smooth, self.band, self.region, x, self.should_stop)

    def descended(self, x: Float64) -> Descended:
        """The nearest point of the piece of the feasible set that x lies in."""
        cells = self.smooth.cells
        if cells is None:
            return self.descend(x, FINEST)
        found = self.descend(x, ACROSS)
        if found.stopped:
            return found
        if found.stationary and len(cells.around(found.x).patterns) == 1:
            return found
        return walk_nearer(self, cells, found)

    def descend(self, x: Float64, finest: float) -> Descended:
        return descend(
            self.smooth, self.band, self.region, x, self.should_stop, finest=finest
        )

    def second_looks(self, best: Descended) -> Descended:
        """Descents from elsewhere, where kinks make many local ends.

        They begin no farther from `near` than the best point so far: a nearer one lies in
        that ball. Those that are not close to being better after long steps are left.
        """
        if self.smooth.cells is None:
            return best
        region, random = self.region, np.random.default_rng(0)
        for _ in range(SECOND_LOOKS):
            distance = float(np.sqrt(region.squared_distance(best.x)))
            if self.should_stop() or distance == 0.0:
                break
            way = random.standard_normal(region.near.size) * region.free
            length = float(np.linalg.norm(way))
            if length == 0.0:
                break
            aside = region.near + region.scale * (distance / length) * way
            begin = self.project(self.inside(aside))
            if not self.holds(begin):
                continue
            rough = self.descend(begin.x, ROUGH)
            reached = float(np.sqrt(region.squared_distance(rough.x)))
            if reached <= PROMISING * distance:
                found = self.descended(rough.x)
                if region.squared_distance(found.x) < region.squared_distance(best.x):
                    best = found
        return best

    def holds(self, found: Candidate) -> bool:
        """Whether its values are good enough."""
        return self.band.contains(found.value)

    def feasible_start(self, begins: Sequence[Float64]) -> Candidate:
        """A feasible point, or the best point of least squares."""
        for x in begins:
            found = self._by_newton(x)
            if self.holds(found) or found.stopped:
                return found
        lowest: list[Candidate] = []
        for x in begins:
            found = self.by_least_squares(x)
            if self.holds(found) or found.stopped:
                return found
            lowest.append(found)
        best = min(lowest, key=self.misfit)
        if self.smooth.cells is not None:
            best = walk_closer(self, self.smooth.cells, best)
            if self.holds(best) or best.stopped:
                return best
        if self._only_equations:
            return best
        found = self.least_violation(best.x)
        return found if self.holds(found) else best

    def feasible_spare(self, spare: Sequence[Float64], otherwise: Candidate) -> Candidate:
        """A feasible point from a spare start; the best point of least squares if none."""
        for start in spare:
            x = self.inside(start)
            found = self._by_newton(x)
            if not self.holds(found) and not found.stopped:
                found = self.by_least_squares(x)
            if self.holds(found):
                return found
            if self.misfit(found) < self.misfit(otherwise):
                otherwise = found
            if found.stopped:
                break
        return otherwise

    @property
    def _only_equations(self) -> bool:
        return bool(self.band.equation[: self.outputs].all())

    def _by_newton(self, x: Float64) -> Candidate:
        """Newton's method for the band; x itself where targets are aimed at.

        For those least squares takes the shorter steps, and so meets the nearer solutions.
        """
        if self._only_equations:
            return candidate(self.smooth, self.band, x)
        return self.project(x)

    def by_least_squares(self, x: Float64) -> Candidate:
        """The point of least squares, and Newton's method from there if it is close."""
        found = self.nearest_output(x)
        if found.stopped:
            return found
        closer = self.project(found.x)
        return closer if self.holds(closer) else found

    def misfit(self, found: Candidate) -> float:
        """Weighted squares of f - target; infinite where x is not allowed."""
        if not self.band.walls_hold(found.value):
            return np.inf
        off = found.value[: self.outputs] - self.band.target
        with np.errstate(over="ignore", invalid="ignore"):
            cost = float(np.square(off * self.band.weights[: self.outputs]).sum())
        return cost if np.isfinite(cost) else np.inf

    def feasible_ones(self, begins: Sequence[Float64], besides: Float64) -> list[Float64]:
        """Those starts that are feasible as they come."""
        return [
            x
            for x in begins
            if not np.array_equal(x, besides) and self.band.contains(self.smooth.value(x))
        ]

    def to_the_last_digit(self, best: Descended) -> Candidate:
        """Where targets themselves are wanted: f(x) - target to the rounding of f."""
        here = candidate(self.smooth, self.band, best.x)
        if not self.band.equation.any():
            return here
        polished = project(self.smooth, self.band, self.region, best.x, never)
        return polished if self.holds(polished) else here
