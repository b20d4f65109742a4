"""The best x of each row so far, judged by the plain forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert import tolerances
from nninvert.linalg.norms import row_norms
from nninvert.linalg.row_blocks import row_blocks
from nninvert.methods._base import Attempt, Method
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Judgement:
    """What the plain forward pass says of each row.

    `misfit` is the norm of (f(x)_i - y_i) / tol_i over the wanted outputs; inf where it is
    not finite or x lies outside the bounds.
    """

    solved: Mask
    misfit: Float64
    fitted: Float64
    terms: Float64
    tolerance: Float64


def judge(problem: Problem, x: NDArray[np.floating]) -> Judgement:
    """Recompute f in float64 at x, as it is written, and compare."""
    exact = x.astype(np.float64, copy=False)
    fitted, terms = problem.evaluated(exact)
    domain = problem.domain.in_type(x.dtype)
    met, allowed = (np.empty(len(x), dtype=np.bool_) for _ in range(2))
    misfit, tolerance = np.empty(len(x)), np.empty(fitted.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in row_blocks(fitted.shape):
            allowed[part] = domain.contain(exact[part])
            tol = tolerance[part] = problem.tolerance(terms[part], part)
            error = problem.targets.missed_by(fitted[part], part)
            met[part] = (error <= tol).all(axis=1)
            # A tolerance of zero is met by zero.
            misfit[part] = row_norms(error / np.maximum(tol, np.finfo(np.float64).tiny))
    return Judgement(
        solved=met & allowed,
        misfit=np.where(np.isfinite(misfit) & allowed, misfit, np.inf),
        fitted=fitted,
        terms=terms,
        tolerance=tolerance,
    )


def cast_within(
    problem: Problem, x: Float64, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """Round x to the type that is written without leaving the bounds by that."""
    written = np.empty(x.shape, dtype)
    domain, narrowed = problem.domain, problem.domain.in_type(dtype)
    for part in row_blocks(x.shape):
        with np.errstate(over="ignore", invalid="ignore"):
            written[part] = x[part]
        inside = domain.contain(x[part])[:, None]
        np.copyto(written[part], narrowed.clip(written[part]), "same_kind", where=inside)
    return written


def _said(
    problem: Problem, attempt: Attempt, written: Judgement, dtype: np.dtype[np.floating]
) -> NDArray[np.object_]:
    """What the method says of each row; of answers that the type of x loses, that."""
    texts = np.array(attempt.reason, dtype=object)
    if dtype == np.float64 or written.solved.all():
        return texts
    lost = ~written.solved & judge(problem, attempt.x).solved
    texts[lost] = (
        f"an x that meets the target was found, but rounded to {dtype.name} it misses: "
        "float64 keeps it"
    )
    return texts


@dataclass
class Ledger:
    """The best x of each row so far and what is known about it.

    `fitted`, `terms` and `tolerance` are those of the judgement of that very x. While all
    rows come from one attempt, these arrays are its own, not to be written to: `shared`.
    """

    x: NDArray[np.floating]
    misfit: Float64
    solved: Mask
    fitted: Float64
    terms: Float64
    tolerance: Float64
    stopped: Mask
    searched: Mask
    method: NDArray[np.object_]
    reason: NDArray[np.object_]
    departure: NDArray[np.object_]
    unique: Mask
    free_dimensions: NDArray[np.int64]
    shared: bool = True

    @classmethod
    def empty(cls, problem: Problem, dtype: DTypeLike) -> Ledger:
        """Nothing found yet for any row."""
        rows, n_in, n_out = problem.rows, problem.network.n_in, problem.network.n_out
        unknown = np.broadcast_to(np.nan, (rows, n_out))
        return cls(
            x=np.broadcast_to(np.asarray(np.nan, dtype=dtype), (rows, n_in)),
            misfit=np.full(rows, np.inf),
            solved=np.zeros(rows, dtype=np.bool_),
            fitted=unknown,
            terms=unknown,
            tolerance=unknown if problem.within is None else problem.within,
            stopped=np.zeros(rows, dtype=np.bool_),
            searched=np.zeros(rows, dtype=np.bool_),
            method=np.full(rows, "", dtype=object),
            reason=np.full(rows, "", dtype=object),
            departure=np.full(rows, "", dtype=object),
            unique=np.zeros(rows, dtype=np.bool_),
            free_dimensions=np.zeros(rows, dtype=np.int64),
        )

    def enter(
        self,
        part: Problem,
        rows: NDArray[np.int64],
        attempt: Attempt,
        method: Method,
    ) -> None:
        """Judge an attempt at some rows and keep, row by row, what is better than before.

        Parameters
        ----------
        part : Problem
            Of these rows alone.
        rows : int array
        attempt : Attempt
        method : Method
        """
        written = cast_within(part, attempt.x, self.x.dtype)
        judged = judge(part, written)
        first = self.method[rows] == ""
        better = judged.solved | (judged.misfit < self.misfit[rows]) | first
        chosen = rows[better]
        self.misfit[chosen] = judged.misfit[better]
        self.solved[chosen] = judged.solved[better]
        self._keep(chosen, better, written, judged)
        self.method[chosen] = method.name
        self.stopped[rows] = attempt.stopped
        # A search that ended by itself and found nothing better confirms what was there.
        self.searched[rows] |= method.searches & ~attempt.stopped
        texts = _said(part, attempt, judged, self.x.dtype)
        self.reason[rows] = np.where(texts == "", self.reason[rows], texts)
        # What is left to say of a row that is solved is what the solving method says.
        self.reason[chosen] = np.where(
            judged.solved[better],
            "" if attempt.preimage else texts[better],
            self.reason[chosen],
        )
        if attempt.preimage is not None:
            self.departure[rows] = texts
            # Values within the precision of y may have far origins: then it is not known.
            radius = attempt.preimage.radius.reshape(rows.size, -1)
            known = (radius < tolerances.UNBOUNDED_RADIUS).all(axis=1)
            self.unique[chosen] = (attempt.preimage.unique & known)[better]
            self.free_dimensions[chosen] = attempt.preimage.free_dimensions[better]
        else:
            self.unique[chosen] = False
            self.free_dimensions[chosen] = 0

    def _keep(
        self,
        chosen: NDArray[np.int64],
        better: Mask,
        written: NDArray[np.floating],
        judged: Judgement,
    ) -> None:
        """Take x and what was found at it over, for the chosen rows."""
        if chosen.size == self.solved.size:
            self.x, self.fitted = written, judged.fitted
            self.terms, self.tolerance = judged.terms, judged.tolerance
            self.shared = True
            return
        self.unshare()
        self.x[chosen] = written[better]
        self.fitted[chosen] = judged.fitted[better]
        self.terms[chosen] = judged.terms[better]
        self.tolerance[chosen] = judged.tolerance[better]

    def unshare(self) -> None:
        """Make arrays that may be written to out of those of an attempt."""
        if self.shared:
            self.x, self.fitted = self.x.copy(), self.fitted.copy()
            self.terms, self.tolerance = self.terms.copy(), self.tolerance.copy()
            self.shared = False
