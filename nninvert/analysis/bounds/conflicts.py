"""Whether bounds and inequalities leave any input at all, and which of them do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.bounds.solving import multipliers_of
from nninvert.linalg.certificates import LinearSystem, least_value

Float64 = NDArray[np.float64]

_SECONDS = 10.0
"""For each linear program."""

_FAR = 1e9
"""Inputs that are so many times as large as any number that is given are not meant."""


@dataclass(frozen=True)
class Conflict:
    """Inequalities and bounds that no input meets together, proved in exact arithmetic.

    "No input" is none that is up to a billion times as large as the numbers that it is
    asked for with: 0.3 x <= 1 and 0.9 x >= 3.3 would meet far out, as 0.9 is not three
    times 0.3 in float64.

    Attributes
    ----------
    constraints : tuple of int
        Which inequalities; without any one of them the others can be met, as far as the
        solver can tell.
    inputs : tuple of int
        Whose bounds take part.
    """

    constraints: tuple[int, ...]
    inputs: tuple[int, ...]

    @property
    def alone(self) -> bool:
        """Whether the inequalities conflict whatever the bounds are."""
        return not self.inputs


def find_conflict(
    lower: Float64, upper: Float64, matrix: Float64, limit: Float64
) -> Conflict | None:
    """Look for inequalities that cannot be met within bounds.

    Parameters
    ----------
    lower, upper : float64 arrays, shape (n,)
        -inf and inf where open; no lower end above the upper one.
    matrix : float64 array, shape (c, n)
    limit : float64 array, shape (c,)
        ``matrix @ x <= limit``, exactly.

    Returns
    -------
    Conflict or None
        None where there is an input, or where none was proved to be missing.
    """
    kept = np.arange(limit.size)
    if not _conflicts(lower, upper, matrix, limit):
        return None
    for candidate in kept:
        fewer = kept[kept != candidate]
        if _conflicts(lower, upper, matrix[fewer], limit[fewer]):
            kept = fewer
    matrix, limit = matrix[kept], limit[kept]
    bounded = np.isfinite(lower) | np.isfinite(upper)
    used = bounded & (matrix != 0.0).any(axis=0)
    for column in np.flatnonzero(used):
        fewer = used.copy()
        fewer[column] = False
        low, high = np.where(fewer, lower, -np.inf), np.where(fewer, upper, np.inf)
        if _conflicts(low, high, matrix, limit):
            used = fewer
    inputs = tuple(int(k) for k in np.flatnonzero(used))
    return Conflict(tuple(int(k) for k in kept), inputs)


def _conflicts(lower: Float64, upper: Float64, matrix: Float64, limit: Float64) -> bool:
    """Whether it is proved that some of the inequalities are not met.

    A linear program makes them as little wrong as can be, relative to their own sizes;
    its multipliers are then tried on the inequalities themselves.
    """
    from scipy.sparse import csr_array

    n = lower.size
    size = np.abs(matrix).max(axis=1, initial=0.0)
    size = np.where(size > 0.0, size, 1.0)
    open_end = np.full(limit.size, -np.inf)
    # The solver takes entries below 1e-9 for zero.
    scaled = matrix / size[:, None]
    loosened = LinearSystem(
        csr_array(np.column_stack([scaled, -np.ones(limit.size)])),
        open_end,
        limit / size,
        np.append(lower, 0.0),
        np.append(upper, np.inf),
    )
    found = multipliers_of(loosened, np.append(np.zeros(n), 1.0), _SECONDS)
    if found is None:
        return False
    far = _FAR * _largest_number(lower, upper, matrix, limit)
    low, high = np.maximum(lower, -far), np.minimum(upper, far)
    system = LinearSystem(csr_array(matrix), open_end, limit, low, high)
    least = least_value(np.zeros(n), system, found / size)
    return least is not None and least > 0


def _largest_number(
    lower: Float64, upper: Float64, matrix: Float64, limit: Float64
) -> float:
    """The largest of the bounds and of the places where inequalities cross the axes."""
    ends = np.concatenate([lower, upper])
    rows, columns = np.nonzero(matrix)
    crossings = limit[rows] / matrix[rows, columns]
    sizes = np.abs(np.concatenate([ends[np.isfinite(ends)], crossings]))
    return float(sizes.max(initial=1.0))
