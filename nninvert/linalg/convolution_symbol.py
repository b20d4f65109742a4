"""What the symbol of a convolution proves about its singular values, whatever the grid.

On a grid without end a convolution is a matrix S(t) for each vector t of frequencies,
``S(t) = sum over q of T[q]^T exp(i q t)``, T[q] being what a cell gives to the output q
windows before it. On a finite grid with zeros around it stands a part of that, so that no
singular value is larger than the largest of any S(t) (H. Sedghi, V. Gupta, P. M. Long, ICLR
2019, for circular padding; A. Böttcher, B. Silbermann, Introduction to Large Truncated
Toeplitz Matrices, 1999, section 1.6). The smallest one is not bounded by those of S(t), but
by its numerical range, which that of a part lies in.

Both are taken at evenly spaced frequencies and hold for all: a trigonometric polynomial of
degree d with largest value M is at least M cos(d h) at a distance h from where it has that
(M. Riesz, Jahresber. DMV 23, 1914), and so axis by axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.convolution import ConvolutionMap
from nninvert.linalg.convolution_ends import fills_cells
from nninvert.linalg.windows import Numbers

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

_SAMPLES = (32, 16, 8, 4)
"""Frequencies along an axis, for each degree: the first that the work allows."""

_WORK = 5e9
"""Operations that may be spent on them; some seconds."""

_CHUNK_BYTES = 1 << 24

_ROUNDING = 1e-9
"""Relative; what is computed of matrices of some thousand rows is off by less."""


@dataclass(frozen=True)
class Extent:
    """What all singular values of a map lie between.

    Attributes
    ----------
    largest : float
        None is larger (proved).
    smallest : float
        None is smaller (proved); 0 where that is all that is known.
    sampled : float
        The smallest singular value of the symbol over its largest, where it was looked at:
        a hint, no bound.
    """

    largest: float
    smallest: float
    sampled: float

    def refine(self, found: Spectrum) -> Spectrum:
        """Put what is proved beside what was estimated, and say so."""
        largest = min(found.largest, self.largest)
        smallest = min(max(found.smallest, self.smallest), largest)
        zero = tolerances.singular_threshold(found.shape, self.largest)
        proved = f"largest singular value at most {self.largest:.3g}"
        rank = found.rank
        if self.smallest > zero:
            proved, rank = f"at most {self.largest / self.smallest:.2g}", min(found.shape)
        method = f"{found.method}; {proved} (proved)"
        return replace(found, largest=largest, smallest=smallest, rank=rank, method=method)


@dataclass(frozen=True)
class _Taps:
    """T of the page's formula.

    Attributes
    ----------
    offsets : int array, shape (count, axes)
        q of each matrix.
    matrices : float64 array, shape (count, groups, k_in, k_out)
    """

    offsets: NDArray[np.int64]
    matrices: Float64

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Largest less smallest offset, axis by axis."""
        return np.asarray(np.ptp(self.offsets, axis=0))


