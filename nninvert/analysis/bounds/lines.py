"""Straight lines below and above a function of one variable over an interval.

The slopes are guesses from sampled points; the offsets are bounds. On each cell between
neighbouring points the distance of the function from the line is bounded twice: by the
interval of its values, and by its values at the ends of the cell and its curvature,
``max(g(p), g(q)) + h^2 max|f''| / 8``, the error of linear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import TINY
from nninvert.analysis.bounds.units import UnitFunction

Float64 = NDArray[np.float64]

_POINTS = 16
"""Points spread evenly over an interval."""

_BENDS = 6.0
"""Beyond this many scales from zero an activation is nearly straight."""

_BEND_POINTS = 25
"""Points spread over where it bends."""

_UNITS_AT_ONCE = 512
"""All pairs of points of so many units are looked at together: some ten megabytes."""

_ROUNDINGS = 32.0
"""Of f and of the line's product, in units of eps: 9 spacings of z and of y, products and
sums, twice."""


@dataclass(frozen=True)
class Lines:
    """For each of n units a line below and one above, for computed and exact values.

    ``lower_slope z + lower_offset <= f(z) <= upper_slope z + upper_offset``; an offset is
    infinite where there is no such line.

    Attributes
    ----------
    lower_slope, lower_offset, upper_slope, upper_offset : float64 arrays, shape (n,)
    """

    lower_slope: Float64
    lower_offset: Float64
    upper_slope: Float64
    upper_offset: Float64


def lines(units: UnitFunction, lower: Float64, upper: Float64, at: float = 0.5) -> Lines:
    """Lines over [lower, upper] that are closest together at one place.

    Parameters
    ----------
    units : UnitFunction
    lower, upper : float64 arrays, shape (n,)
        Where one is infinite, or both are the same, the lines are flat.
    at : float, default 0.5
        The place, as a share of the interval.
    """
    low, high = units.enclose(lower, upper)
    flat = np.zeros(lower.size)
    found = Lines(flat, low.copy(), flat.copy(), high.copy())
    with np.errstate(over="ignore", invalid="ignore"):
        width = upper - lower
        size = np.maximum(np.abs(lower), np.abs(upper))
        bent = np.isfinite(width) & (width > 1e-12 * size) & (size < 1e100)
    bent &= np.isfinite(low) & np.isfinite(high)
    chosen = np.flatnonzero(bent)
    for start in range(0, chosen.size, _UNITS_AT_ONCE):
        part = chosen[start : start + _UNITS_AT_ONCE]
        _enter(found, part, _bent_lines(units.take(part), lower[part], upper[part], at))
    return found


def _enter(found: Lines, part: NDArray[np.int64], tilted: Lines) -> None:
    found.lower_slope[part] = tilted.lower_slope
    found.lower_offset[part] = tilted.lower_offset
    found.upper_slope[part] = tilted.upper_slope
    found.upper_offset[part] = tilted.upper_offset


def _bent_lines(units: UnitFunction, lower: Float64, upper: Float64, at: float) -> Lines:
    nodes = _nodes(units, lower, upper)
    below, above = units.enclose(nodes, nodes)
    # Off the nodes, so that the best line there is a chord between two of them.
    place = lower + (at + 1e-5) * (upper - lower)
    middle = 0.5 * below + 0.5 * above
    upper_slope = _slope_of_hull(nodes, middle, place)
    lower_slope = _slope_of_hull(nodes, -middle, place) * -1.0
    p, q = nodes[:-1], nodes[1:]
    cell_low, cell_high = units.enclose(p, q)
    with np.errstate(over="ignore", invalid="ignore"):
        sag = 0.125 * (q - p) ** 2 * units.curvature(p, q)
        sag = np.where(np.isnan(sag), np.inf, sag)
    size = np.maximum(np.abs(below), np.abs(above)).max(axis=0)
    reach = np.maximum(np.abs(lower), np.abs(upper))
    upper_offset = _highest(nodes, upper_slope, above, cell_high, sag)
    lower_offset = -_highest(nodes, -lower_slope, -below, -cell_low, sag)
    return Lines(
        lower_slope,
        lower_offset - _margin(size, lower_slope, reach),
        upper_slope,
        upper_offset + _margin(size, upper_slope, reach),
    )


def _margin(size: Float64, slope: Float64, reach: Float64) -> Float64:
    total = size + np.abs(slope) * reach
    return np.asarray(_ROUNDINGS * tolerances.EPS64 * total + TINY)


def _nodes(units: UnitFunction, lower: Float64, upper: Float64) -> Float64:
    """Points of each interval, ascending, the ends and both sides of kinks among them."""
    even = np.linspace(0.0, 1.0, _POINTS)[:, None]
    spread = lower + even * (upper - lower)
    special = list(units.scale * np.linspace(-_BENDS, _BENDS, _BEND_POINTS))
    for kink in units.kinks:
        special += [np.nextafter(kink, -np.inf), kink, np.nextafter(kink, np.inf)]
    marked = np.asarray(special)[:, None] + np.zeros(lower.size)
    nodes = np.concatenate([spread, marked])
    nodes = np.sort(np.clip(nodes, lower, upper), axis=0)
    # Values a few spacings outside count as well: so far computed functions look.
    nodes[0] = lower - _outside(lower)
    nodes[-1] = upper + _outside(upper)
    return nodes


def _outside(values: Float64) -> Float64:
    return 8.0 * tolerances.EPS64 * np.abs(values) + TINY


def _slope_of_hull(nodes: Float64, values: Float64, place: Float64) -> Float64:
    """The slope of the upper hull of points at a place: that of the highest chord."""
    left = np.where(nodes <= place, nodes, np.nan)[:, None]
    right = np.where(nodes > place, nodes, np.nan)[None, :]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slope = (values[None, :] - values[:, None]) / (right - left)
        height = values[:, None] + slope * (place - left)
    height = np.where(np.isfinite(height), height, -np.inf)
    count = nodes.shape[0] ** 2
    best = height.reshape(count, -1).argmax(axis=0)
    found = np.take_along_axis(slope.reshape(count, -1), best[None], axis=0)[0]
    return np.where(np.isfinite(found), found, 0.0)


def _highest(
    nodes: Float64, slope: Float64, values: Float64, cells: Float64, sag: Float64
) -> Float64:
    """At least ``f(z) - slope z`` over all cells.

    Parameters
    ----------
    nodes : shape (k, n)
    slope : shape (n,)
    values : shape (k, n)
        At least f at the nodes.
    cells : shape (k - 1, n)
        At least f between them.
    sag : shape (k - 1, n)
        How far f can bulge above the chord between the ends of a cell.
    """
    line = slope * nodes
    above = values - line
    by_curvature = np.maximum(above[:-1], above[1:]) + sag
    by_range = cells - np.minimum(line[:-1], line[1:])
    highest: Float64 = np.minimum(by_curvature, by_range).max(axis=0)
    return highest
