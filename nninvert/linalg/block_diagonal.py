"""Different matrices on consecutive pieces of the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]


class BlockDiagonalMap(LinearMap):
    """One map for each of several equally long pieces.

    Parameters
    ----------
    blocks : sequence of LinearMap
        Of one shape, in order.
    """

    def __init__(self, blocks: Sequence[LinearMap]) -> None:
        self.blocks = tuple(blocks)
        m, n = self.blocks[0].shape
        self.shape = (m * len(self.blocks), n * len(self.blocks))

    def apply(self, x: Float64) -> Float64:
        """Apply each map to its piece."""
        return on_pieces(x, [block.apply for block in self.blocks])

    def adjoint(self, y: Float64) -> Float64:
        """Apply each transpose to its piece."""
        return on_pieces(y, [block.adjoint for block in self.blocks])

    def magnitude(self, x: Float64) -> Float64:
        """Apply the sizes of each map's entries to its piece."""
        return on_pieces(x, [block.magnitude for block in self.blocks])

    @property
    def terms(self) -> int:
        """The most of any."""
        return max(block.terms for block in self.blocks)

    @property
    def key(self) -> tuple[str, ...]:
        """Keys of all blocks."""
        return ("blocks", *(word for block in self.blocks for word in block.key))

    @property
    def stored_eps(self) -> float:
        """The coarsest of the blocks."""
        return max(block.stored_eps for block in self.blocks)


class BlockDiagonalFactor(Factorisation):
    """Of different blocks, from a factorisation of each."""

    def __init__(
        self, linear_map: BlockDiagonalMap, blocks: Sequence[Factorisation]
    ) -> None:
        self.shape, self._blocks = linear_map.shape, tuple(blocks)
        self.rank = sum(block.rank for block in self._blocks)
        self.nbytes = sum(block.nbytes for block in self._blocks)
        reasons = ", ".join(dict.fromkeys(block.reason for block in self._blocks))
        self.reason = f"{len(self._blocks)} blocks: {reasons}"

    def solve(self, y: Float64) -> Float64:
        """Solve each piece."""
        return on_pieces(y, [block.solve for block in self._blocks])

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve each piece roughly."""
        return on_pieces(y, [block.solve_roughly for block in self._blocks])

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve each piece with the transpose."""
        return on_pieces(x, [block.solve_transposed for block in self._blocks])

    def spread(self, radius: Float64) -> Float64:
        """Spread each piece."""
        return on_pieces(radius, [block.spread for block in self._blocks])

    @property
    def residual_scale(self) -> Float64:
        """Those of the blocks, one after the other."""
        m = self.shape[0] // len(self._blocks)
        scales = [np.broadcast_to(block.residual_scale, (m,)) for block in self._blocks]
        return np.concatenate(scales)

    def spectrum(self) -> Spectrum:
        """All singular values of the blocks together."""
        found = [block.spectrum() for block in self._blocks]
        ranks = [part.rank for part in found if part.rank is not None]
        stored = [part.rank_stored for part in found if part.rank_stored is not None]
        kinds = {part.kind for part in found}
        order = (Kind.LOWER_BOUND, Kind.ESTIMATE, Kind.EXACT)
        return Spectrum(
            shape=self.shape,
            largest=max(part.largest for part in found),
            smallest=min(part.smallest for part in found),
            rank=sum(ranks) if len(ranks) == len(found) else None,
            rank_stored=sum(stored) if len(stored) == len(found) else None,
            kind=next(kind for kind in order if kind in kinds),
            method=", ".join(dict.fromkeys(part.method for part in found)),
        )


def on_pieces(
    values: Float64, operations: Sequence[Callable[[Float64], Float64]]
) -> Float64:
    """Apply to each of equally long pieces of the last axis an operation."""
    pieces = np.split(values, len(operations), axis=-1)
    done = [operation(piece) for operation, piece in zip(operations, pieces, strict=True)]
    return np.concatenate(done, axis=-1)