def cell_taps(base: ConvolutionMap) -> _Taps:
    """What a cell of inputs gives to the outputs around it.

    A cell is what lies between the begins of two windows; its places count as channels.
    """
    windows = base.windows
    inner = (*windows.strides, base.fan_in, base.group_channels)
    found: dict[Numbers, Float64] = {}
    for offset, taps in zip(windows.offsets(), base.taps, strict=True):
        begin = [o - b for o, b in zip(offset, windows.before, strict=True)]
        pairs = list(zip(begin, windows.strides, strict=True))
        cell, place = tuple(b // s for b, s in pairs), tuple(b % s for b, s in pairs)
        matrix = found.setdefault(cell, np.zeros((base.groups, *inner)))
        where: tuple[int | slice, ...] = (slice(None), *place)
        matrix[where] += taps
    matrices = np.stack(list(found.values()))
    flat = (len(found), base.groups, -1, base.group_channels)
    return _Taps(np.array(list(found), dtype=np.int64), matrices.reshape(flat))


def symbol(base: ConvolutionMap, grid: Numbers) -> Complex128:
    """S at the frequencies of a grid that `numpy.fft.rfftn` keeps.

    Returns
    -------
    complex array, shape (*half grid, groups, k_out, k_in)
        k_in counts the places of a cell, too.
    """
    found = np.concatenate(list(symbol_parts(base, grid)))
    return found.reshape(*grid[:-1], grid[-1] // 2 + 1, *found.shape[1:])


def symbol_parts(base: ConvolutionMap, grid: Numbers) -> Iterator[Complex128]:
    """The same for some frequencies at a time, (count, groups, k_out, k_in), in order."""
    return _values(cell_taps(base), grid)


def extent(base: ConvolutionMap) -> Extent:
    """Bound all singular values of a convolution, or of its transpose.

    Those of the smaller one of A^T A and A A^T; zeros that the shape brings do not count.

    Parameters
    ----------
    base : ConvolutionMap
        Of any size: the grid does not matter.
    """
    taps, lines, fills = cell_taps(base), _lines(base), fills_cells(base)
    if base.windows.circular and not fills:
        # What goes round is then no part of an endless convolution.
        return Extent(lines * (1.0 + _ROUNDING), 0.0, 0.0)
    grid = _samples(taps)
    turned = _turned(taps) if fills else None
    gap = np.pi / np.array(grid)
    largest, least, lowest = 0.0, np.inf, np.inf
    for part in _values(taps, grid):
        squares = _gram(part)
        values = np.linalg.eigvalsh(squares)
        largest = max(largest, float(values[..., -1].max()))
        least = min(least, float(values[..., 0].min()))
        if turned is not None:
            along = np.conj(turned).swapaxes(-1, -2) @ part
            middle = 0.5 * (along + np.conj(along).swapaxes(-1, -2))
            lowest = min(lowest, float(np.linalg.eigvalsh(middle)[..., 0].min()))
            turned = turned if lowest > 0.0 else None
    norm = math.sqrt(largest / float(np.cos(taps.degrees * gap).prod()))
    norm = min(norm, lines) * (1.0 + _ROUNDING)
    sampled = math.sqrt(max(least, 0.0) / largest) if largest > 0.0 else 0.0
    smallest = 0.0
    if turned is not None:
        reach = np.abs(taps.offsets).max(axis=0)
        share = float(np.cos(reach * gap).prod())
        smallest = max(norm - (norm - lowest) / share - _ROUNDING * norm, 0.0)
    return Extent(norm, smallest, sampled)


def _gram(matrices: Complex128) -> Complex128:
    """The smaller one of S^H S and S S^H."""
    turned = np.conj(matrices).swapaxes(-1, -2)
    tall = matrices.shape[-2] > matrices.shape[-1]
    return turned @ matrices if tall else matrices @ turned


def _turned(taps: _Taps) -> Float64 | None:
    """The orthogonal matrices nearest to T[0]^T, which turn S towards positive ones."""
    here = np.flatnonzero((taps.offsets == 0).all(axis=1))
    if not here.size or taps.matrices.shape[-1] != taps.matrices.shape[-2]:
        return None
    left, _, right = np.linalg.svd(taps.matrices[here[0]].swapaxes(-1, -2))
    return np.asarray(left @ right)


def _lines(base: ConvolutionMap) -> float:
    """The root of |A|_1 |A|_inf, windows that see padding counted as if they saw more."""
    sizes = np.abs(base.taps)
    return math.sqrt(
        float(sizes.sum(axis=(0, 2)).max()) * float(sizes.sum(axis=(0, 3)).max())
    )


def _samples(taps: _Taps) -> Numbers:
    """How many frequencies along each axis the work allows."""
    _, groups, k_in, k_out = taps.matrices.shape
    one = groups * (8.0 * min(k_in, k_out) ** 2 * (k_in + k_out) + 1e3)
    grid: Numbers = ()
    for each in _SAMPLES:
        grid = tuple(1 if d == 0 else each * int(d) for d in taps.degrees)
        if math.prod(grid) * one <= 2.0 * _WORK:
            break
    return grid


def _values(taps: _Taps, grid: Numbers) -> Iterator[Complex128]:
    """S at kept frequencies of a grid, some at a time."""
    half = (*grid[:-1], grid[-1] // 2 + 1)
    total = math.prod(half)
    _, groups, k_in, k_out = taps.matrices.shape
    flat = taps.matrices.swapaxes(-1, -2).reshape(len(taps.matrices), -1)
    step = max(1, _CHUNK_BYTES // (16 * flat.shape[1]))
    for start in range(0, total, step):
        some = np.arange(start, min(start + step, total))
        frequencies = np.unravel_index(some, half)
        turns = np.zeros((some.size, len(taps.offsets)))
        for axis, size in enumerate(grid):
            # Whole turns are left out exactly, before anything is rounded.
            steps = np.outer(frequencies[axis], taps.offsets[:, axis]) % size
            turns += steps / size
        angle = 2.0 * np.pi * turns
        made = np.empty((len(angle), flat.shape[1]), dtype=np.complex128)
        made.real, made.imag = np.cos(angle) @ flat, np.sin(angle) @ flat
        yield made.reshape(-1, groups, k_out, k_in)
