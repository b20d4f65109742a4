"""Square matrices factored in float32, or float64, and solved with to float64 accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Progress
from nninvert.linalg.blockwise import solved_in_blocks
from nninvert.linalg.condition import Spectrum, estimated_spectrum
from nninvert.linalg.deflation import DeflatedInverse
from nninvert.linalg.equilibration import MatrixSizes, matrix_sizes
from nninvert.linalg.extreme import one_norm, two_norm_of_gram
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.fused import gram_of
from nninvert.linalg.map import DenseMap
from nninvert.linalg.norms import row_maxima
from nninvert.linalg.nullspace import lost_directions
from nninvert.linalg.refinement import (
    UNIT,
    Refined,
    System,
    observed_contraction,
    predicted_passes,
    refine,
    refine_by_gmres,
    solve_once,
)
from nninvert.linalg.solve_report import SolveReport, report_of
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.triangular import RoughSolver
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]

FAST = 0.3
"""Factors with this contraction or less show singular values to within the same share:
``A^-1 = (I - F)^-1 M^-1`` with M their product and ||F|| about the contraction."""

_UNSEEN = 1e-5
"""Singular values below this share of the largest may be invisible in float32 factors."""

_UNSEEN_FLOAT64 = 1e4
"""The same for float64 factors, as a multiple of what counts as zero."""

_WORKING_SET = 16
"""Solves take this part of the memory at most."""

_ROW_ARRAYS = 5
_GMRES_BYTES = 51 * 8 + 50 * 4
_GMRES_LEAST = 3000
_GMRES_ROWS = 300
_MANY = 30


class MixedFactor(Factorisation):
    """P A = L U of a square stored matrix, refined against the weights as stored.

    Of float32 factors where they suffice. A few singular values that they do not see, or
    that are zero, are found and treated apart; then solutions are least-squares solutions
    of minimum norm.

    Parameters
    ----------
    linear_map : DenseMap or SparseMap
        Square.
    solver : RoughSolver
        The factors.
    context : Context
        Its memory bounds the working arrays of solves.
    sizes : MatrixSizes or None
        `matrix_sizes` of the matrix; default: computed when needed.
    upgrade : callable or None
        Makes float64 factors, which replace those of float32 where these fail. None:
        they cannot be had.

    Attributes
    ----------
    contraction : float
        As observed with the factors in use.
    last, worst : SolveReport or None
        Of the last solve, and of the one with the largest backward error.
    """

    def __init__(
        self,
        linear_map: DenseMap | SparseMap,
        solver: RoughSolver,
        context: Context,
        sizes: MatrixSizes | None = None,
        upgrade: Callable[[], RoughSolver] | None = None,
    ) -> None:
        self._map, self._context = linear_map, context
        self._sizes = sizes or matrix_sizes(linear_map.matrix)
        self._upgrade = upgrade
        self.shape = linear_map.shape
        self.last: SolveReport | None = None
        self.worst: SolveReport | None = None
        self._block = 0, 0, 0
        self._use(solver)

    def _use(self, solver: RoughSolver) -> None:
        """Take these factors; treat apart what they do not see of A, if that is little.

        Corrections that shrink fast prove that A is not singular; else singular values
        are looked at in float64 products, never in float32 factors alone.
        """
        self._solver = solver
        self._deflated: DeflatedInverse | None = None
        self._found: Spectrum | None = None
        self.rank = self.shape[0]
        self.contraction = self._observed()
        if self.contraction > FAST or solver.factors.zero_pivots:
            self._deflate()
        self.nbytes = solver.factors.nbytes
        self.reason = f"{self.precision} LU refined to float64"
        if self._deflated is not None:
            self.nbytes += self._deflated.nbytes
            count, lost = len(self._deflated.lost.values), self.nullity
            self.reason += f"; directions treated apart: {count}, lost: {lost}"

    def _deflate(self) -> None:
        zero = tolerances.singular_threshold(self.shape, self._largest)
        unseen = _UNSEEN_FLOAT64 * zero
        if self._rough_factors:
            unseen = max(unseen, _UNSEEN * self._largest)
        pivots = self._solver.factors.zero_pivots
        seed = self._context.seed
        lost = lost_directions(self._map, self._solver, unseen, seed, pivots)
        if lost is None or not lost.values.size:
            return
        self._deflated = deflated = DeflatedInverse(self._solver, lost, zero)
        self.rank = self.shape[0] - len(deflated.null.values)
        self.contraction = self._observed()

    @property
    def precision(self) -> str:
        """Type of the factors in use."""
        return self._solver.factors.dtype.name

    @property
    def converges(self) -> bool:
        """Whether refinement with the factors in use is fast for every row."""
        return self.contraction <= FAST

    @property
    def can_upgrade(self) -> bool:
        """Whether float64 factors could still replace those in use."""
        return self._rough_factors and self._upgrade is not None

    def upgrade(self) -> None:
        """Replace float32 factors by float64 ones, if `can_upgrade`."""
        if self._upgrade is not None and self._rough_factors:
            self._use(self._upgrade())

    @property
    def _rough_factors(self) -> bool:
        return self._solver.factors.dtype == np.float32

    @property
    def _inverse(self) -> RoughSolver | DeflatedInverse:
        return self._solver if self._deflated is None else self._deflated

    @cached_property
    def _largest(self) -> float:
        """The largest singular value, from below."""
        gram = gram_of(self._map)
        return two_norm_of_gram(gram, self.shape[1], self._context.seed).value

    @cached_property
    def _transposed_map(self) -> DenseMap | SparseMap:
        return self._map.transposed

    def _observed(self) -> float:
        b = np.random.default_rng(self._context.seed).standard_normal((1, self.shape[0]))
        if self._deflated is not None:
            b = self._deflated.reachable(b)
        return observed_contraction(self._system(transposed=False), b)

    def _system(self, transposed: bool) -> System:
        inverse = self._inverse
        if transposed:
            magnitude = self._transposed_map.apply_with_magnitude
            solve, norm = inverse.solve_transposed, self._sizes.norm_one
            return System(self._map.adjoint, magnitude, solve, norm)
        magnitude, norm = self._map.apply_with_magnitude, self._sizes.norm_inf
        return System(self._map.apply, magnitude, inverse.solve, norm)

    def solve(self, y: Float64) -> Float64:
        """Solve and refine, all rows together; best effort where that does not converge.

        How it went is in `last`.
        """
        return self._solved(y, transposed=False)[0]

    def solve_bounded(self, y: Float64) -> tuple[Float64, Float64 | None]:
        """`solve` with a bound from the backward errors that it measured.

        Rows that were not measured are taken to err `tolerances.ESTIMATE_MARGIN` times as
        much as the worst one that was: with one set of factors all err about equally.
        """
        if not self.onto or self.shape[0] <= tolerances.EXPLICIT_INVERSE_SIZE:
            return self.solve(y), None
        x, errors = self._solved(y, transposed=False)
        rounding = self.shape[0] * tolerances.EPS64
        size = self._sizes.norm_inf * row_maxima(x)
        bound = errors * (size + row_maxima(y)) + rounding * size
        return x, bound[..., None]

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose."""
        return self._solved(x, transposed=True)[0]

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve with the factors alone, for error estimates.

        Accurate to about the contraction, unless that is not small: then refined.
        """
        if not self.converges:
            return self.solve(y)
        return self._inverse.solve(y.reshape(-1, self.shape[0])).reshape(y.shape)

    def solve_transposed_roughly(self, x: Float64) -> Float64:
        """The same with the transpose."""
        if not self.converges:
            return self.solve_transposed(x)
        rows = x.reshape(-1, self.shape[0])
        return self._inverse.solve_transposed(rows).reshape(x.shape)

    def _solved(self, rows: Float64, transposed: bool) -> tuple[Float64, Float64]:
        """Solutions, and the normwise backward error of each; NaN in rows of NaN."""
        flat = rows.reshape(-1, self.shape[0])
        self.last = None

        def begin(start: int, count: int) -> None:
            self._block = start, count, len(flat)
            self._tell(0)

        out, errors = solved_in_blocks(
            flat,
            self._rows_within(8 * _ROW_ARRAYS),
            lambda part: self._solved_block(part, transposed),
            begin,
        )
        self._context.emit(Progress("solving", len(flat), len(flat)))
        if self.last is not None and (
            self.worst is None or self.last.backward_error >= self.worst.backward_error
        ):
            self.worst = self.last
        return out.reshape(rows.shape), errors.reshape(rows.shape[:-1])

    def _tell(self, passes: int) -> None:
        """How many rows are solved, those at work by the passes that they still need."""
        start, count, total = self._block
        needed = predicted_passes(min(self.contraction, FAST))
        share = passes / (max(needed, passes) + 1.0)
        self._context.emit(Progress("solving", start + share * count, total))

    def _rows_within(self, bytes_per_number: int) -> int:
        room = self._context.memory // _WORKING_SET
        return max(1, room // (bytes_per_number * self.shape[0]))

    def _solved_block(self, rows: Float64, transposed: bool) -> tuple[Float64, Float64]:
        b, system = self._reachable(rows, transposed), self._system(transposed)
        if not self._rough_factors and len(rows) * _MANY > self.shape[0]:
            found = solve_once(system, b)
            if np.nanmax(found.backward_error) <= self.shape[0] * UNIT:
                self._record(found, f"{self.precision} LU")
                return found.x, found.assumed_errors
        found = refine(system, b, self._context.should_stop, self._tell)
        refined = f"{self.precision} LU, refined"
        if found.accurate.all() or not self._rough_factors or self._context.should_stop():
            self._record(found, refined)
            return found.x, found.assumed_errors
        good, bad = np.flatnonzero(found.accurate), np.flatnonzero(~found.accurate)
        self._record(found.rows(good), refined)
        x, errors = found.x, found.assumed_errors
        if self._worth_iterating(bad.size):
            most, stop = self._rows_within(_GMRES_BYTES), self._context.should_stop
            found = refine_by_gmres(system, b[bad], found.rows(bad), stop, most)
            kept = found.accurate if self.can_upgrade else np.ones(bad.size, dtype=bool)
            self._record(found.rows(np.flatnonzero(kept)), f"{self.precision} LU, GMRES")
            x[bad], errors[bad] = found.x, found.backward_error
            bad = bad[~kept]
        if bad.size:
            self.upgrade()
            x[bad], errors[bad] = self._solved_block(rows[bad], transposed)
        return x, errors

    def _reachable(self, rows: Float64, transposed: bool) -> Float64:
        if self._deflated is None:
            return rows
        if transposed:
            return self._deflated.reachable_transposed(rows)
        return self._deflated.reachable(rows)

    def _worth_iterating(self, rows: int) -> bool:
        """Whether fifty steps of GMRES cost less than factoring in float64.

        A step reads the weights and the factors; up to ten rows, that takes longer than
        multiplying by them. 2/3 n^3 operations against 4 n^2 for each row and step.
        """
        n = self.shape[0]
        cheap = n >= _GMRES_LEAST and n >= _GMRES_ROWS * rows
        return cheap or not self.can_upgrade

    def _record(self, found: Refined, path: str) -> None:
        if len(found.x):
            made = report_of(found, path)
            self.last = made if self.last is None else self.last.joined(made)

    def spectrum(self) -> Spectrum:
        """Extreme singular values by a few Lanczos steps with products and rough solves.

        Float32 factors that do not show the smallest one are replaced by float64 ones;
        where these cannot be had, what is certain is reported as a lower bound.
        """
        if self._found is None:
            self._found = self._estimated()
        return self._found

    def _estimated(self) -> Spectrum:
        found = estimated_spectrum(
            self.shape[0],
            (self._map.apply, self._map.adjoint),
            (self._inverse.solve, self._inverse.solve_transposed),
            self._map.stored_eps,
            self._context.seed,
            f"{self.precision} LU factors",
            self._context.should_stop,
            gram_of(self._map),
        )
        stopped = self._context.should_stop()
        if found.kind is Kind.LOWER_BOUND and self.can_upgrade and not stopped:
            self.upgrade()
            return self._estimated()
        if self._deflated is None or not self.nullity:
            return found
        smallest = float(self._deflated.null.values[0])
        return replace(found, smallest=smallest, rank=self.rank, rank_stored=None)

    def spread(self, radius: Float64) -> Float64:
        """|A^+| radius; for large matrices one bound for every unit, as for `LuFactor`.

        That bound is an estimate of ||A^+|| in the maximum norm (`extreme.one_norm` of
        the transpose), times `tolerances.ESTIMATE_MARGIN`, times the largest radius.
        """
        if self.shape[0] <= tolerances.EXPLICIT_INVERSE_SIZE:
            return radius @ self._absolute_inverse
        size = radius.max(axis=-1, keepdims=True) * self._inverse_norm
        bound = np.minimum(tolerances.ESTIMATE_MARGIN * size, tolerances.RADIUS_CAP)
        return np.broadcast_to(bound, (*bound.shape[:-1], self.shape[1]))

    @cached_property
    def _absolute_inverse(self) -> Float64:
        # Row i is |A^+ e_i|, so that radius @ it sums the columns by their radii.
        return np.abs(self.solve(np.eye(self.shape[0])))

    @cached_property
    def _inverse_norm(self) -> float:
        """||A^+|| in the maximum norm, from below."""
        if not self.converges:
            self.upgrade()
        pair = (self._inverse.solve_transposed, self._inverse.solve)
        # Dense factors are read once for all vectors; sparse ones cost each the same.
        width = 1 if isinstance(self._map, SparseMap) else 4
        return one_norm(pair, self.shape[0], self._context.seed, width)


def factor_mixed(
    linear_map: DenseMap | SparseMap,
    solver: RoughSolver,
    context: Context,
    sizes: MatrixSizes | None = None,
    upgrade: Callable[[], RoughSolver] | None = None,
) -> MixedFactor | None:
    """A `MixedFactor` with the best factors that the matrix needs and that can be had.

    Parameters
    ----------
    As for `MixedFactor`.

    Returns
    -------
    MixedFactor, or None where float64 factors show the matrix to lose more than
    `nullspace.MOST_LOST` dimensions, or to have singular values all the way down to
    zero: only a singular value decomposition tells its rank. Where there are no float64
    factors and those of float32 do not converge, the result may be inaccurate and says so.
    """
    made = MixedFactor(linear_map, solver, context, sizes, upgrade)
    if not made.converges and made.can_upgrade:
        made.upgrade()
    return made if made.converges or made.precision == "float32" else None
