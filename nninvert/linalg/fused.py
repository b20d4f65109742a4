"""Products with a matrix and its transpose that read the weights once for both.

Krylov methods for least squares need A v and then A^T of what came out. Where the weights
lie in rows, a stripe of rows gives its part of A v and, while it is still in the cache, its
share of A^T times that part; where they lie in columns, the same holds for A^T and A.
Either way one iteration is one pass over the weights, which counts where they are larger
than the cache and everything where they lie on a disk.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.map import DenseMap, LinearMap
from nninvert.linalg.passes import combined, over_stripes
from nninvert.linalg.stored import StoredMatrix, Stripe

Float64 = NDArray[np.float64]
Product = Callable[[Float64], Float64]
Blocks = Iterator[tuple[slice, Float64]]
Found = TypeVar("Found")


_FEW = 3
"""Up to so many vectors are multiplied one by one: a matrix product packs the weights
first, so that two took 1.5 times as long together."""


class PassInterrupted(Exception):
    """The work was asked to stop in the middle of a pass over the weights."""


class Pace:
    """Counts the passes over the weights and asks, during each, whether to go on.

    Parameters
    ----------
    should_stop : callable
    on_pass : callable, optional
        Told after every pass how many there were.

    Attributes
    ----------
    passes : int
    """

    def __init__(
        self,
        should_stop: Callable[[], bool],
        on_pass: Callable[[int], None] | None = None,
    ) -> None:
        self.should_stop, self._on_pass = should_stop, on_pass
        self.passes = 0

    def check(self) -> None:
        """Raise PassInterrupted if the work shall stop."""
        if self.should_stop():
            raise PassInterrupted

    def count(self) -> None:
        """Note the end of a pass."""
        self.passes += 1
        if self._on_pass is not None:
            self._on_pass(self.passes)


@dataclass(frozen=True, eq=False)
class Scaling:
    """R A C in place of A, R and C diagonal.

    Attributes
    ----------
    rows : float64 array, shape (m,), or None
        The diagonal of R; None for the identity.
    columns : float64 array, shape (n,), or None
        The diagonal of C; None for the identity.
    """

    rows: Float64 | None = None
    columns: Float64 | None = None

    @property
    def trivial(self) -> bool:
        """Whether both are the identity."""
        return self.rows is None and self.columns is None

    @property
    def transposed(self) -> Scaling:
        """The scaling of the transpose."""
        return Scaling(self.columns, self.rows)


class Products(ABC):
    """Products with A (m, n) for rows of vectors, any number of them at once.

    Attributes
    ----------
    shape : (int, int)
        (m, n).
    by_columns : bool
        Which pair of products `there_and_back` gives for one pass.
    pace : Pace
    """

    shape: tuple[int, int]
    by_columns: bool = False
    pace: Pace

    @abstractmethod
    def apply(self, x: Float64) -> Float64:
        """A x, (batch, n) to (batch, m)."""

    @abstractmethod
    def adjoint(self, y: Float64) -> Float64:
        """A^T y, (batch, m) to (batch, n)."""

    @abstractmethod
    def there_and_back(self, start: Float64, offset: Float64) -> tuple[Float64, Float64]:
        """Return t = B start - offset and B^T t; B is A, or A^T if `by_columns`.

        Parameters
        ----------
        start, offset : float64 arrays, (batch, columns of B) and (batch, rows of B)

        Raises
        ------
        PassInterrupted
            If the work shall stop before the pass is over.
        """


class MapProducts(Products):
    """Of any linear map: two products where another reads the weights once.

    Parameters
    ----------
    shape : (int, int)
    forward, backward : callable
        Rows of vectors times A^T, and times A: `LinearMap.apply` and `LinearMap.adjoint`.
    pace : Pace
        Asked before every product, each of which counts as a pass.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        forward: Product,
        backward: Product,
        pace: Pace,
    ) -> None:
        self.shape, self.pace = shape, pace
        self._forward, self._backward = forward, backward

    def apply(self, x: Float64) -> Float64:
        """Call `forward`."""
        return self._counted(self._forward, x)

    def adjoint(self, y: Float64) -> Float64:
        """Call `backward`."""
        return self._counted(self._backward, y)

    def there_and_back(self, start: Float64, offset: Float64) -> tuple[Float64, Float64]:
        """A start - offset, and A^T times that."""
        reached = self.apply(start) - offset
        return reached, self.adjoint(reached)

    def _counted(self, product: Product, values: Float64) -> Float64:
        self.pace.check()
        result = product(values)
        self.pace.count()
        return result


