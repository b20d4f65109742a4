"""How a convolution is solved: chosen from where its windows lie, before any work is done.

=========================================  =============================================
convolution                                way
=========================================  =============================================
windows share nothing                      one system for a window: see `patches`
circular padding, whole strides            one system for a frequency: see `circulant`
small                                      like a dense matrix of its size
square, LU of its sparse matrix affordable sparse or band LU: see `sparse_plan`
square, grid of as many cells as windows   GMRES with the circular one beside it
not square, LU of its square affordable    that, corrected: see `gram`
other                                      LSMR or GMRES, without a matrix
=========================================  =============================================
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nninvert import tolerances
from nninvert.context import Context, Notice
from nninvert.linalg.circulant import CirculantFactor, Frequencies, needed_bytes
from nninvert.linalg.circulant_iteration import (
    CirculantIteration,
    gentle_inverse,
    look,
)
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.convolution_ends import (
    CellEnd,
    End,
    OutputEnd,
    WindowEnd,
    are_separate,
    fills_cells,
    is_cyclic,
    window_matrices,
)
from nninvert.linalg.convolution_iteration import ConvolutionIteration
from nninvert.linalg.convolution_symbol import extent, symbol
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.gram import GramFactor, factor_by_gram
from nninvert.linalg.map import DenseMap
from nninvert.linalg.patches import PatchFactor
from nninvert.linalg.probe import probe
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.sparse_solve import factor_sparse
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

AnyConvolution = ConvolutionMap | TransposedConvolutionMap

_ENTRY_BYTES = 64
"""Of memory that building the sparse matrix takes for each entry."""


_BAND_RATE = 1e10
"""Operations of LU in a band in a second, on one core."""

_LONG = 5.0
"""Seconds of LU from which on a look is worth while whether iteration is faster: where it
is not, 200 passes over an input of 65,536 numbers took 4 seconds (measured)."""


_HOPELESS = 1e-3
"""Where the symbol's singular values differ by more, the circular one helps little."""


def factor_convolution(
    linear_map: AnyConvolution,
    context: Context,
    factorise: Callable[[DenseMap], Factorisation],
) -> Factorisation | None:
    """Choose and make the factorisation of a convolution, or of its transpose.

    Parameters
    ----------
    linear_map : ConvolutionMap or TransposedConvolutionMap
    context : Context
        Its memory decides what is held; its engine may ask for iteration.
    factorise : callable
        Makes, or finds, the factorisation of one window's matrix.

    Returns
    -------
    Factorisation or None
        None for a small one that is as well solved by its dense matrix.
    """
    base = base_of(linear_map)
    if are_separate(base):
        return _of_windows(linear_map, factorise)
    if is_cyclic(base) and _fits(base, context):
        return CirculantFactor(linear_map, frequencies_of(linear_map), context)
    if tolerances.svd_is_cheap(linear_map.shape):
        return None
    if linear_map.shape[0] != linear_map.shape[1]:
        return _of_rectangle(linear_map, context) or _iterated(linear_map, context)
    beside = (
        _beside_circular(linear_map, context) if _is_dear(linear_map, context) else None
    )
    if beside is not None:
        return beside
    sparse_map = _held(linear_map, context)
    if sparse_map is not None:
        return factor_sparse(sparse_map, context)
    return _iterated(linear_map, context)


def base_of(linear_map: AnyConvolution) -> ConvolutionMap:
    """The convolution itself, or that of which it is the transpose."""
    if isinstance(linear_map, TransposedConvolutionMap):
        return linear_map.base
    return linear_map


def frequencies_of(linear_map: AnyConvolution) -> Frequencies:
    """The map, or the one with circular padding beside it, frequency by frequency."""
    base = base_of(linear_map)
    grid = base.windows.counts
    found = Frequencies(grid, CellEnd(base), OutputEnd(base), symbol(base, grid))
    return found if linear_map is base else found.transposed


