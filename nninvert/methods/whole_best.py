"""The best whole numbers that were found for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.norms import row_norms
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What f says of one x for each of some rows.

    Attributes
    ----------
    meets : bool array, shape (k,)
        Every wanted output is within its tolerance, and x is allowed.
    misfit : float64 array, shape (k,)
        Norm of the errors in units of their tolerances; inf where x is not allowed or f(x)
        not finite.
    distance : float64 array, shape (k,)
        From `near`, in units of `Problem.unit`.
    """

    meets: Mask
    misfit: Float64
    distance: Float64


class Best:
    """The best x of each row of a problem: good enough, then near, else least misfit.

    Parameters
    ----------
    problem : Problem
        With the whole numbers that it asks for.

    Attributes
    ----------
    x : float64 array, shape (rows, n_in)
        NaN where nothing was offered.
    meets, misfit, distance
        As in `Judged`, shape (rows,).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.scale = problem.unit
        rows = problem.rows
        self.x = np.full((rows, problem.network.n_in), np.nan)
        self.meets = np.zeros(rows, dtype=np.bool_)
        self.misfit = np.full(rows, np.inf)
        self.distance = np.full(rows, np.inf)

    @property
    def wants_nearest(self) -> bool:
        """Whether one x that is good enough does not end the search for others."""
        return self.problem.within is not None or self.problem.near_is_given

    @property
    def is_settled(self) -> Mask:
        """Rows for which nothing better is wanted, shape (rows,)."""
        return self.meets & (not self.wants_nearest)

    def offer(self, rows: Index, x: Float64) -> Judged:
        """Judge an x for each of these rows, each once, and keep what is better."""
        part = self.problem.take(rows)
        judged = judge(part, x, part.evaluated(x), self.scale)
        nearer = judged.distance < self.distance[rows]
        closer = judged.misfit < self.misfit[rows]
        better = np.where(
            judged.meets,
            ~self.meets[rows] | (nearer if self.wants_nearest else closer),
            ~self.meets[rows] & closer,
        )
        chosen = rows[better]
        self.x[chosen] = x[better]
        self.meets[chosen] = judged.meets[better]
        self.misfit[chosen] = judged.misfit[better]
        self.distance[chosen] = judged.distance[better]
        return judged

    def relaxed(self, rows: Index, x: Float64) -> Judged:
        """Judge an x for each of these rows without the demand for whole numbers."""
        part = self.problem.take(rows)
        part = replace(part, domain=part.domain.continuous())
        return judge(part, x, part.evaluated(x), self.scale)

    def error(self, row: int) -> float:
        """Largest |f(x) - y| of the wanted outputs; NaN where nothing was offered."""
        fitted = self.problem.network.forward(self.x[row][None])[0]
        wanted = self.problem.targets.wanted[row]
        return float(np.abs(fitted - self.problem.targets.values[row])[wanted].max())


def judge(
    problem: Problem, x: Float64, outputs: tuple[Float64, Float64], scale: Float64
) -> Judged:
    """Compare f(x) with the targets, row by row; where one row asks, with all x.

    Parameters
    ----------
    problem : Problem
        Of k rows, or of one.
    x : float64 array, shape (k, n_in)
    outputs : two float64 arrays, shape (k, n_out)
        Of `Problem.evaluated` at x.
    scale : float64 array, shape (n_in,)
        Of distances.
    """
    fitted, terms = outputs
    targets = problem.targets
    with np.errstate(over="ignore", invalid="ignore"):
        tolerance = problem.tolerance(terms)
        error = np.where(targets.wanted, np.abs(fitted - targets.values), 0.0)
        # A tolerance of zero is met by zero.
        misfit = row_norms(error / np.maximum(tolerance, np.finfo(np.float64).tiny))
        distance = row_norms((x - problem.near) / scale)
    allowed = problem.domain.contain(x) & np.isfinite(misfit)
    return Judged(
        meets=(error <= tolerance).all(axis=1) & allowed,
        misfit=np.where(allowed, misfit, np.inf),
        distance=distance,
    )
