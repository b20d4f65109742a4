"""Panelled factors of a stored matrix: found in a file, or made as planned."""

from __future__ import annotations

import numpy as np

from nninvert.context import Context, Notice
from nninvert.linalg.panels.factors import PanelFactors
from nninvert.linalg.panels.file_store import FileStore
from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.panels.lu import Pace, factor
from nninvert.linalg.panels.store import Cuts, MemoryStore, PanelStore
from nninvert.linalg.panels.workspace import Workspace
from nninvert.linalg.plan import SLACK, LayerPlan
from nninvert.linalg.rates import machine_rates
from nninvert.linalg.stored import StoredMatrix


def panel_factors(matrix: StoredMatrix, plan: LayerPlan, context: Context) -> PanelFactors:
    """Factors of a square matrix, from a file where the context names one, else made.

    Whichever of the matrix and its transpose has its columns together is factored.

    Parameters
    ----------
    matrix : StoredMatrix, shape (n, n)
    plan : LayerPlan
    context : Context

    Raises
    ------
    DataError
        For NaN or infinity among the weights.
    RangeExceeded
        If the numbers do not suit the precision of the plan.
    MachineError
        If the disk has no room, or fails.
    Stopped
        What is finished is kept where there is a file.
    """
    flipped = not matrix.column_major
    columns = matrix.columns_together
    space = context.shared(Workspace)
    found = space.finished(columns, plan.precision)
    if found is None:
        _tell(plan, context)
        store = _made(columns, flipped, plan, space, context)
    else:
        context.emit(Notice(f"factors of order {plan.order:,} taken from the file"))
        store = _in_memory_if_it_fits(found, context)
    return PanelFactors(store, LapackKernels(store.dtype), flipped)


def _tell(plan: LayerPlan, context: Context) -> None:
    place = "in a file" if plan.in_file else "in memory"
    context.emit(
        Notice(
            f"factoring {plan.order:,} x {plan.order:,} in {plan.precision} {place}: "
            f"about {plan.factor_seconds:.0f} s, {plan.memory / 1e9:.1f} GB"
        )
    )


def _made(
    columns: StoredMatrix,
    flipped: bool,
    plan: LayerPlan,
    space: Workspace,
    context: Context,
) -> PanelStore:
    dtype = np.dtype(plan.precision)
    kernels, pace = LapackKernels(dtype), Pace(machine_rates().lu(dtype))
    kept = None
    if plan.in_file or context.disk.output:
        kept = space.begin(columns, flipped, plan.width, plan.precision)
    if kept is not None and (plan.in_file or kept.pivots):
        most = max(1, plan.most * plan.width // kept.cuts.width)
        factor(columns, kept, kernels, context, most, pace)
        return kept if plan.in_file else _in_memory_if_it_fits(kept, context)
    store = MemoryStore(Cuts(plan.order, plan.width), dtype)
    factor(columns, store, kernels, context, plan.most, pace)
    if kept is not None:
        kept.keep(0, store.array, store.pivots, store.zero_pivots)
    return store


def _in_memory_if_it_fits(found: FileStore, context: Context) -> PanelStore:
    n = found.cuts.n
    if n * n * found.dtype.itemsize + SLACK > context.memory:
        return found
    store = MemoryStore(found.cuts, found.dtype)
    blocks = range(len(found.cuts))
    for k, lower in zip(blocks, found.lowers(blocks), strict=True):
        start, stop = found.cuts.start(k), found.cuts.stop(k)
        store.array[start:, start:stop] = lower
    for k, upper in zip(blocks, found.uppers(blocks), strict=True):
        start, stop = found.cuts.start(k), found.cuts.stop(k)
        store.array[:stop, start:stop] = upper
    store.pivots, store.zero_pivots = found.pivots, found.zero_pivots
    return store
