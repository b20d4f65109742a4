"""LU with partial pivoting in column panels, left-looking.

Columns are brought up to date with all finished blocks and then factored among
themselves, so that only columns that are being factored are ever written. The same
algorithm works in memory, where all columns are resident from the start, and with a file,
where finished blocks are streamed past a resident panel of as many columns as fit
(Dongarra, Hammarling & Walker, Key concepts for parallel out-of-core LU factorization,
Parallel Computing 23, 1997). Words moved with panels of w columns: n^3 / (3 w) + 2 n^2.

No single call of LAPACK is large: a threaded getrf over a whole matrix ends in a
segmentation fault from n = 40,000 on, and none could be interrupted.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context, Progress
from nninvert.errors import DataError
from nninvert.linalg.panels.kernels import Block, Kernels, Pivots
from nninvert.linalg.panels.store import Cuts, PanelStore
from nninvert.linalg.stored import StoredMatrix
from nninvert.linalg.threads import worker_count

CALL_SECONDS = 1.0
"""One call of BLAS is cut to take about this long: Ctrl-C and progress wait for it."""

JOURNAL_SECONDS = 150.0
"""A resident panel is finished, and kept, after about this long."""

_LOAD_BYTES = 32 * 2**20


class RangeExceeded(ArithmeticError):
    """The numbers are too large or too small for the type of the factors."""


@dataclass
class Pace:
    """How fast the machine works, measured on the way.

    Attributes
    ----------
    rate : float
        Floating-point operations per second.
    """

    rate: float
    done: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def columns(self, rows: int, width: int) -> int:
        """How many columns one product with a rows x width block may have."""
        return max(16, int(CALL_SECONDS * self.rate / max(2.0 * rows * width, 1.0)))

    def advance(self, flops: float) -> None:
        """Count what was done; the rate follows after the first seconds."""
        self.done += flops
        elapsed = time.monotonic() - self._since
        if elapsed > 5.0:
            self.rate = self.done / elapsed


def update_flops(n: int, start: int, stop: int, columns: int) -> float:
    """Operations to bring `columns` columns up to date with columns start to stop."""
    width = stop - start
    return columns * width * (2.0 * (n - stop) + width)


def panel_flops(n: int, start: int, stop: int) -> float:
    """Operations to factor columns start to stop, updates with earlier ones included."""
    width = stop - start
    inner = width * width * (n - start - width / 3.0)
    return update_flops(n, 0, start, width) + max(inner, 0.0)


def factor(
    matrix: StoredMatrix,
    store: PanelStore,
    kernels: Kernels,
    context: Context,
    most: int,
    pace: Pace,
) -> None:
    """Factor a square matrix into a store, going on where the store ends.

    Parameters
    ----------
    matrix : StoredMatrix, shape (n, n)
        Read column by column: best one whose columns lie together.
    store : PanelStore
    kernels : Kernels
    context : Context
    most : int
        Blocks that may be resident at once; at least 1.
    pace : Pace

    Raises
    ------
    DataError
        For NaN or infinity among the weights, with its place.
    RangeExceeded
        If the numbers do not suit the type of the factors.
    Stopped
        Finished panels are kept in a store that outlives the process.
    """
    work = _Work(store, kernels, context, pace)
    cuts = store.cuts
    work.done = panel_flops(cuts.n, 0, cuts.stop(len(store.pivots) - 1))
    while len(store.pivots) < len(cuts):
        first = len(store.pivots)
        _advance(matrix, work, first, first + blocks_at_once(cuts, first, most, pace.rate))


def _advance(matrix: StoredMatrix, work: _Work, first: int, last: int) -> None:
    """Make blocks first to last; their memory is free again afterwards."""
    store = work.store
    panel = store.resident(first, last)
    _load(matrix, panel, store.cuts.start(first), work.context)
    work.bring_up_to_date(panel, first)
    pivots, zeros = work.factor_resident(panel, first, last)
    store.keep(first, panel, pivots, zeros)


def blocks_at_once(cuts: Cuts, first: int, most: int, rate: float) -> int:
    """As many blocks as are allowed, and as are done within the journal's time.

    Later panels take longer, so that none is wider than the first.
    """
    last = first + 1
    start = cuts.start(first)
    while last - first < most and last < len(cuts):
        if panel_flops(cuts.n, start, cuts.stop(last)) > JOURNAL_SECONDS * rate:
            break
        last += 1
    return last - first


def _load(matrix: StoredMatrix, panel: Block, start: int, context: Context) -> None:
    """Copy columns into a panel, in pieces that keep the process responsive."""
    rows, columns = panel.shape
    step = max(1, _LOAD_BYTES // (rows * panel.itemsize))

    def take(done: int) -> None:
        if context.should_stop():
            return
        piece = panel[:, done : min(done + step, columns)]
        _read(matrix, piece, slice(start + done, start + done + piece.shape[1]))

    with ThreadPoolExecutor(worker_count()) as readers:
        for _ in readers.map(take, range(0, columns, step)):
            pass
    context.require_time("LU factorisation")


def _read(matrix: StoredMatrix, piece: Block, wanted: slice) -> None:
    """Copy some columns and look at their sizes."""
    small, large = np.finfo(piece.dtype).tiny ** 0.75, np.finfo(piece.dtype).max ** 0.75
    with np.errstate(over="ignore", under="ignore"):
        matrix.read(slice(None), wanted, out=piece)
    peaks = np.maximum(piece.max(axis=0), -piece.min(axis=0))
    if not np.isfinite(peaks).all():
        _refuse_non_finite(matrix)
    if peaks.max() > large:
        raise RangeExceeded(f"entries up to {peaks.max():.1e}")
    if peaks.min() < small:
        _refuse_tiny(matrix, wanted, peaks < small)


def _refuse_tiny(matrix: StoredMatrix, columns: slice, tiny: NDArray[np.bool_]) -> None:
    """Tell columns of numbers too small for a shorter type from columns of zeros."""
    found = matrix.read(slice(None), columns)[:, tiny]
    if found.any():
        raise RangeExceeded("a column whose entries are too small")


def _refuse_non_finite(matrix: StoredMatrix) -> None:
    """Name the first NaN or infinity; finite numbers may overflow in a shorter type."""
    found = matrix.first_non_finite()
    if found is not None:
        raise DataError(
            "weights",
            got=f"{found.value} at row {found.row}, column {found.column} "
            f"(NaN or infinite: {found.count:,})",
            expected="finite numbers",
        )


@dataclass
class _Work:
    """The steps of the factorisation, each followed by a look at the clock."""

    store: PanelStore
    kernels: Kernels
    context: Context
    pace: Pace
    done: float = 0.0

    def bring_up_to_date(self, panel: Block, first: int) -> None:
        """Apply all finished blocks before `first` to a resident panel."""
        for k, lower in enumerate(self.store.lowers(range(first))):
            self._apply(lower, self.store.pivots[k], panel[self.store.cuts.start(k) :])

    def factor_resident(
        self, panel: Block, first: int, last: int
    ) -> tuple[list[Pivots], list[int]]:
        """Factor the blocks of a panel that is up to date with all before it."""
        cuts, offset = self.store.cuts, self.store.cuts.start(first)
        found: list[Pivots] = []
        zeros: list[int] = []
        for j in range(first, last):
            start, stop = cuts.start(j), cuts.stop(j)
            columns = panel[:, start - offset : stop - offset]
            for k, pivots in enumerate(found, first):
                own, end = cuts.start(k), cuts.stop(k)
                lower = panel[own:, own - offset : end - offset]
                self._apply(lower, pivots, columns[own:])
            block = columns[start:]
            pivots, empty = self.kernels.factor(block)
            found.append(pivots)
            zeros += [start + k for k in empty]
            _require_finite(columns)
            _fill_zero_pivots(columns, start, empty)
            width = stop - start
            self._count(width * width * (len(block) - width / 3.0))
        return found, zeros

    def _apply(self, lower: Block, pivots: Pivots, columns: Block) -> None:
        """Apply one finished block to columns from its first row on."""
        rows, width = lower.shape
        step = self.pace.columns(rows, width)
        for start in range(0, columns.shape[1], step):
            piece = columns[:, start : start + step]
            self.kernels.swap_rows(piece, pivots)
            self.kernels.solve_lower(lower[:width], piece[:width])
            self.kernels.subtract(lower[width:], piece[:width], piece[width:])
            self._count(piece.shape[1] * width * (2.0 * (rows - width) + width))

    def _count(self, flops: float) -> None:
        self.done += flops
        self.pace.advance(flops)
        n = self.store.cuts.n
        self.context.emit(Progress("LU", self.done, panel_flops(n, 0, n)))
        self.context.require_time("LU factorisation")


def _peak(block: Block) -> float:
    """The largest magnitude, without a copy of the block; NaN if there is one."""
    return max(float(block.max()), -float(block.min())) if block.size else 0.0


def _require_finite(columns: Block) -> None:
    """Notice that elements grew beyond what the type holds."""
    if not np.isfinite(_peak(columns)):
        raise RangeExceeded("elements that grow without bound while they are factored")


def _fill_zero_pivots(columns: Block, start: int, empty: list[int]) -> None:
    """Put a tiny number where no pivot was found, so that solves stay finite.

    The column below is zero, too: this changes the matrix by less than its rounding, and
    a solve with such factors points into the kernel, which is what finds it. L has no say
    in what is tiny: its numbers are up to 1 whatever the matrix.
    """
    if empty:
        stop = start + columns.shape[1]
        scale = max(_peak(columns[:start]), _peak(np.triu(columns[start:stop])))
        tiny = np.finfo(columns.dtype).eps * (scale or 1.0)
        columns[np.add(empty, start), empty] = tiny
