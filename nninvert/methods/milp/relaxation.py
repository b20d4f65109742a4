"""Bounds of what enters each unit, by straight lines above and below the activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp.ball import Ball
from nninvert.methods.milp.chain import Affine, Hidden
from nninvert.methods.milp.pieces import Pieces

Float64 = NDArray[np.float64]

WIDENED = 1e-8
"""Bounds are moved outwards by this part of their size: far above the rounding of their
sums, and below what a solver can tell apart."""


@dataclass(frozen=True)
class Range:
    """Bounds of what enters the units of one layer, shape (width,)."""

    lower: Float64
    upper: Float64

    def meet(self, other: Range) -> Range:
        """What both allow."""
        return Range(
            np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        )


def ranges(hidden: Sequence[Hidden], last: Affine, ball: Ball) -> list[Range]:
    """Bounds for every hidden layer, and of the last affine map's values.

    Backward linear relaxation [1]_: the map of a layer is carried back to the inputs
    through lines that bound the activations between, and its largest value over the ball
    is taken there. Forward intervals are met with it where they are narrower.

    Parameters
    ----------
    hidden : sequence of Hidden
    last : Affine
    ball : Ball
        Finite.

    References
    ----------
    .. [1] H. Zhang, T.-W. Weng, P.-Y. Chen, C.-J. Hsieh, L. Daniel, Efficient neural
       network robustness certification with general activation functions, NeurIPS 2018
       (section 3.2; lines for straight pieces of any number are ours).
    """
    found: list[Range] = []
    lines: list[Lines] = []
    for place, affine in enumerate([*(layer.affine for layer in hidden), last]):
        known = _backward(affine, hidden[:place], lines, ball)
        if place:
            known = known.meet(_forward(affine, hidden[place - 1].pieces, found[-1]))
        found.append(known)
        if place < len(hidden):
            lines.append(Lines.around(hidden[place].pieces, known))
    return found


@dataclass(frozen=True)
class Lines:
    """``low_slope z + low_offset <= f(z) <= high_slope z + high_offset`` on a range."""

    low_slope: Float64
    low_offset: Float64
    high_slope: Float64
    high_offset: Float64

    @classmethod
    def around(cls, pieces: Pieces, known: Range) -> Lines:
        """Of lines with the slopes of the pieces and of the chord, the closest.

        Closest in the middle of the range, which is where the area between line and
        function is smallest. Ranges may be those of many boxes, shape (..., width).
        """
        lower, upper = known.lower, known.upper
        ends = pieces.at(np.stack([lower, upper]))
        width = np.maximum(upper - lower, np.finfo(np.float64).tiny)
        chord = np.where(upper > lower, (ends[1] - ends[0]) / width, 0.0)
        breaks = pieces.breaks.reshape(-1, *(1 for _ in lower.shape))
        inner = np.clip(breaks, lower, upper)
        places = np.concatenate([lower[None], inner, upper[None]])
        values = pieces.at(places)
        slopes = np.stack(
            [np.broadcast_to(slope, lower.shape) for slope in (*pieces.slopes, chord)]
        )
        rest = values[None] - slopes[:, None] * places[None]
        least, most = rest.min(axis=1), rest.max(axis=1)
        level = slopes * (0.5 * (lower + upper))
        low = np.argmax(least + level, axis=0)[None]
        high = np.argmin(most + level, axis=0)[None]
        return cls(
            np.take_along_axis(slopes, low, axis=0)[0],
            np.take_along_axis(least, low, axis=0)[0],
            np.take_along_axis(slopes, high, axis=0)[0],
            np.take_along_axis(most, high, axis=0)[0],
        )


def _backward(
    affine: Affine, before: Sequence[Hidden], lines: Sequence[Lines], ball: Ball
) -> Range:
    rows = np.concatenate([affine.matrix, -affine.matrix])
    total = np.concatenate([affine.bias, -affine.bias])
    for layer, line in zip(reversed(before), reversed(lines), strict=True):
        rising, falling = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
        total = total + rising @ line.high_offset + falling @ line.low_offset
        rows = rising * line.high_slope + falling * line.low_slope
        total = total + rows @ layer.affine.bias
        rows = rows @ layer.affine.matrix
    most = ball.largest(rows) + total
    width = affine.bias.size
    return _widened(-most[width:], most[:width])


def _forward(affine: Affine, pieces: Pieces, known: Range) -> Range:
    inner = np.clip(pieces.breaks[:, None], known.lower, known.upper)
    values = pieces.at(np.concatenate([known.lower[None], inner, known.upper[None]]))
    low, high = values.min(axis=0), values.max(axis=0)
    rising, falling = np.maximum(affine.matrix, 0.0), np.minimum(affine.matrix, 0.0)
    return _widened(
        rising @ low + falling @ high + affine.bias,
        rising @ high + falling @ low + affine.bias,
    )


def _widened(lower: Float64, upper: Float64) -> Range:
    # One bound of a pair may be far larger than the other.
    room = WIDENED * np.maximum(np.abs(lower), np.abs(upper))
    return Range(lower - room, upper + room)
