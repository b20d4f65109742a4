"""Of all x whose outputs are good enough, the one nearest to a given point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._band import Around, Band, Float64, Region, SmoothMap, Walls
from nninvert.rootfind._feasible_start import Candidate, ShouldStop
from nninvert.rootfind._inequalities import Inequalities
from nninvert.rootfind._search import Search
from nninvert.rootfind.levenberg_marquardt import never

__all__ = [
    "Around",
    "Band",
    "Inequalities",
    "LeastChange",
    "Region",
    "SmoothMap",
    "Walls",
    "least_change",
    "least_misfit",
]


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
    least squares on f - target (`approach`); then least squares on what lies outside the
    band; then the spare starts. Phase two: feasible sequential quadratic programming
    (`descend`), also from those starts that are feasible as they come.
    Equations get a few Newton steps at the end, to the rounding of f.
    Programs have systems of the order of the outputs and inequalities: no matrix of the
    variables is made where those are more.
    """
    search = Search(smooth, band, region, should_stop)
    begins = [search.inside(start) for start in (region.near, *starts)]
    first = search.feasible_start(begins)
    if not search.holds(first) and not first.stopped:
        first = search.feasible_spare(spare, otherwise=first)
    if not search.holds(first):
        return _least_squares_point(search, first)
    ready = [first.x, *search.feasible_ones(begins[1:], besides=first.x)]
    found = [search.descended(x) for x in ready]
    best = min(found, key=lambda one: region.squared_distance(one.x))
    best = search.second_looks(best)
    last = search.to_the_last_digit(best)
    return LeastChange(
        x=last.x,
        value=last.value[: band.outputs],
        feasible=True,
        stationary=best.stationary,
        decrease=best.decrease,
        distance=float(np.sqrt(region.squared_distance(last.x))),
        stopped=first.stopped or best.stopped,
    )


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
    search = Search(smooth, band, region, should_stop)
    return _least_squares_point(search, search.nearest_output(search.inside(start)))


def _least_squares_point(search: Search, found: Candidate) -> LeastChange:
    """A result of phase one, of which nothing is known beside where it lies."""
    return LeastChange(
        x=found.x,
        value=found.value[: search.outputs],
        feasible=search.holds(found),
        stationary=False,
        decrease=np.nan,
        distance=float(np.sqrt(search.region.squared_distance(found.x))),
        stopped=found.stopped,
    )
