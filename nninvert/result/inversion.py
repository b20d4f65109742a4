"""The answer of ``invert``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.outcome import Kind, Proof, RowStatus, Uniqueness
from nninvert.result.shared import Float64, KeptFactors


@dataclass(frozen=True)
class PlanStep:
    """One method, the rows it was tried on, and why it was chosen."""

    method: str
    rows: int
    why: str


@dataclass(frozen=True)
class Plan:
    """What was done, in order."""

    requested: str
    steps: tuple[PlanStep, ...]


@dataclass(frozen=True)
class SolveSummary:
    """How a large layer was solved, and how well.

    Attributes
    ----------
    path : str
        "float32 LU, refined", "float64 LU", "LSMR", ...
    passes : int
        Most products with the weights that a block of rows took.
    contraction : float
        The largest ratio of successive corrections; NaN where it means nothing.
    backward_error, componentwise : float
        The largest of all rows; NaN where not measured.
    seconds : float
        That the factorisation took.
    memory : int or None
        Bytes held by the factors.
    """

    index: str
    name: str
    path: str
    passes: int
    contraction: float
    backward_error: float
    componentwise: float
    seconds: float
    memory: int | None = None


@dataclass(frozen=True)
class Family:
    """The answers around one answer, to first order.

    Attributes
    ----------
    row : int
        Of the target that x answers.
    x : float64 array, shape (n_in,)
    dimension : int
        n_in less the rank of the Jacobian at x, inputs that cannot move left out.
    basis : float64 array, shape (k, n_in)
        Orthonormal rows: directions in which x may move while y stays, to first order, in
        the units of the inputs. k < dimension where only some of very many were made.
    intervals : float64 array, shape (k, 2)
        x + t basis[j] is an answer for t from intervals[j, 0] <= 0 to intervals[j, 1] >= 0
        as far as f was recomputed there: by the tolerance that the row was judged by, and
        inside the bounds.
    points : int array, shape (k,)
        At how many evenly spaced points of each interval that was.
    kind : Kind
        Of the intervals; between two points f was not looked at.
    """

    row: int
    x: Float64
    dimension: int
    basis: Float64
    intervals: Float64
    points: NDArray[np.int64]
    kind: Kind = Kind.ESTIMATE

    @property
    def lengths(self) -> Float64:
        """Of the intervals, shape (k,)."""
        return np.asarray(self.intervals[:, 1] - self.intervals[:, 0])


@dataclass(frozen=True)
class Answers:
    """Several answers to each target, those that reach y most closely first.

    Residuals that the rounding of f explains count as equal, and so do all that meet a
    tolerance that was asked for; of equal ones the nearest to `near` comes first.

    Attributes
    ----------
    x : array, shape (rows, most, n_in)
        NaN where there are fewer. x[:, 0] is the x of the result, in a row without any
        answer the best x.
    residual : float64 array, shape (rows, most)
        Largest |f(x)_i - y_i| over the wanted outputs; NaN where there is no x.
    distance : float64 array, shape (rows, most)
        From `near`, in units of the network's first scaler if it has one.
    count : int array, shape (rows,)
        How many answers there are in `x`; all are SOLVED.
    found : int array, shape (rows,)
        How many distinct ones the search ended at; those in `x` were chosen to lie far
        apart.
    starts : int array, shape (rows,)
        From how many starts; 0 where nothing was searched for.
    apart : float64 array, shape (rows,)
        Distance of the two that lie closest together, in the same units; NaN for fewer
        than two.
    """

    x: NDArray[np.floating]
    residual: Float64
    distance: Float64
    count: NDArray[np.int64]
    found: NDArray[np.int64]
    starts: NDArray[np.int64]
    apart: Float64

    @property
    def most(self) -> int:
        """How many were asked for in each row."""
        return int(self.x.shape[1])


@dataclass(frozen=True)
class InversionResult:
    """The answer of ``invert``, one row for each target.

    Attributes
    ----------
    x : array, shape (rows, n_in)
        As it is written: float64, or the type asked for.
    fitted : float64 array, shape (rows, n_out)
        f(x), recomputed in float64 from `x` by the plain forward pass.
    status : tuple of RowStatus
    unique : tuple of Uniqueness
    free_dimensions : int array
        Dimension of the family of answers; 0 where unique or unknown.
    residual : float64 array
        Largest |f(x)_i - y_i| over the wanted outputs.
    relative_residual : float64 array
        ||f(x) - y|| / ||y|| over the wanted outputs.
    tolerance : float64 array, shape (rows, n_out)
        tol_i that each output was judged by.
    movement : float64 array
        Estimate of ||dx|| / ||x|| caused by the type that y was computed and stored in
        (`Precision.uncertainty`); NaN if unknown.
    digits : float64 array
        Digits of x to trust, from `movement`; NaN if unknown.
    method : tuple of str
        Which method gave the row.
    reason : tuple of str
        Why the row is not SOLVED, or what is known about it; may be "".
    proof : tuple of Proof
    edge_values : int array
        How many target values lie on an end of their range that no input attains.
    plan : Plan
    precision : str
        How y was stored: "float32", "CSV decimals", ...
    relative_tolerance : float or None
        T of the acceptance test; None where ``--within`` decided.
    tolerance_origin : str
        Where the tolerance came from, for people.
    seconds : float
    notes : tuple of str
        Sentences for the user: advice, what was assumed.
    solves : tuple of SolveSummary
        How large layers were solved; empty for small networks.
    kept : KeptFactors or None
        Factors that are left on the disk.
    answers : Answers or None
        Several for each row, where they were asked for.
    families : tuple of Family
        Of the rows that are SOLVED, where they were asked for.
    """

    x: NDArray[np.floating]
    fitted: Float64
    status: tuple[RowStatus, ...]
    unique: tuple[Uniqueness, ...]
    free_dimensions: NDArray[np.int64]
    residual: Float64
    relative_residual: Float64
    tolerance: Float64
    movement: Float64
    digits: Float64
    method: tuple[str, ...]
    reason: tuple[str, ...]
    proof: tuple[Proof, ...]
    edge_values: NDArray[np.int64]
    plan: Plan
    precision: str
    relative_tolerance: float | None
    tolerance_origin: str
    seconds: float
    notes: tuple[str, ...] = ()
    solves: tuple[SolveSummary, ...] = ()
    kept: KeptFactors | None = None
    answers: Answers | None = None
    families: tuple[Family, ...] = ()

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Which rows are SOLVED, shape (rows,)."""
        return np.array([s is RowStatus.SOLVED for s in self.status], dtype=np.bool_)
