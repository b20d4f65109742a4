"""From cell to cell of a map with kinks, as long as that brings something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from nninvert.rootfind._band import Band, Cells, Float64, Pattern, SmoothMap
from nninvert.rootfind._feasible_descent import NEGLIGIBLE, Descended, descend
from nninvert.rootfind._feasible_start import Candidate, candidate, nearest_output
from nninvert.rootfind._inequalities import bordered

if TYPE_CHECKING:
    from nninvert.rootfind._search import Search

MAX_CELLS = 300
"""Cells that are entered in turn."""


ACROSS = 1e-3
"""Length, relative to the distance, of the shortest steps across kinks: shorter ones gain
less than a look at the cells."""

CLOSER = 1e-3
"""Part by which the squares of what is missing must fall for a cell to be entered."""


class _Placed(Protocol):
    @property
    def x(self) -> Float64: ...


P = TypeVar("P", bound=_Placed)


def walk(
    cells: Cells,
    here: P,
    in_cell: Callable[[Pattern, P], P | None],
    onwards: Callable[[P], P],
    should_stop: Callable[[], bool],
) -> tuple[P, bool]:
    """Enter any cell around a point in which there is something to gain, and go on.

    Where smooth steps end at a kink, none of the pieces that meet there need be at its
    best: each is looked at for itself, inside its own cell.

    Parameters
    ----------
    cells : Cells
    here : a point
        Whatever is known of it, with its place `x`.
    in_cell : callable
        The best point of a cell from a point that touches it; None if no better one.
    onwards : callable
        Longer steps, across kinks, from a point that was just reached.
    should_stop : callable

    Returns
    -------
    here : a point
        The last one.
    settled : bool
        Whether no cell around it, all of them looked at, has a better one.
    """
    for _ in range(MAX_CELLS):
        around = cells.around(here.x)
        better = None
        for pattern in around.patterns:
            if should_stop():
                return here, False
            better = in_cell(pattern, here)
            if better is not None:
                break
        if better is None:
            return here, around.complete
        here = onwards(better)
    return here, False


def walk_nearer(search: Search, cells: Cells, here: Descended) -> Descended:
    """Go on from where a descent ended, through the cells that are better than its end."""
    sure = True

    def in_cell(pattern: Pattern, here: Descended) -> Descended | None:
        nonlocal sure
        smooth, band = _piece(search, cells, pattern, here.x)
        if not band.contains(smooth.value(here.x)):
            sure = False
            return None
        found = descend(smooth, band, search.region, here.x, search.should_stop)
        there = candidate(search.smooth, search.band, found.x)
        if not search.holds(there):
            there = search.project(found.x)
        before = search.region.squared_distance(here.x)
        nearer = search.region.squared_distance(there.x) < (1.0 - NEGLIGIBLE) * before
        if nearer and search.band.holds(there.value):
            sure = True
            return replace(found, x=there.x, value=there.value)
        sure = sure and found.stationary
        return None

    def onwards(here: Descended) -> Descended:
        return search.descend(here.x, ACROSS)

    last, settled = walk(cells, here, in_cell, onwards, search.should_stop)
    return replace(last, stationary=settled and sure, stopped=search.should_stop())


def walk_closer(search: Search, cells: Cells, here: Candidate) -> Candidate:
    """Go on from where least squares ended; ends as soon as the band is reached."""

    def in_cell(pattern: Pattern, here: Candidate) -> Candidate | None:
        if search.holds(here):
            return None
        smooth, band = _piece(search, cells, pattern, here.x)
        found = nearest_output(smooth, band, search.region, here.x, search.should_stop)
        there = candidate(search.smooth, search.band, found.x, stopped=found.stopped)
        closer = search.misfit(there) < (1.0 - CLOSER) * search.misfit(here)
        return there if closer else None

    def onwards(here: Candidate) -> Candidate:
        return search.by_least_squares(here.x)

    return walk(cells, here, in_cell, onwards, search.should_stop)[0]


def _piece(
    search: Search, cells: Cells, pattern: Pattern, x: Float64
) -> tuple[SmoothMap, Band]:
    """The map on a cell, the inequalities behind its walls."""
    smooth, walls = cells.piece(pattern, x)
    return bordered(smooth, search.outputs_band.beside(walls), search.region)