class StripedProducts(Products):
    """Of a stored matrix, read stripe by stripe in storage order.

    Parameters
    ----------
    matrix : StoredMatrix
    pace : Pace
        Asked at every stripe of the calling thread.
    scaling : Scaling, optional
        The products are those of the scaled matrix.
    """

    def __init__(
        self,
        matrix: StoredMatrix,
        pace: Pace,
        scaling: Scaling | None = None,
    ) -> None:
        self._matrix, self.pace = matrix, pace
        self.shape = matrix.shape
        self.by_columns = matrix.column_major
        used = scaling or Scaling()
        # Lines are what lies together in storage: rows, or columns.
        self._lines, self._across = (
            (used.columns, used.rows) if self.by_columns else (used.rows, used.columns)
        )

    def apply(self, x: Float64) -> Float64:
        """One pass."""
        return self._back(x) if self.by_columns else self._there(x)

    def adjoint(self, y: Float64) -> Float64:
        """One pass."""
        return self._there(y) if self.by_columns else self._back(y)

    def there_and_back(self, start: Float64, offset: Float64) -> tuple[Float64, Float64]:
        """Both products of one pass."""
        across = _scaled(start, self._across)
        reached = np.empty_like(offset)

        def take(blocks: Blocks) -> Float64:
            returned = np.zeros_like(start)
            for lines, block in blocks:
                part = _product(across, block.T)
                if self._lines is not None:
                    part *= self._lines[..., lines]
                part -= offset[:, lines]
                reached[:, lines] = part
                if self._lines is not None:
                    part *= self._lines[..., lines]
                returned += _product(part, block)
            return returned

        returned = combined(self._pass(take, len(start)))
        return reached, _scaled(returned, self._across)

    def _there(self, start: Float64) -> Float64:
        across = _scaled(start, self._across)
        reached = np.empty((len(start), self._matrix.shape[1 if self.by_columns else 0]))

        def take(blocks: Blocks) -> None:
            for lines, block in blocks:
                reached[:, lines] = _product(across, block.T)

        self._pass(take, len(start))
        return _scaled(reached, self._lines)

    def _back(self, values: Float64) -> Float64:
        along = _scaled(values, self._lines)
        shape = (len(values), self._matrix.shape[0 if self.by_columns else 1])

        def take(blocks: Blocks) -> Float64:
            returned = np.zeros(shape)
            for lines, block in blocks:
                returned += _product(along[:, lines], block)
            return returned

        return _scaled(combined(self._pass(take, len(values))), self._across)

    def _pass(self, take: Callable[[Blocks], Found], batch: int) -> list[Found]:
        """One pass; `take` gets lines and the blocks of them, one line in each row."""

        def work(stripes: Iterator[Stripe]) -> Found:
            return take(
                (columns, block.T) if self.by_columns else (rows, block)
                for rows, columns, block in stripes
            )

        found = over_stripes(self._matrix, work, batch, self.pace.check)
        self.pace.count()
        return found


def products_of(linear_map: LinearMap, pace: Pace) -> Products:
    """The cheapest products there are with a map."""
    if isinstance(linear_map, DenseMap):
        return StripedProducts(linear_map.matrix, pace)
    return MapProducts(linear_map.shape, linear_map.apply, linear_map.adjoint, pace)


def products_of_transpose(linear_map: LinearMap, pace: Pace) -> Products:
    """The cheapest products there are with the transpose of a map."""
    if isinstance(linear_map, DenseMap):
        return StripedProducts(linear_map.matrix.transposed, pace)
    m, n = linear_map.shape
    return MapProducts((n, m), linear_map.adjoint, linear_map.apply, pace)


def gram_of(linear_map: LinearMap) -> Product:
    """Rows x to A^T A x; to A A^T x where that takes one pass and the other does not.

    Both have the same singular values. A map that keeps a copy in float64 multiplies
    twice by that.
    """
    matrix = linear_map.matrix if isinstance(linear_map, DenseMap) else None
    if matrix is None or 8 * math.prod(matrix.shape) <= tolerances.SMALL_WEIGHTS:
        return lambda x: linear_map.adjoint(linear_map.apply(x))
    products = StripedProducts(matrix, Pace(lambda: False))
    width = matrix.shape[1 if matrix.column_major else 0]
    return lambda x: products.there_and_back(x, np.zeros((len(x), width)))[1]


def _product(vectors: Float64, block: Float64) -> Float64:
    if not 0 < len(vectors) <= _FEW:
        return vectors @ block
    return np.stack([vector @ block for vector in vectors])


def _scaled(values: Float64, scale: Float64 | None) -> Float64:
    return values if scale is None else values * scale
