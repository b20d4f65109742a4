"""The part of a factor file that holds one matrix: what it is of and where pieces lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nninvert.linalg.panels.store import Cuts
from nninvert.linalg.stored import StoredMatrix

PAGE = 4096


@dataclass(frozen=True)
class Weights:
    """Which weights a region was made of.

    Attributes
    ----------
    shape : (int, int)
        In storage order, columns contiguous.
    stored : str
        Name of the stored type.
    fingerprint : str
        Sampled SHA-256; see `StoredMatrix.fingerprint`.
    digest : str
        Full SHA-256, "" until the factorisation is finished.
    """

    shape: tuple[int, int]
    stored: str
    fingerprint: str
    digest: str = ""

    @classmethod
    def of(cls, matrix: StoredMatrix) -> Weights:
        """Describe a matrix without reading all of it."""
        return cls(matrix.shape, matrix.stored_name, matrix.fingerprint())

    def matches(self, other: Weights) -> bool:
        """Whether shape, type and sample agree."""
        return (self.shape, self.stored, self.fingerprint) == (
            other.shape,
            other.stored,
            other.fingerprint,
        )


@dataclass
class Region:
    """Layout and state of one matrix in a factor file.

    Attributes
    ----------
    weights : Weights
    flipped : bool
        Whether the transpose of the layer's matrix was factored.
    n, width : int
    dtype : str
        "float32" or "float64".
    offset : int
        Where the region begins in the file; a multiple of `PAGE`.
    checks : list of [int, int, int]
        CRC-32 of the lower piece, the upper piece and the pivots of each finished block.
    zero_pivots : list of int
    seconds : float
        Spent on the factorisation so far.
    """

    weights: Weights
    flipped: bool
    n: int
    width: int
    dtype: str
    offset: int
    checks: list[list[int]] = field(default_factory=list)
    zero_pivots: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @cached_property
    def cuts(self) -> Cuts:
        """The blocks."""
        return Cuts(self.n, self.width)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return np.dtype(self.dtype).itemsize

    @property
    def finished(self) -> bool:
        """Whether all blocks are there."""
        return len(self.checks) == len(self.cuts)

    @cached_property
    def _lower(self) -> list[int]:
        heights = [self.n - self.cuts.start(k) for k in range(len(self.cuts))]
        return self._places(self.offset, heights)

    @cached_property
    def _upper(self) -> list[int]:
        heights = [self.cuts.stop(k) for k in range(len(self.cuts))]
        return self._places(self._lower[-1], heights)

    def _places(self, offset: int, heights: list[int]) -> list[int]:
        """Offsets of pieces of these heights one after another, and of their end."""
        places = [offset]
        for k, height in enumerate(heights):
            width = self.cuts.stop(k) - self.cuts.start(k)
            places.append(aligned(places[-1] + height * width * self.itemsize))
        return places

    def lower(self, block: int) -> tuple[int, tuple[int, int]]:
        """Offset and shape of a block's lower piece."""
        start, stop = self.cuts.start(block), self.cuts.stop(block)
        return self._lower[block], (self.n - start, stop - start)

    def upper(self, block: int) -> tuple[int, tuple[int, int]]:
        """Offset and shape of a block's upper piece."""
        start, stop = self.cuts.start(block), self.cuts.stop(block)
        return self._upper[block], (stop, stop - start)

    def pivots(self, block: int) -> tuple[int, int]:
        """Offset and count of a block's pivots."""
        start, stop = self.cuts.start(block), self.cuts.stop(block)
        return self._upper[-1] + 4 * start, stop - start

    @property
    def end(self) -> int:
        """Where the region ends."""
        return aligned(self._upper[-1] + 4 * self.n)

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return self.end - self.offset

    def as_record(self) -> dict[str, Any]:
        """For journal and manifest."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Region:
        """Undo `as_record`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the record is not one.
        """
        weights = dict(record["weights"])
        weights["shape"] = tuple(int(k) for k in weights["shape"])
        made = cls(**{**record, "weights": Weights(**weights)})
        if min(made.n, made.width) < 1 or made.dtype not in ("float32", "float64"):
            raise ValueError(f"{made.n} x {made.n} {made.dtype} by {made.width}")
        if made.weights.shape != (made.n, made.n):
            raise ValueError(f"{made.weights.shape}, not {made.n} x {made.n}")
        if made.offset < PAGE or made.offset % PAGE:
            raise ValueError(f"a region at byte {made.offset}")
        if len(made.checks) > len(made.cuts) or any(len(c) != 3 for c in made.checks):
            raise ValueError(f"{len(made.checks)} blocks of {len(made.cuts)}")
        return made


def find_region(regions: Iterable[Region], weights: Weights) -> Region | None:
    """The one made of these weights, the finest precision first."""
    found = [region for region in regions if region.weights.matches(weights)]
    return max(found, key=lambda region: region.itemsize, default=None)


def aligned(offset: int) -> int:
    """The next multiple of `PAGE`."""
    return -(-offset // PAGE) * PAGE
