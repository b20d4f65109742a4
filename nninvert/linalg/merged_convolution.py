"""Runs of linear maps in which a convolution takes up what stands beside it.

A scale for each channel, as a batch normalisation has it, goes into the kernel, and a
padding with zeros into the windows: one convolution is left, which is solved by structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.kronecker import KroneckerMap
from nninvert.linalg.map import ComposedMap, DiagonalMap, IdentityMap, LinearMap, compose
from nninvert.linalg.sparse import SparseMap

Float64 = NDArray[np.float64]

_UNEVEN = 1e4
"""Largest ratio of scales that a kernel takes up."""


def merged(linear_map: ComposedMap) -> LinearMap | None:
    """The same map with fewer parts, equal to it up to rounding; None where none merge."""
    parts = _merged(linear_map.parts)
    return compose(parts) if len(parts) < len(linear_map.parts) else None


def _merged(parts: Sequence[LinearMap]) -> list[LinearMap]:
    """Parts, each merged with what stands before it as long as that is possible."""
    found: list[LinearMap] = []
    for part in parts:
        current = part
        while found:
            pair = _pair(found[-1], current)
            if pair is None:
                break
            found.pop()
            current = pair
        found.append(current)
    return found


def _pair(first: LinearMap, second: LinearMap) -> LinearMap | None:
    """One map for two, the first one first; None where a convolution cannot take it up."""
    if isinstance(second, TransposedConvolutionMap):
        base = _turned(first, second.base)
        return None if base is None else TransposedConvolutionMap(base)
    if isinstance(first, TransposedConvolutionMap) and isinstance(second, DiagonalMap):
        base = _scaled_inputs(second, first.base)
        return None if base is None else TransposedConvolutionMap(base)
    if isinstance(second, ConvolutionMap):
        if isinstance(first, DiagonalMap):
            return _scaled_inputs(first, second)
        if isinstance(first, KroneckerMap):
            return _padded(first, second)
    if isinstance(first, ConvolutionMap) and isinstance(second, DiagonalMap):
        return _scaled_outputs(first, second)
    return None


def _turned(first: LinearMap, base: ConvolutionMap) -> ConvolutionMap | None:
    """A scale before the transpose of a convolution comes after the convolution itself."""
    return _scaled_outputs(base, first) if isinstance(first, DiagonalMap) else None


def _scaled_inputs(scale: DiagonalMap, base: ConvolutionMap) -> ConvolutionMap | None:
    factors = _of_channels(base.inputs(scale.diagonal[None])[0])
    if factors is None:
        return None
    # Kernels hold (..., channels of a group, channels out), groups in the latter.
    spread = np.repeat(factors, base.group_channels, axis=0).T
    return _with_kernel(base, spread, scale)


def _scaled_outputs(base: ConvolutionMap, scale: DiagonalMap) -> ConvolutionMap | None:
    factors = _of_channels(base.outputs(scale.diagonal[None])[0])
    return None if factors is None else _with_kernel(base, factors.ravel(), scale)


def _of_channels(grid: Float64) -> Float64 | None:
    """The factor of each channel, (groups, channels), if it is the same at every place.

    None, too, where the factors differ so much in size that the ranks of parts would be
    told more reliably than that of the product.
    """
    flat = grid.reshape(-1, *grid.shape[-2:])
    sizes = np.abs(flat[0][flat[0] != 0.0])
    if sizes.size and sizes.max() > _UNEVEN * sizes.min():
        return None
    return flat[0] if (flat == flat[0]).all() else None


def _with_kernel(
    base: ConvolutionMap, factors: Float64, scale: DiagonalMap
) -> ConvolutionMap:
    return ConvolutionMap(
        base.kernel.astype(np.float64) * factors,
        base.windows,
        base.groups,
        base.channels_first,
        max(base.stored_eps, scale.stored_eps),
    )


def _padded(edges: KroneckerMap, base: ConvolutionMap) -> ConvolutionMap | None:
    """Zeros around the grid, or the grid itself again, as part of the windows."""
    windows = base.windows
    along = edges.parts[1:] if base.channels_first else edges.parts[:-1]
    channels = edges.parts[0 if base.channels_first else -1]
    if windows.circular or not isinstance(channels, IdentityMap):
        return None
    if tuple(part.shape[0] for part in along) != windows.sizes:
        return None
    first, circular = _widths([_edge(part) for part in along]), False
    if first is None and windows.padded_sizes == windows.sizes:
        first, circular = _widths([_circular_edge(part) for part in along]), True
    if first is None:
        return None
    sizes = tuple(part.shape[1] for part in along)
    before = tuple(own + more for own, more in zip(windows.before, first, strict=True))
    sides = zip(windows.padded_sizes, before, sizes, strict=True)
    after = tuple(total - low - size for total, low, size in sides)
    return ConvolutionMap(
        base.kernel,
        replace(windows, sizes=sizes, before=before, after=after, circular=circular),
        base.groups,
        base.channels_first,
        base.stored_eps,
    )


def _widths(edges: Sequence[int | None]) -> tuple[int, ...] | None:
    known = tuple(edge for edge in edges if edge is not None)
    return known if len(known) == len(edges) else None


def _edge(part: LinearMap) -> int | None:
    """How many zeros a map puts before its input; None if that is not all it does."""
    n = part.shape[1]
    if isinstance(part, IdentityMap):
        return 0
    if not isinstance(part, SparseMap) or part.matrix.size != n:
        return None
    rows, columns = part.matrix.triplets()
    begin = int(rows[columns.argmin()])
    same = (part.matrix.data == 1).all() and (rows - columns == begin).all()
    return begin if same else None


def _circular_edge(part: LinearMap) -> int | None:
    """How much of the other end a map puts before its input, if that is all it does."""
    m, n = part.shape
    if isinstance(part, IdentityMap):
        return 0
    if not isinstance(part, SparseMap) or part.matrix.size != m:
        return None
    rows, columns = part.matrix.triplets()
    begin = -int(columns[rows.argmin()]) % n
    same = (part.matrix.data == 1).all() and ((rows - columns) % n == begin).all()
    # Windows reach round once at most.
    return begin if same and 0 <= m - n - begin <= n else None
