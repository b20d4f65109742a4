"""Convolutions that go round: one small system for each frequency.

With circular padding a convolution of stride 1 commutes with shifts, so that the Fourier
transform over the grid takes it apart: one matrix (channels out, channels in) for each
frequency, whose singular values together are those of the layer (H. Sedghi, V. Gupta, P. M.
Long, "The singular values of convolutional layers", ICLR 2019, theorem 6). With strides it
commutes with shifts by whole cells, whose places count as channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.condition import Spectrum, spectrum_of_values
from nninvert.linalg.convolution_ends import End
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

CHUNK_BYTES = 1 << 24
"""Of matrices that are decomposed between two looks at the clock."""

_COPIES = 4
"""Arrays of the size of all matrices that are held while they are decomposed."""


class Frequencies:
    """A linear map that commutes with shifts of a grid, frequency by frequency.

    Parameters
    ----------
    grid : tuple of int
        How many vectors there are along each axis.
    inputs, outputs : End
        How x and y fall into vectors.
    response : complex array, shape (*half grid, groups, k_out, k_in)
        The matrices, for the frequencies that `numpy.fft.rfftn` keeps. In single
        precision, products are computed in it, too.
    """

    def __init__(
        self,
        grid: tuple[int, ...],
        inputs: End,
        outputs: End,
        response: Complex,
    ) -> None:
        self.grid, self.response = grid, response
        self.inputs, self.outputs = inputs, outputs
        self._axes = tuple(range(1, len(grid) + 1))
        self._real = response.real.dtype

    @classmethod
    def of_kernels(
        cls, grid: tuple[int, ...], inputs: End, outputs: End, kernels: Float64
    ) -> Frequencies:
        """Of ``y[p] = sum over q of T[q]^T x[p + q]``.

        T has the shape (*grid, groups, k_in, k_out).
        """
        transformed = np.fft.rfftn(kernels, axes=tuple(range(len(grid))))
        return cls(grid, inputs, outputs, np.conj(transformed).swapaxes(-1, -2))

    @property
    def transposed(self) -> Frequencies:
        """The transpose."""
        turned = np.conj(self.response).swapaxes(-1, -2)
        return Frequencies(self.grid, self.outputs, self.inputs, turned)

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """How many frequencies of the whole grid each kept one stands for."""
        last = self.grid[-1]
        count = np.full(last // 2 + 1, 2)
        count[0] = 1
        if last % 2 == 0:
            count[-1] = 1
        return np.broadcast_to(count, (*self.grid[:-1], count.size))

    def apply(self, rows: Float64) -> Float64:
        """(batch, n) to (batch, m)."""
        vectors = np.fft.rfftn(
            self.inputs.split(rows.astype(self._real, copy=False)), axes=self._axes
        )
        made = np.matmul(self.response, np.moveaxis(vectors, 0, -1))
        made = np.moveaxis(made, -1, 0)
        return self.outputs.joined(np.fft.irfftn(made, s=self.grid, axes=self._axes))

    def on_rows(self, values: Float64, size: int) -> Float64:
        """(..., n) to (..., size), few rows at a time: working arrays stay small."""
        rows = values.reshape(-1, values.shape[-1])
        step = max(1, tolerances.BLOCK_BYTES // (16 * max(values.shape[-1], size)))
        found = np.empty((len(rows), size))
        for start in range(0, len(rows), step):
            found[start : start + step] = self.apply(rows[start : start + step])
        return found.reshape(*values.shape[:-1], size)

    def kernels(self) -> Float64:
        """T of `of_kernels`."""
        turned = np.conj(self.response).swapaxes(-1, -2)
        axes = tuple(range(len(self.grid)))
        return np.fft.irfftn(turned, s=self.grid, axes=axes)


def needed_bytes(grid: tuple[int, ...], groups: int, k_out: int, k_in: int) -> int:
    """Memory that decomposing the matrices of all frequencies takes."""
    half = math.prod(grid[:-1]) * (grid[-1] // 2 + 1)
    return 16 * _COPIES * half * groups * k_out * k_in


@dataclass(frozen=True)
class Decomposed:
    """Singular values of all frequencies, and what follows from them.

    Attributes
    ----------
    values : float64 array, shape (*half grid, groups, min(k_out, k_in))
    zero : float
        Values up to this one count as zero.
    inverse : Frequencies
        The pseudo-inverse.
    """

    values: Float64
    zero: float
    inverse: Frequencies


def decomposed(
    frequencies: Frequencies, shape: tuple[int, int], context: Context, floor: float = 0.0
) -> Decomposed:
    """Decompose the matrices of all frequencies.

    Parameters
    ----------
    frequencies : Frequencies
    shape : (int, int)
        (m, n) of the whole map.
    context : Context
        Asked between decompositions whether to stop.
    floor : float, default 0
        Singular values below this share of the largest are raised to it, which gives an
        inverse that amplifies nothing by more.

    Raises
    ------
    Stopped
        If time is up.
    """
    response = frequencies.response
    flat = response.reshape(-1, *response.shape[-2:])
    step = max(1, CHUNK_BYTES // flat[:1].nbytes)
    parts = []
    for start in range(0, len(flat), step):
        context.require_time("decomposing a convolution's frequencies")
        parts.append(np.linalg.svd(flat[start : start + step], full_matrices=False))
    u, values, vh = (np.concatenate([part[k] for part in parts]) for k in range(3))
    largest = float(values.max())
    zero = tolerances.singular_threshold(shape, largest)
    values = np.maximum(values, floor * largest)
    scale = np.divide(1.0, values, out=np.zeros(values.shape), where=values > zero)
    inverses = np.conj((u * scale[:, None, :]) @ vh).swapaxes(-1, -2)
    lead = response.shape[:-2]
    inverse = Frequencies(
        frequencies.grid,
        frequencies.outputs,
        frequencies.inputs,
        inverses.reshape(*lead, *inverses.shape[-2:]),
    )
    return Decomposed(values.reshape(*lead, -1), zero, inverse)


class CirculantFactor(Factorisation):
    """Of a map that is taken apart by frequencies.

    Parameters
    ----------
    linear_map : LinearMap
    frequencies : Frequencies
        Of that map.
    context : Context
    """

    def __init__(
        self, linear_map: LinearMap, frequencies: Frequencies, context: Context
    ) -> None:
        self._map = linear_map
        self.shape = linear_map.shape
        found = decomposed(frequencies, self.shape, context)
        self._inverse, self._values = found.inverse, found.values
        self._multiplicity = frequencies.multiplicity
        used = np.count_nonzero(self._values > found.zero, axis=(-2, -1))
        self.rank = int((used * self._multiplicity).sum())
        self.nbytes = self._inverse.response.nbytes + self._values.nbytes
        size = " x ".join(str(k) for k in frequencies.response.shape[-2:])
        count = math.prod(frequencies.grid)
        self.reason = f"circular: a matrix of {size} for each of {count:,} frequencies"

    def solve(self, y: Float64) -> Float64:
        """Least squares for each frequency, and a step of refinement."""
        x = self.solve_roughly(y)
        return x + self.solve_roughly(y - self._map.apply(x))

    def solve_roughly(self, y: Float64) -> Float64:
        """Least squares for each frequency."""
        return self._inverse.on_rows(y, self.shape[1])

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose."""
        turned, m = self._inverse.transposed, self.shape[0]
        y = turned.on_rows(x, m)
        return y + turned.on_rows(x - self._map.adjoint(y), m)

    def spectrum(self) -> Spectrum:
        """All singular values, of all frequencies."""
        counts = np.broadcast_to(self._multiplicity[..., None, None], self._values.shape)
        values = np.repeat(self._values.ravel(), counts.ravel())
        return spectrum_of_values(
            self.shape, values, self._map.stored_eps, "SVD of every frequency"
        )

    @cached_property
    def _sizes(self) -> Frequencies:
        """|A^+|, which commutes with shifts as A^+ does."""
        inverse = self._inverse
        sizes = np.abs(inverse.kernels())
        return Frequencies.of_kernels(inverse.grid, inverse.inputs, inverse.outputs, sizes)

    def spread(self, radius: Float64) -> Float64:
        """|A^+| radius, and the rounding of the transforms.

        Transforms round like a few times log2 of their length in the 2-norm (N. J. Higham,
        Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2).
        """
        sizes = self._sizes
        found = np.maximum(sizes.on_rows(radius, self.shape[1]), 0.0)
        gain = np.linalg.norm(sizes.response, axis=(-2, -1)).max()
        steps = 8.0 * (2.0 + math.log2(math.prod(sizes.grid)))
        rounding = steps * tolerances.EPS64 * gain
        length = np.linalg.norm(radius, axis=-1, keepdims=True)
        bound: Float64 = np.minimum(found + rounding * length, tolerances.RADIUS_CAP)
        return bound