def _of_windows(
    linear_map: AnyConvolution, factorise: Callable[[DenseMap], Factorisation]
) -> PatchFactor:
    base = base_of(linear_map)
    matrices: list[DenseMap] = [
        WindowMap(ArrayMatrix(matrix), base.stored_eps) for matrix in window_matrices(base)
    ]
    ends: list[End] = [WindowEnd(base), OutputEnd(base)]
    if linear_map is not base:
        matrices = [matrix.transposed for matrix in matrices]
        ends.reverse()
    positions = math.prod(base.windows.counts)
    bases = [factorise(matrix) for matrix in matrices]
    return PatchFactor(linear_map.shape, positions, ends[0], ends[1], bases)


class WindowMap(DenseMap):
    """The matrix of one window, from weights of another type than its own.

    Parameters
    ----------
    matrix : StoredMatrix
    eps : float
        Spacing at 1 of that type.
    """

    def __init__(self, matrix: StoredMatrix, eps: float) -> None:
        super().__init__(matrix)
        self._eps = eps

    @property
    def transposed(self) -> WindowMap:
        """The transpose, over the same weights."""
        return WindowMap(self.matrix.transposed, self._eps)

    @property
    def stored_eps(self) -> float:
        """As given."""
        return self._eps


def _fits(base: ConvolutionMap, context: Context) -> bool:
    windows = base.windows
    cell = math.prod(windows.strides) * base.fan_in
    needed = needed_bytes(windows.counts, base.groups, base.group_channels, cell)
    return needed <= context.memory // 2


def _is_dear(linear_map: AnyConvolution, context: Context) -> bool:
    """Whether LU, in a band as wide as windows reach, takes long or too much memory.

    Numbered along the longest axis first, inputs that meet in an output are at most the
    reach of a window along that axis times all other axes and channels apart.
    """
    windows, n = base_of(linear_map).windows, linear_map.shape[0]
    axis = int(np.argmax(windows.sizes))
    reach = (windows.kernel[axis] - 1) * windows.dilation[axis]
    width = reach * n / windows.sizes[axis]
    dear = 4.0 * n * width**2 > _LONG * _BAND_RATE or 24.0 * n * width > context.memory
    return dear or context.engine == "iterative"


def _held(linear_map: AnyConvolution, context: Context) -> SparseMap | None:
    """The sparse matrix, where its LU may be affordable."""
    needed = _ENTRY_BYTES * base_of(linear_map).entries
    if needed > context.memory or context.engine == "iterative":
        return None
    return SparseMap(linear_map.sparse())


def _of_rectangle(linear_map: AnyConvolution, context: Context) -> GramFactor | None:
    """LU of the square of the sparse matrix, where that may be affordable."""
    base = base_of(linear_map)
    # Windows that meet make an entry, for each pair of channels.
    pairs = zip(base.windows.kernel, base.windows.strides, strict=True)
    meet = math.prod(2 * ((k - 1) // s) + 1 for k, s in pairs)
    squared = min(linear_map.shape) * meet * base.channels // base.groups
    sparse_map = _held(linear_map, context)
    if sparse_map is None or _ENTRY_BYTES * squared > context.memory:
        return None
    return factor_by_gram(sparse_map, context)


def _beside_circular(
    linear_map: AnyConvolution, context: Context
) -> CirculantIteration | None:
    """Iteration with the circular convolution, where there is one and it pays."""
    base = base_of(linear_map)
    if not fills_cells(base) or not _fits(base, context):
        return None
    known = extent(base)
    if known.sampled < _HOPELESS:
        return None
    inverse = gentle_inverse(base, known.largest, context)
    inverse = inverse if linear_map is base else inverse.transposed
    outlook = look(linear_map, inverse, context)
    context.emit(Notice(outlook.reason))
    if not outlook.worthwhile:
        return None
    return CirculantIteration(linear_map, inverse, outlook, known, context)


def _iterated(linear_map: AnyConvolution, context: Context) -> ConvolutionIteration:
    outlook = probe(linear_map, context)
    context.emit(Notice(f"iterating: {outlook.reason}"))
    return ConvolutionIteration(linear_map, outlook, base_of(linear_map), context)
