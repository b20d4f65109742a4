"""Large dense layers: carries a plan out, and changes it where facts demand it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nninvert.context import Context, Notice
from nninvert.errors import MachineError
from nninvert.linalg.equilibration import (
    EquilibratedMatrix,
    MatrixSizes,
    equilibration,
    matrix_sizes,
)
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.lu import factor_lu
from nninvert.linalg.map import DenseMap, LinearMap
from nninvert.linalg.mixed import factor_mixed
from nninvert.linalg.panels.lu import RangeExceeded
from nninvert.linalg.panels.making import panel_factors
from nninvert.linalg.plan import (
    LayerPlan,
    panel_plan,
    pass_seconds,
    plan_rectangle,
    plan_square,
)
from nninvert.linalg.probe import probe
from nninvert.linalg.qr import factor_qr
from nninvert.linalg.rates import machine_rates
from nninvert.linalg.svd import SvdFactor
from nninvert.linalg.triangular import RoughSolver

_WORTH_A_LOOK = 20.0
"""A look whether iteration pays costs one or two passes: at most a tenth of factoring."""

_GAIN = 2.0
"""Iteration is preferred where it is predicted to be this many times faster."""

_ASKED_PASSES = 1000
"""Iteration that was asked for may be predicted to take so many passes."""

_SVD_MOST = 12_000
"""Largest order for which a singular value decomposition is tried: it takes an hour."""


def factor_large_square(linear_map: DenseMap, context: Context) -> Factorisation:
    """Solve a large square layer by what the plan says, or by what the matrix demands.

    Raises
    ------
    DataError
        For NaN or infinity among the weights.
    MachineError
        If memory or disk do not suffice.
    Stopped
        Before the factors were done.
    """
    plan = plan_square(linear_map, context)
    if plan.engine == "lapack":
        return factor_lu(linear_map) or _decomposed(linear_map, context)
    if plan.engine == "iterative" or _worth_a_look(linear_map, plan, context):
        found = _iterated(linear_map, plan, context)
        if found is not None:
            return found
    return _factored(linear_map, plan, context) or _decomposed(linear_map, context)


def _worth_a_look(linear_map: DenseMap, plan: LayerPlan, context: Context) -> bool:
    """Whether iteration could win, and may be chosen."""
    if context.engine != "auto" or context.disk.output or context.disk.factors:
        return False
    one = pass_seconds(linear_map, context, machine_rates())
    return plan.seconds > _WORTH_A_LOOK * one


def _iterated(
    linear_map: DenseMap, plan: LayerPlan, context: Context
) -> IterativeFactor | None:
    """Iteration, if asked for or predicted to be much faster than factoring."""
    asked = plan.engine == "iterative"
    one = pass_seconds(linear_map, context, machine_rates())
    most = _ASKED_PASSES if asked else plan.seconds / (_GAIN * one)
    outlook = probe(linear_map, context, int(min(most, _ASKED_PASSES)))
    if not asked and not outlook.worthwhile:
        context.emit(Notice(f"factoring, as iteration does not pay: {outlook.reason}"))
        return None
    context.emit(Notice(f"iterating: {outlook.reason}"))
    return IterativeFactor(linear_map, outlook, context)


def _factored(
    linear_map: DenseMap, plan: LayerPlan, context: Context
) -> Factorisation | None:
    """Panelled LU, refined; None where the rank is far too low for it."""
    sizes = matrix_sizes(linear_map.matrix)

    def double() -> RoughSolver:
        context.emit(Notice("float32 factors do not suffice: factoring in float64"))
        finer = panel_plan(linear_map, np.dtype(np.float64), context)
        return _solver(linear_map, finer, sizes, context)

    upgrade: Callable[[], RoughSolver] | None = double
    if plan.precision == "float64":
        upgrade = None
    try:
        solver = _solver(linear_map, plan, sizes, context)
    except RangeExceeded as error:
        if upgrade is None:
            return None
        context.emit(Notice(f"float32 cannot hold the factors: {error}"))
        solver, upgrade = double(), None
    return factor_mixed(linear_map, solver, context, sizes, upgrade)


def _solver(
    linear_map: DenseMap, plan: LayerPlan, sizes: MatrixSizes, context: Context
) -> RoughSolver:
    matrix = linear_map.matrix
    scales = equilibration(matrix, sizes)
    scaled = matrix if scales is None else EquilibratedMatrix(matrix, scales)
    return RoughSolver(panel_factors(scaled, plan, context), scales)


def factor_large_rectangular(linear_map: LinearMap, context: Context) -> Factorisation:
    """Least squares and minimum norm: by QR where that fits into memory, else iterated.

    Raises
    ------
    MachineError
        If its rank is not full and it is too large for a singular value decomposition.
    """
    m, n = linear_map.shape
    plan = plan_rectangle(linear_map.shape, context)
    if plan.engine == "iterative":
        outlook = probe(linear_map, context, _ASKED_PASSES)
        context.emit(Notice(f"iterating: {outlook.reason}"))
        return IterativeFactor(linear_map, outlook, context)
    size = f"{plan.memory / 1e9:.1f} GB"
    context.emit(Notice(f"QR of a {m:,} x {n:,} matrix in float64, {size}"))
    return factor_qr(linear_map) or _decomposed(linear_map, context)


def _decomposed(linear_map: LinearMap, context: Context) -> SvdFactor:
    """The last resort for a matrix of much too low rank."""
    m, n = linear_map.shape
    if min(m, n) > _SVD_MOST or 40 * m * n > context.memory:
        raise MachineError(
            "rank",
            got=f"a {m:,} x {n:,} matrix that loses more dimensions than LU or QR can tell",
            expected=f"at most {_SVD_MOST:,} of them, and memory for a decomposition",
            next_step="Least squares without its rank: --engine iterative",
        )
    context.emit(Notice(f"singular value decomposition of a {m:,} x {n:,} matrix"))
    return SvdFactor(linear_map, "SVD: it loses many dimensions")
