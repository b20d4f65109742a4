"""Of all x whose outputs are good enough, the one nearest to a given point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap
from nninvert.rootfind._feasible_descent import Descended, descend
from nninvert.rootfind._feasible_start import (
    Candidate,
    candidate,
    least_violation,
    nearest_output,
    project,
)
from nninvert.rootfind.least_squares import gauss_newton, never

__all__ = ["Band", "LeastChange", "Region", "SmoothMap", "least_change", "least_misfit"]

ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class LeastChange:
    """The point that was found and what is known of it.

    Attributes
    ----------
    x : float64 array, shape (n,)
        Inside the bounds to the last bit. Not `feasible`: the point of least squares.
    value : float64 array, shape (m,)
        f(x).
    feasible : bool
        Whether |f(x) - target| <= tolerance for every output.
    stationary : bool
        Whether the last quadratic program found no direction in which a feasible point
        lies nearer, to 1e-8 of the squared distance: a local claim.
    decrease : float
        The relative decrease of the squared distance that the program predicted; NaN
        where no feasible point was found.
    distance : float
        ||(x - near) / scale||.
    stopped : bool
        Whether `should_stop` or a limit of steps cut the search short.
    """

    x: Float64
    value: Float64
    feasible: bool
    stationary: bool
    decrease: float
    distance: float
    stopped: bool


def least_change(
    smooth: SmoothMap,
    band: Band,
    region: Region,
    *,
    starts: Sequence[Float64] = (),
    spare: Sequence[Float64] = (),
    should_stop: ShouldStop = never,
) -> LeastChange:
    """Minimise ||(x - near) / scale|| subject to |f(x) - target| <= tolerance and bounds.

    A local method: the result is the nearest point of the piece of the feasible set that
    the search reached. Where no feasible point is found, none need be missing: the result
    is then the best local least-squares point.

    Parameters
    ----------
    smooth : SmoothMap
        f, its Jacobian, and its curvature if known: without it the steps converge
        linearly where f is curved and the solution does not lie in a corner.
    band : Band
        ``Band.wide`` uses the tolerance up to its edge (less 1e-8 of it); ``Band.exact``
        aims at the target itself, and the tolerance only judges.
    region : Region
        Bounds, `near`, and the scale of the distance.
    starts : sequence of float64 arrays, shape (n,)
        Where to begin, beside `near` moved into the bounds.
    spare : sequence of float64 arrays, shape (n,)
        Where to begin if no feasible point was found from there.
    should_stop : callable, default never
        Asked before each step; the best point so far is returned.

    Returns
    -------
    LeastChange

    Notes
    -----
    Phase one, from each start until one succeeds: Newton's method for inequalities, each
    step the shortest into the linearised band (a quadratic program); where that stalls,
    and always where the targets themselves are wanted, least squares on f - target; then
    least squares on what lies outside the band; then the spare starts. Phase two:
    feasible sequential quadratic programming (`descend`), also from those starts that
    are feasible as they come.
    Equations get a few Gauss-Newton steps at the end, to the rounding of f.
    """
    near = np.clip(region.near, region.lower, region.upper)
    begins = [near, *(np.clip(start, region.lower, region.upper) for start in starts)]
    search = _Search(smooth, band, region, should_stop)
    first = search.feasible_start(begins)
    if not band.contains(first.value) and not first.stopped:
        first = search.feasible_spare(spare, otherwise=first)
    if not band.contains(first.value):
        return _least_squares_point(first, band, region)
    ready = [first.x, *search.feasible_ones(begins[1:], besides=first.x)]
    found = [descend(smooth, band, region, x, should_stop) for x in ready]
    best = min(found, key=lambda one: region.squared_distance(one.x))
    return search.finished(best, stopped=first.stopped or best.stopped)


def least_misfit(
    smooth: SmoothMap,
    band: Band,
    region: Region,
    start: Float64,
    *,
    should_stop: ShouldStop = never,
) -> LeastChange:
    """Minimise the squares of f - target inside the bounds, from one start.

    For targets that cannot be reached: the result says so (`feasible` is False) unless
    the search shows otherwise. Parameters as in `least_change`.
    """
    return _least_squares_point(
        nearest_output(smooth, band, region, start, should_stop), band, region
    )


def _least_squares_point(found: Candidate, band: Band, region: Region) -> LeastChange:
    """A result of phase one, of which nothing is known beside where it lies."""
    return LeastChange(
        x=found.x,
        value=found.value,
        feasible=band.contains(found.value),
        stationary=False,
        decrease=np.nan,
        distance=float(np.sqrt(region.squared_distance(found.x))),
        stopped=found.stopped,
    )


class _Search:
    def __init__(
        self, smooth: SmoothMap, band: Band, region: Region, should_stop: ShouldStop
    ) -> None:
        self.smooth, self.band, self.region = smooth, band, region
        self.should_stop = should_stop

    def feasible_start(self, begins: Sequence[Float64]) -> Candidate:
        """A feasible point, or the best point of least squares."""
        arguments = self.smooth, self.band, self.region
        if self.band.equation.all():
            for x in begins:
                found = candidate(self.smooth, self.band, x)
                if self.band.contains(found.value):
                    return found
        if not self.band.equation.all():
            for x in begins:
                found = project(*arguments, x, self.should_stop)
                if self.band.contains(found.value) or found.stopped:
                    return found
        lowest: list[Candidate] = []
        for x in begins:
            found = nearest_output(*arguments, x, self.should_stop)
            lowest.append(found)
            if self.band.contains(found.value) or found.stopped:
                break
        best = min(lowest, key=self._misfit)
        if self._is_settled(best):
            return best
        found = least_violation(*arguments, best.x, self.should_stop)
        return found if self.band.contains(found.value) else best

    def feasible_spare(self, spare: Sequence[Float64], otherwise: Candidate) -> Candidate:
        """A feasible point from a spare start; the best point of least squares if none."""
        for start in spare:
            x = np.clip(start, self.region.lower, self.region.upper)
            found = self._from_one(x)
            if self.band.contains(found.value):
                return found
            if self._misfit(found) < self._misfit(otherwise):
                otherwise = found
            if found.stopped:
                break
        return otherwise

    def _from_one(self, x: Float64) -> Candidate:
        """By projections, else by least squares."""
        arguments = self.smooth, self.band, self.region
        if not self.band.equation.all():
            found = project(*arguments, x, self.should_stop)
            if self.band.contains(found.value) or found.stopped:
                return found
        return nearest_output(*arguments, x, self.should_stop)

    def _is_settled(self, best: Candidate) -> bool:
        """Whether least squares on the violation has nothing to add."""
        band = self.band
        return best.stopped or band.contains(best.value) or bool(band.equation.all())

    def _misfit(self, found: Candidate) -> float:
        rest = (found.value - self.band.target) * self.band.weights
        with np.errstate(over="ignore", invalid="ignore"):
            cost = float(rest @ rest)
        return cost if np.isfinite(cost) else np.inf

    def feasible_ones(self, begins: Sequence[Float64], besides: Float64) -> list[Float64]:
        """Those starts that are feasible as they come."""
        return [
            x
            for x in begins
            if not np.array_equal(x, besides) and self.band.contains(self.smooth.value(x))
        ]

    def finished(self, best: Descended, *, stopped: bool) -> LeastChange:
        x = self._to_the_last_digit(best)
        value = self.smooth.value(x)
        return LeastChange(
            x=x,
            value=value,
            feasible=True,
            stationary=best.stationary,
            decrease=best.decrease,
            distance=float(np.sqrt(self.region.squared_distance(x))),
            stopped=stopped,
        )

    def _to_the_last_digit(self, best: Descended) -> Float64:
        """Where targets themselves are wanted: f(x) - target to the rounding of f."""
        band, region = self.band, self.region
        if not band.equation.any():
            return best.x
        weights = band.weights
        polished = gauss_newton(
            lambda x: band.excess(self.smooth.value(x)) * weights,
            lambda x: self.smooth.jacobian(x) * weights[:, None],
            best.x,
            region.lower,
            region.upper,
            scale=region.scale,
        )
        kept = band.contains(self.smooth.value(polished.x))
        return polished.x if kept else best.x
