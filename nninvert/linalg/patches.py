"""Convolutions whose windows share nothing: one small system for each window.

Those are 1 x 1 convolutions, patch embeddings, transposed convolutions with kernels as
wide as their strides, and kernels as large as their input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.condition import Spectrum
from nninvert.linalg.convolution_ends import End
from nninvert.linalg.factorisation import Factorisation
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]

_SURENESS = (Kind.EXACT, Kind.ESTIMATE, Kind.LOWER_BOUND)


class PatchFactor(Factorisation):
    """Of a map that does the same to each window.

    Parameters
    ----------
    shape : (int, int)
        (m, n) of the map.
    positions : int
        How many windows there are.
    inputs, outputs : End
        How x and y fall into windows.
    bases : sequence of Factorisation
        Of the matrix of each group.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        positions: int,
        inputs: End,
        outputs: End,
        bases: Sequence[Factorisation],
    ) -> None:
        self.shape, self._positions = shape, positions
        self._inputs, self._outputs, self._bases = inputs, outputs, tuple(bases)
        self.rank = positions * sum(base.rank for base in self._bases)
        self.nbytes = sum(base.nbytes for base in self._bases)
        groups = f" in {len(self._bases)} groups" if len(self._bases) > 1 else ""
        self.reason = (
            f"{positions:,} windows that share nothing{groups}: {self._bases[0].reason}"
        )

    def solve(self, y: Float64) -> Float64:
        """Solve for each window."""
        return self._each(y, self._outputs, self._inputs, lambda base: base.solve)

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve for each window roughly."""
        return self._each(y, self._outputs, self._inputs, lambda base: base.solve_roughly)

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve for each window with the transpose."""
        return self._each(
            x, self._inputs, self._outputs, lambda base: base.solve_transposed
        )

    def spread(self, radius: Float64) -> Float64:
        """Spread for each window."""
        return self._each(radius, self._outputs, self._inputs, lambda base: base.spread)

    def _each(
        self,
        values: Float64,
        source: End,
        target: End,
        how: Callable[[Factorisation], Callable[[Float64], Float64]],
    ) -> Float64:
        rows = values.reshape(-1, values.shape[-1])
        size = sum(self.shape) - values.shape[-1]
        if not len(rows):
            return np.zeros((*values.shape[:-1], size))
        vectors = source.split(rows)
        solved = [how(base)(vectors[..., g, :]) for g, base in enumerate(self._bases)]
        joined = target.joined(np.stack(solved, axis=-2))
        return joined.reshape(*values.shape[:-1], size)

    def spectrum(self) -> Spectrum:
        """From those of the groups' matrices; inputs that no window sees count as zero."""
        found = [base.spectrum() for base in self._bases]
        values = self._positions * sum(min(each.shape) for each in found)
        unread = values < min(self.shape)
        return replace(
            found[0],
            shape=self.shape,
            largest=max(each.largest for each in found),
            smallest=0.0 if unread else min(each.smallest for each in found),
            rank=self._times([each.rank for each in found]),
            rank_stored=self._times([each.rank_stored for each in found]),
            kind=max((each.kind for each in found), key=_SURENESS.index),
        )

    def _times(self, ranks: Sequence[int | None]) -> int | None:
        known = [rank for rank in ranks if rank is not None]
        return self._positions * sum(known) if len(known) == len(ranks) else None
