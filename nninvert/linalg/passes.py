"""Passes over the weights, divided among threads.

Most of a pass is reading and casting, on which a BLAS library's threads do not help. So
the matrix is divided, in storage order, into one part for each thread that BLAS was given,
and every worker streams its own part with products of one thread: workers meet once, at
the end of the pass, and not at every product. Measured on two cores at n = 10,000: a
product with four vectors takes 50 to 85 ms and took 570 to 1,900 with OpenBLAS's threads.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.threads import one_blas_thread, worker_count

if TYPE_CHECKING:
    from nninvert.linalg.stored import StoredMatrix, Stripe

Float64 = NDArray[np.float64]
Found = TypeVar("Found")
Work = Callable[[Iterator["Stripe"]], Found]

_MANY = 32
"""From so many vectors on, computing takes longer than reading and casting: a matrix that
is not divided then leaves BLAS its threads."""

_WIDE = 8
"""Many vectors want stripes of so many times `tolerances.STRIPE_BYTES`: 30 % faster with
1,000 vectors, as fast with 100, half as fast with 8."""

_ASK_SECONDS = 0.1
"""How often the calling thread asks whether to go on while it waits for the others."""


class _Abandoned(Exception):
    """Another worker failed, or the pass was interrupted: its result is not needed."""


def over_stripes(
    matrix: StoredMatrix,
    work: Work[Found],
    batch: int = 1,
    check: Callable[[], None] | None = None,
) -> list[Found]:
    """Make one pass, in several parts at the same time where the matrix is large.

    Parameters
    ----------
    matrix : StoredMatrix
    work : callable
        Called for every part, each time in another thread, with an iterator over the
        stripes of that part; as `StoredMatrix.stripes`, with rows and columns of the
        whole matrix. It may write to what belongs to its own lines alone.
    batch : int
        How many vectors the stripes are multiplied by. Large sums of many vectors, of
        which every worker needs one, are left to one worker and BLAS's threads.
    check : callable or None
        Called often, in the calling thread only; the pass ends with what it raises.

    Returns
    -------
    list
        What `work` returned for each part, in storage order: combined in this order, the
        result depends on the number of threads only.

    Raises
    ------
    Exception
        The first one in storage order that a worker raised; the others were stopped.
    """
    parts = _divided(matrix, _most_parts(matrix, batch))
    nbytes = tolerances.STRIPE_BYTES
    if batch >= _MANY:
        nbytes = max(nbytes, min(_WIDE * nbytes, tolerances.BLOCK_BYTES // len(parts)))
    stop = threading.Event()
    asked = check or _nothing
    flags = np.geterr()  # of this thread; those of others start with the defaults

    def take(first: int, part: StoredMatrix, each: Callable[[], None]) -> Found:
        try:
            with np.errstate(**flags):
                return work(_stripes(part, first, nbytes, stop, each))
        except BaseException:
            stop.set()
            raise

    if len(parts) == 1 and batch >= _MANY:
        return [take(*parts[0], asked)]
    with one_blas_thread():
        if len(parts) == 1:
            return [take(*parts[0], asked)]
        with ThreadPoolExecutor(len(parts) - 1, "nninvert-pass") as pool:
            others = [pool.submit(take, *part, _nothing) for part in parts[1:]]
            try:
                own = take(*parts[0], asked)
                _await(others, asked)
            except _Abandoned:
                wait(others)
            except BaseException:
                stop.set()
                raise
        _raise_first(others)
        return [own, *(other.result() for other in others)]


def leaves_blas_its_threads(matrix: StoredMatrix, batch: int) -> bool:
    """Whether a pass is made in one part, its products with all threads of BLAS."""
    return batch >= _MANY and len(_divided(matrix, _most_parts(matrix, batch))) == 1


def combined(parts: Sequence[Float64]) -> Float64:
    """Add the parts of a sum, in order; one that all of them share is complete."""
    total = parts[0]
    for part in parts[1:]:
        if part is not total:
            total += part
    return total


def _most_parts(matrix: StoredMatrix, batch: int) -> int:
    """As many as there are threads and as make sense in time and memory."""
    sums = 1 + tolerances.BLOCK_BYTES // max(1, 8 * batch * max(matrix.shape))
    large = 8 * matrix.shape[0] * matrix.shape[1] // tolerances.PART_BYTES
    lines = matrix.shape[1 if matrix.column_major else 0]
    return min(sums, large, lines, worker_count())


def _divided(matrix: StoredMatrix, count: int) -> list[tuple[int, StoredMatrix]]:
    """Parts of the lines, with the first line of each; one if there are no more."""
    lines = matrix.shape[1 if matrix.column_major else 0]
    edges = [k * lines // count for k in range(count + 1)] if count > 1 else []
    made: list[tuple[int, StoredMatrix]] = []
    for first, last in itertools.pairwise(edges):
        part = matrix.part(slice(first, last))
        if part is None:
            return [(0, matrix)]
        made.append((first, part))
    return made or [(0, matrix)]


def _stripes(
    part: StoredMatrix,
    first: int,
    nbytes: int,
    stop: threading.Event,
    check: Callable[[], None],
) -> Iterator[Stripe]:
    """Stripes of a part, with rows and columns of the whole, until told to stop."""
    for rows, cols, block in part.stripes(nbytes):
        if stop.is_set():
            raise _Abandoned
        check()
        if part.column_major:
            cols = slice(cols.start + first, cols.stop + first)
        else:
            rows = slice(rows.start + first, rows.stop + first)
        yield rows, cols, block


def _await(others: Sequence[Future[Found]], check: Callable[[], None]) -> None:
    """Wait until all are done or one failed, asking now and then whether to go on."""
    while True:
        done, waiting = wait(others, _ASK_SECONDS, FIRST_EXCEPTION)
        if not waiting or any(other.exception() for other in done):
            return
        check()


def _raise_first(others: Sequence[Future[Found]]) -> None:
    failures = [error for other in others if (error := other.exception())]
    for error in failures:
        if not isinstance(error, _Abandoned):
            raise error


def _nothing() -> None:
    """Nobody asks."""
