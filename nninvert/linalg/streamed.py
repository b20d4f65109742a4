"""Products with matrices that are streamed from where they are stored.

Rows of vectors times A^T, from one pass over the weights in storage order. The transpose
of a stored matrix is a stored matrix, too, so that this serves products with A as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.passes import combined, leaves_blas_its_threads, over_stripes
from nninvert.linalg.row_blocks import row_blocks
from nninvert.linalg.stored import StoredMatrix, Stripe

Float64 = NDArray[np.float64]
Sum = NDArray[Any]
"""Of float64, or of the type of what is added."""

Add = Callable[[Sum, Sum, Sum], None]
"""Takes a sum, rows x and a block: x times the transpose of the block comes to the sum."""

_PRODUCT_BYTES = 16 * 2**20
"""Most bytes of a partial product: it is added to the sum and forgotten."""


def product(matrix: StoredMatrix, x: Float64) -> Float64:
    """Return A x for each row, (batch, n) to (batch, m)."""
    x = np.ascontiguousarray(x)
    total, add = _Total(matrix, len(x)), _adder(matrix, len(x), np.dtype(np.float64))

    def work(stripes: Iterator[Stripe]) -> Sum:
        share = total.share()
        for rows, cols, block in stripes:
            add(share[:, rows], x[:, cols], block)
        return share

    return combined(over_stripes(matrix, work, len(x)))


def magnitude(matrix: StoredMatrix, x: Float64) -> Float64:
    """Return |A| |x| for each row; see `product_with_magnitude` for its precision."""
    sizes = _Sizes(matrix, x, _enough(matrix))
    found = combined(over_stripes(matrix, sizes.sum, len(x)))
    return sizes.scaled(found) if sizes.usable(found) else _magnitude_in_float64(matrix, x)


def product_with_magnitude(matrix: StoredMatrix, x: Float64) -> tuple[Float64, Float64]:
    """Return A x and |A| |x| for each row, from one pass.

    The second is computed in float32 unless the weights are float64: its relative error
    is about 1e-5, and terms that are 1e-38 of the largest do not count. It sets
    tolerances and error bounds, which are no more precise.
    """
    x = np.ascontiguousarray(x)
    total, add = _Total(matrix, len(x)), _adder(matrix, len(x), np.dtype(np.float64))
    sizes = _Sizes(matrix, x, _enough(matrix))

    def work(stripes: Iterator[Stripe]) -> tuple[Sum, Sum]:
        share = total.share()

        def added() -> Iterator[Stripe]:
            for rows, cols, block in stripes:
                add(share[:, rows], x[:, cols], block)
                yield rows, cols, block

        return share, sizes.sum(added())

    parts = over_stripes(matrix, work, len(x))
    product = combined([part[0] for part in parts])
    found = combined([part[1] for part in parts])
    if sizes.usable(found):
        return product, sizes.scaled(found)
    return product, _magnitude_in_float64(matrix, x)


class _Total:
    """A sum to which the parts of a pass add.

    Where the matrix lies in rows, each part has rows of the result for itself; else each
    adds up a sum of its own.
    """

    def __init__(
        self, matrix: StoredMatrix, batch: int, dtype: DTypeLike = np.float64
    ) -> None:
        self._shape, self._dtype = (batch, matrix.shape[0]), dtype
        self._whole = None if matrix.column_major else self._zeros()

    def _zeros(self) -> Sum:
        return np.zeros(self._shape, self._dtype)

    def share(self) -> Sum:
        """Where the next part adds."""
        return self._zeros() if self._whole is None else self._whole


class _Sizes:
    """The sum of |A| |x|, in a type that may be shorter than float64.

    Sums of a few vectors are in float64 beyond a stripe. Those of many are long in coming
    from memory, and stay in the type of the stripes.
    """

    def __init__(self, matrix: StoredMatrix, x: Float64, dtype: DTypeLike) -> None:
        self._by_columns, self._dtype = matrix.column_major, np.dtype(dtype)
        # Powers of two scale without rounding.
        self._exponents = np.empty((len(x), 1), np.int32)
        self._sizes = np.empty(x.shape, self._dtype)
        for part in row_blocks(x.shape):
            size = np.abs(x[part])
            exponents = np.frexp(size.max(axis=1, initial=0.0))[1][:, None]
            self._sizes[part] = np.ldexp(size, -exponents)
            self._exponents[part] = exponents
        many = leaves_blas_its_threads(matrix, len(x))
        self._total = _Total(matrix, len(x), self._dtype if many else np.float64)
        self._add = _adder(matrix, len(x), self._dtype)

    def sum(self, stripes: Iterator[Stripe]) -> Sum:
        """Take the stripes of a part into account."""
        share = self._total.share()
        scratch: Sum | None = None
        for rows, cols, block in stripes:
            lines = block.T if self._by_columns else block
            if scratch is None:  # the first stripe is the largest
                scratch = np.empty(lines.shape, self._dtype)
            positive = scratch[: len(lines)]
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.copyto(positive, lines, casting="same_kind")
                np.abs(positive, out=positive)
                positive = positive.T if self._by_columns else positive
                self._add(share[:, rows], self._sizes[:, cols], positive)
        return share

    def usable(self, total: Sum) -> bool:
        """Whether nothing was too large for the type."""
        return self._dtype == np.float64 or bool(np.isfinite(total).all())

    def scaled(self, total: Sum) -> Float64:
        """What the sum of all parts amounts to."""
        found = np.empty(total.shape)
        for part in row_blocks(total.shape):
            wide = total[part].astype(np.float64, copy=False)
            np.ldexp(wide, self._exponents[part], out=found[part])
        return found


def _enough(matrix: StoredMatrix) -> DTypeLike:
    """The type in which sizes are summed: one that holds every weight."""
    return np.float64 if matrix.dtype == np.float64 else np.float32


def _magnitude_in_float64(matrix: StoredMatrix, x: Float64) -> Float64:
    sizes = _Sizes(matrix, x, np.float64)
    return sizes.scaled(combined(over_stripes(matrix, sizes.sum, len(x))))


def _adder(matrix: StoredMatrix, batch: int, dtype: np.dtype[Any]) -> Add:
    """BLAS adds to the sum where it lies, if all its threads are free for that.

    Products of many vectors with a stripe are larger than the stripe: to write them down
    and to add them then takes half as long as to compute them.
    """
    if not leaves_blas_its_threads(matrix, batch):
        return _add
    kernels = LapackKernels(dtype)

    def add(total: Sum, x: Sum, block: Sum) -> None:
        if not block.flags.forc:
            block = np.ascontiguousarray(block)
        lying = block.flags.c_contiguous
        kernels.add(block.T if lying else block, x.T, total.T, transposed=lying)

    return add


def _add(total: Sum, x: Sum, block: Sum) -> None:
    """Add x times the transpose of a block, a few rows at a time."""
    step = max(1, _PRODUCT_BYTES // max(1, 8 * block.shape[0]))
    for start in range(0, len(x), step):
        total[start : start + step] += x[start : start + step] @ block.T
