"""Which inputs are allowed, as bounds and proofs see it: a box and inequalities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import TINY, Box

Float64 = NDArray[np.float64]

_ROUNDS = 4
"""How often bounds are tightened by the inequalities; more seldom changes much."""


@dataclass(frozen=True)
class Inequalities:
    """``matrix @ x <= limit``, with whatever rounding lets pass included.

    Attributes
    ----------
    matrix : float64 array, shape (c, n_in)
    limit : float64 array, shape (c,)
        inf where rounding cannot be bounded, as an input is not.
    """

    matrix: Float64
    limit: Float64


@dataclass(frozen=True)
class Inputs:
    """All inputs that are allowed, and perhaps some more.

    Attributes
    ----------
    box : Box
        May be empty, lower above upper, where inequalities leave nothing.
    inequalities : Inequalities
    """

    box: Box
    inequalities: Inequalities

    @property
    def is_empty(self) -> bool:
        """Whether the box alone shows that no input is allowed."""
        return bool((self.box.lower > self.box.upper).any())


def allowed_inputs(
    lower: Float64,
    upper: Float64,
    integer: NDArray[np.bool_],
    matrix: Float64,
    limit: Float64,
    eps: float = tolerances.EPS64,
) -> Inputs:
    """Tighten bounds by whole numbers and inequalities.

    Parameters
    ----------
    lower, upper : float64 arrays, shape (n_in,)
        -inf and inf where open.
    integer : bool array, shape (n_in,)
        Inputs that are whole numbers.
    matrix : float64 array, shape (c, n_in)
    limit : float64 array, shape (c,)
        ``matrix @ x <= limit``, judged up to the rounding of its own sum.
    eps : float, default that of float64
        Spacing at 1 of the type in which x is judged.
    """
    share = 4.0 * (lower.size + 4) * eps
    low = np.where(integer, np.ceil(lower), lower)
    high = np.where(integer, np.floor(upper), upper)
    for _ in range(_ROUNDS if limit.size else 0):
        low, high = _tightened(low, high, matrix, limit, share)
        low = np.where(integer, np.ceil(low), low)
        high = np.where(integer, np.floor(high), high)
    box = Box(low, high)
    with np.errstate(invalid="ignore"):
        terms = np.where(matrix == 0.0, 0.0, np.abs(matrix) * box.size).sum(axis=1)
    # Four times what the judgement of an x grants, and a few roundings of ours.
    slack = share * (terms + np.abs(limit)) + TINY
    return Inputs(box, Inequalities(matrix, limit + slack))


def _tightened(
    lower: Float64, upper: Float64, matrix: Float64, limit: Float64, share: float
) -> tuple[Float64, Float64]:
    """Solve every inequality for every input, the others at their best ends.

    `share` is what rounding may let pass, relative to the sum of the sizes of the terms.
    """
    low, high = lower.copy(), upper.copy()
    for row, most in zip(matrix, limit, strict=True):
        used = np.flatnonzero(row)
        # The least that each term can be, less what its rounding hides.
        ends = np.where(row > 0.0, low, high)[used]
        terms = row[used] * ends
        terms -= 2.0 * share * np.abs(terms) + TINY
        for place, column in enumerate(used):
            others = float(np.delete(terms, place).sum())
            room = most - others
            if not np.isfinite(room):
                continue
            room += 4.0 * share * (abs(most) + float(np.abs(np.delete(terms, place)).sum()))
            edge = room / row[column]
            edge += np.sign(row[column]) * (4.0 * share * abs(edge) + TINY)
            if row[column] > 0.0:
                high[column] = min(high[column], edge)
            else:
                low[column] = max(low[column], edge)
    return low, high
