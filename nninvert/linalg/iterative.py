"""Solves by iteration: no factors, only passes over the weights."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Notice, Progress
from nninvert.linalg.bidiagonal import extreme_values
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.fused import (
    Pace,
    PassInterrupted,
    products_of,
    products_of_transpose,
)
from nninvert.linalg.krylov import GOAL, Solved, refine
from nninvert.linalg.map import DenseMap, LinearMap
from nninvert.linalg.probe import KrylovMethod, Outlook, inner_method
from nninvert.linalg.solve_report import SolveReport
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]

_VECTORS_HELD = 16
"""Vectors of float64 that a row needs while LSMR works on it, about."""

_GMRES_STEPS = 30
"""GMRES is given memory for so many steps at least; it keeps 12 bytes a number."""

_PATIENCE = 4
"""A solve may take this many times the passes that were predicted."""

_MOST_PASSES = 5000
"""What a solve may take where no end was predicted."""

_ROUGHLY = 1e-6
"""Backward error of solves for estimates."""

_SOUND = 0.5
"""Where each pass gains a factor of two, the condition number is small, about 3 for LSMR,
but for what rows or columns differ in size."""

_VERY_ROUGHLY = 1e-3
"""Backward error of solves for estimates with such matrices."""

_FEW_STEPS, _COARSELY = 10, 0.25
"""Steps at most, and the change in one that ends the search, for the smallest singular
value of such a matrix: it is then far closer than the margin of `spread`."""


class IterativeFactor(Factorisation):
    """Of any map, best of one on which iteration pays, as `probe` found.

    Where the probe did not find the rank to be full, `rank` still counts no direction as
    lost, as none is left out; the rank in `spectrum` is then unknown.

    Parameters
    ----------
    linear_map : LinearMap
    outlook : Outlook
        Of that map.
    context : Context
        Is told of progress, asked whether to stop, and limits the rows solved at once.

    Attributes
    ----------
    last, worst : SolveReport or None
        Of the last `solve` or `solve_transposed`, and of the one with the largest backward
        error.
    spectrum_steps : int
        Of bidiagonalisation, at most, behind `spectrum`.
    """

    spectrum_steps = 60

    def __init__(self, linear_map: LinearMap, outlook: Outlook, context: Context) -> None:
        self._map, self._outlook, self._context = linear_map, outlook, context
        self.shape = linear_map.shape
        self.rank = min(linear_map.shape)
        scales = (outlook.scaling.rows, outlook.scaling.columns)
        self.nbytes = sum(scale.nbytes for scale in scales if scale is not None)
        self.reason = f"iteration, {outlook.reason}"
        if not outlook.nonsingular:
            self.reason += "; its rank is not known"
        self.last: SolveReport | None = None
        self.worst: SolveReport | None = None

    def solve(self, y: Float64) -> Float64:
        """Iterate until the backward error is that of rounding, or the context stops it.

        See `last` for what was reached; rows that did not get there are told in a notice.
        """
        return self._reported(y, transposed=False)

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose."""
        return self._reported(x, transposed=True)

    def solve_roughly(self, y: Float64) -> Float64:
        """Solutions to a backward error of 1e-6, for a third of the passes.

        To 1e-3 where iteration is fast and the condition number small, therefore.
        """
        parts, _ = self._solved(y, transposed=False, goal=self._rough_goal)
        return self._joined(y, parts, transposed=False)

    def solve_transposed_roughly(self, x: Float64) -> Float64:
        """The same with the transpose."""
        parts, _ = self._solved(x, transposed=True, goal=self._rough_goal)
        return self._joined(x, parts, transposed=True)

    @cached_property
    def _sound(self) -> bool:
        outlook = self._outlook
        if not outlook.nonsingular or outlook.rate > _SOUND:
            return False
        # What a scaling makes up for is part of the condition number.
        scales = (outlook.scaling.rows, outlook.scaling.columns)
        sizes = [np.abs(scale) for scale in scales if scale is not None]
        return all(size.max() <= size.min() / _SOUND for size in sizes)

    @property
    def _rough_goal(self) -> float:
        return _VERY_ROUGHLY if self._sound else _ROUGHLY

    def _reported(self, values: Float64, transposed: bool) -> Float64:
        parts, passes = self._solved(values, transposed, GOAL)
        self.last = made = self._report(parts, passes)
        if self.worst is None or not made.backward_error <= self.worst.backward_error:
            self.worst = made
        left = sum(int(np.count_nonzero(~part.converged)) for part in parts)
        if left and not self._context.should_stop():
            self._context.emit(
                Notice(
                    f"iteration ended early for {left} of {made.rows} rows, at a backward "
                    f"error of up to {made.backward_error:.1e}"
                )
            )
        return self._joined(values, parts, transposed)

    def _solved(
        self, values: Float64, transposed: bool, goal: float
    ) -> tuple[list[Solved], int]:
        """Solve block by block of rows; the passes of all of them together."""
        rows = values.reshape(-1, values.shape[-1])
        step = self._rows_at_once
        starts = range(0, len(rows), step)
        total = min(self._outlook.passes(goal), _MOST_PASSES) * len(starts)

        def tell(passes: int) -> None:
            self._context.emit(Progress("iterating", min(passes, total), total))

        pace = Pace(self._context.should_stop, tell)
        parts = [self._block(rows[k : k + step], pace, transposed, goal) for k in starts]
        return parts, pace.passes

    def _joined(self, values: Float64, parts: list[Solved], transposed: bool) -> Float64:
        size = self.shape[0] if transposed else self.shape[1]
        x = np.concatenate([part.x for part in parts]) if parts else np.empty((0, size))
        return x.reshape(*values.shape[:-1], size)

    def _report(self, parts: list[Solved], passes: int) -> SolveReport:
        errors = [float(part.backward_error.max(initial=0.0)) for part in parts]
        return SolveReport(
            path=f"iteration ({self._outlook.method.value})",
            rows=sum(len(part.x) for part in parts),
            passes=passes,
            contraction=self._outlook.rate,
            backward_error=float(np.max(errors, initial=0.0)),
            componentwise=float("nan"),
            accurate=all(bool(part.converged.all()) for part in parts),
        )

    def _block(self, rows: Float64, pace: Pace, transposed: bool, goal: float) -> Solved:
        make = products_of_transpose if transposed else products_of
        products = make(self._map, pace)
        inner = inner_method(
            self._map, products, self._outlook, self._memory, transposed=transposed
        )
        most = int(min(_PATIENCE * self._outlook.passes(), _MOST_PASSES))
        return refine(products, inner, rows, None, most, self._outlook.norm, goal)

    @property
    def _memory(self) -> int:
        return self._context.memory // 4

    @property
    def _rows_at_once(self) -> int:
        row = 8 * _VECTORS_HELD * max(self.shape)
        if self._outlook.method is KrylovMethod.GMRES:
            row += 12 * _GMRES_STEPS * max(self.shape)
        return max(1, self._memory // row)

    def spectrum(self) -> Spectrum:
        """Bounds of the extreme singular values, from a bidiagonalisation.

        The largest is bounded from below and the smallest from above, so that the
        condition number is a lower bound; for the matrices that iteration is for it is
        usually right to a few percent.
        """
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        return self._bidiagonalised()

    def _bidiagonalised(self) -> Spectrum:
        pace = Pace(self._context.should_stop)
        largest = smallest = self._outlook.norm
        method = "norm only: stopped before more was known"
        try:
            found = extreme_values(
                products_of(self._map, pace), self._context.seed, self.spectrum_steps
            )
        except PassInterrupted:
            pass
        else:
            largest, smallest = max(found.largest, largest), found.smallest
            method = f"{found.steps} steps of bidiagonalisation"
        seen = self._outlook.nonsingular
        coarse = tolerances.singular_threshold(self.shape, largest, self._map.stored_eps)
        return Spectrum(
            shape=self.shape,
            largest=largest,
            smallest=smallest,
            rank=self.rank if seen else None,
            rank_stored=self.rank if seen and smallest > coarse else None,
            kind=Kind.LOWER_BOUND,
            method=method,
        )

    @cached_property
    def _smallest(self) -> float:
        """The smallest singular value, from above, as precisely as `spread` needs it."""
        if not self._sound or not isinstance(self._map, DenseMap):
            return self._spectrum.smallest
        pace = Pace(self._context.should_stop)
        try:
            return extreme_values(
                products_of(self._map, pace), self._context.seed, _FEW_STEPS, _COARSELY
            ).smallest
        except PassInterrupted:
            return self._outlook.norm

    def spread(self, radius: Float64) -> Float64:
        """One bound for every unit: ||radius|| over the smallest singular value.

        That value is known from above only; `tolerances.ESTIMATE_MARGIN` covers what it
        may be smaller.
        """
        length = np.linalg.norm(radius, axis=-1, keepdims=True)
        # Nothing is known of it where the work was stopped first.
        unknown, smallest = np.full_like(length, np.inf), self._smallest
        size = np.divide(length, smallest, out=unknown, where=smallest > 0.0)
        bound = np.minimum(tolerances.ESTIMATE_MARGIN * size, tolerances.RADIUS_CAP)
        return np.repeat(bound, self.shape[1], axis=-1)
