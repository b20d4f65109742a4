"""How a sparse layer will be solved: chosen from its pattern before any work is done.

==========================================  ============================================
matrix                                      way
==========================================  ============================================
square, all entries in a narrow band        LU by LAPACK's band routines
square, diagonally dominant, LU dearer      Jacobi's iteration
square, predicted fill within the memory    LU by SuperLU
other                                       LSMR or GMRES; SVD where that is cheap
==========================================  ============================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nninvert.context import Context
from nninvert.linalg.dominance import SLOWEST, Dominance, dominance
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.sparse_order import Band, Fill, Pattern

ENOUGH = 2e10
"""Operations up to which a bound of the fill will do: some seconds at most."""

_SUPERLU_RATE = 3e9
"""Operations of SuperLU in a second, on one core: 2e9 for grids in three dimensions to
6e9 for factors that are nearly dense."""

_BAND_RATE = 1e10
"""The same of LAPACK's band routines; storing the band costs as much."""

_SOLVES = 20
"""Right-hand sides that inverting one target takes, error estimates included."""

_PASS_SECONDS = 3e-9
"""Of a product and the rest of an iteration, for each entry and right-hand side."""


class SparseWay(Enum):
    """How; the values are for people."""

    BAND = "band LU"
    SUPERLU = "sparse LU"
    JACOBI = "Jacobi iteration"
    ITERATION = "iteration"


@dataclass(frozen=True)
class SparsePlan:
    """What will be done about a sparse layer and what it is predicted to take.

    Attributes
    ----------
    way : SparseWay
    memory : float
        Bytes.
    seconds : float
        Of the factorisation; 0 where nothing is factored.
    text : str
        The numbers, for people.
    band : Band or None
        Where the way is BAND.
    dominance : Dominance or None
        Where the way is JACOBI.
    symmetric : bool
        Whether pivots on the diagonal may be preferred.
    """

    way: SparseWay
    memory: float
    seconds: float
    text: str
    band: Band | None = None
    dominance: Dominance | None = None
    symmetric: bool = False

    @property
    def nbytes(self) -> int:
        """Memory of the plan itself."""
        order = None if self.band is None else self.band.order
        found = self.dominance
        size = 0 if order is None else order.nbytes
        return size + (0 if found is None else found.diagonal.nbytes)


def sparse_plan(sparse_map: SparseMap, context: Context) -> SparsePlan:
    """Plan how a sparse layer will be solved; see the table above.

    The context's store keeps the plan, so that who asks first pays for it.

    Parameters
    ----------
    sparse_map : SparseMap
    context : Context
        Its memory bounds the factors; its engine may ask for iteration.
    """
    key = (*sparse_map.key, "plan", context.engine, str(context.memory))
    return context.factors.get_or_build(key, lambda: _planned(sparse_map, context))


def _planned(sparse_map: SparseMap, context: Context) -> SparsePlan:
    m, n = sparse_map.shape
    size = f"{m:,} x {n:,}" if m != n else f"N = {n:,}"
    text = f"sparse layer, {size}, {sparse_map.matrix.size:,} nonzeros; "
    if m != n or context.engine == "iterative":
        text += "not square: iteration" if m != n else "iteration was asked for"
        return SparsePlan(SparseWay.ITERATION, 0.0, 0.0, text)
    pattern = Pattern(sparse_map.matrix)
    band = pattern.narrow_band()
    if band is not None and 8 * band.storage(n) <= context.memory:
        return _in_band(band, n, text)
    found = dominance(sparse_map.matrix)
    symmetric = pattern.is_symmetric or found.is_strict
    fill = pattern.fill(ENOUGH, symmetric=symmetric)
    seconds = fill.work / _SUPERLU_RATE
    text += _about(fill, seconds)
    if found.is_strict and _jacobi_wins(found, fill, pattern.size, context):
        text += f"; Jacobi iteration instead, about {found.steps} steps for each target"
        held = float(found.diagonal.nbytes)
        return SparsePlan(SparseWay.JACOBI, held, 0.0, text, dominance=found)
    if fill.nbytes > context.memory:
        text += f", more than the memory of {context.memory / 1e9:.2g} GB: iteration"
        return SparsePlan(SparseWay.ITERATION, 0.0, 0.0, text)
    return SparsePlan(SparseWay.SUPERLU, fill.nbytes, seconds, text, symmetric=symmetric)


def _in_band(band: Band, n: int, text: str) -> SparsePlan:
    held = 8.0 * band.storage(n)
    work = 2.0 * n * band.lower * (band.lower + band.upper + 1)
    text += (
        f"{band.lower} diagonals below and {band.upper} above the main one; band LU, "
        f"{held / 1e9:.2g} GB"
    )
    return SparsePlan(SparseWay.BAND, held, 2.0 * work / _BAND_RATE, text, band=band)


def _about(fill: Fill, seconds: float) -> str:
    how = "at most" if fill.bound else "about"
    text = (
        f"LU would fill {how} {fill.entries / 1e6:,.1f} million entries, "
        f"{fill.nbytes / 1e9:.2g} GB"
    )
    return text + (f", in {how} {seconds:,.0f} s" if seconds > 1.0 else "")


def _jacobi_wins(found: Dominance, fill: Fill, entries: int, context: Context) -> bool:
    if found.contraction > SLOWEST:
        return False
    seconds = _SOLVES * found.steps * _PASS_SECONDS * entries
    return fill.nbytes > context.memory or seconds < fill.work / _SUPERLU_RATE
