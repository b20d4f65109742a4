"""Where panels live: what the factorisation asks of memory and files alike.

A matrix of order n is cut into blocks of columns, each kept as two column-major pieces:
the lower one from the block's diagonal to the last row (L below the diagonal of the
diagonal block, U on and above it), and the upper one from the first row to the end of the
diagonal block. Pivots of a block are relative to its first row and are not applied to
earlier blocks: a solve applies them block by block, as the factorisation did.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nninvert.linalg.panels.kernels import Block, Pivots


@dataclass(frozen=True)
class Cuts:
    """How n columns are cut into blocks of at most `width`."""

    n: int
    width: int

    def __len__(self) -> int:
        return -(-self.n // self.width)

    def start(self, block: int) -> int:
        """First column of a block."""
        return block * self.width

    def stop(self, block: int) -> int:
        """One past its last column; `block` may be -1: 0."""
        return min((block + 1) * self.width, self.n)


class PanelStore(ABC):
    """The blocks of one matrix while it is factored and afterwards.

    Attributes
    ----------
    cuts : Cuts
    dtype : numpy.dtype
    pivots : list of int32 arrays
        One for each finished block.
    zero_pivots : list of int
        Columns in which no pivot was found.
    """

    cuts: Cuts
    dtype: np.dtype[np.floating[Any]]
    pivots: list[Pivots]
    zero_pivots: list[int]

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory held."""

    @abstractmethod
    def resident(self, first: int, last: int) -> Block:
        """Memory for the columns of blocks first to last, exclusive, shape (n, .)."""

    @abstractmethod
    def keep(
        self, first: int, panel: Block, pivots: list[Pivots], zeros: list[int]
    ) -> None:
        """Take over finished blocks from `first` on."""

    @abstractmethod
    def lowers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """The lower pieces of finished blocks, each valid until the next one."""

    @abstractmethod
    def uppers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """The upper pieces of finished blocks, each valid until the next one."""


class MemoryStore(PanelStore):
    """All blocks in one array, factored where they stand."""

    def __init__(self, cuts: Cuts, dtype: np.dtype[np.floating[Any]]) -> None:
        self.cuts, self.dtype = cuts, np.dtype(dtype)
        self.array: Block = np.empty((cuts.n, cuts.n), dtype, order="F")
        self.pivots, self.zero_pivots = [], []

    @property
    def nbytes(self) -> int:
        """The array."""
        return self.array.nbytes

    def resident(self, first: int, last: int) -> Block:
        """The columns themselves."""
        return self.array[:, self.cuts.start(first) : self.cuts.stop(last - 1)]

    def keep(
        self, first: int, panel: Block, pivots: list[Pivots], zeros: list[int]
    ) -> None:
        """Keep the pivots; the numbers are in place."""
        self.pivots += pivots
        self.zero_pivots += zeros

    def lowers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """Views."""
        for k in blocks:
            start, stop = self.cuts.start(k), self.cuts.stop(k)
            yield self.array[start:, start:stop]

    def uppers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """Views."""
        for k in blocks:
            start, stop = self.cuts.start(k), self.cuts.stop(k)
            yield self.array[:stop, start:stop]
