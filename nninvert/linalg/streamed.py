"""Products with matrices that are streamed from where they are stored.

Rows of vectors times A^T, from one pass over the weights in storage order. The transpose
of a stored matrix is a stored matrix, too, so that this serves products with A as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert import tolerances
from nninvert.linalg.stored import StoredMatrix

Float64 = NDArray[np.float64]

_PRODUCT_BYTES = 16 * 2**20
"""Most bytes of a partial product: it is added to the sum and forgotten."""


def product(matrix: StoredMatrix, x: Float64) -> Float64:
    """Return A x for each row, (batch, n) to (batch, m)."""
    total = np.zeros((len(x), matrix.shape[0]))
    for rows, cols, block in matrix.stripes(stripe_bytes(len(x))):
        _add(total[:, rows], x[:, cols], block)
    return total


def magnitude(matrix: StoredMatrix, x: Float64) -> Float64:
    """Return |A| |x| for each row; see `product_with_magnitude` for its precision."""
    sizes = _Sizes(matrix, x, _enough(matrix))
    for rows, cols, block in matrix.stripes(stripe_bytes(len(x))):
        sizes.add(rows, cols, block)
    return sizes.total if sizes.usable else _magnitude_in_float64(matrix, x)


def product_with_magnitude(matrix: StoredMatrix, x: Float64) -> tuple[Float64, Float64]:
    """Return A x and |A| |x| for each row, from one pass.

    The second is computed in float32 unless the weights are float64: its relative error
    is about 1e-5, and terms that are 1e-38 of the largest do not count. It sets
    tolerances and error bounds, which are no more precise.
    """
    total = np.zeros((len(x), matrix.shape[0]))
    sizes = _Sizes(matrix, x, _enough(matrix))
    for rows, cols, block in matrix.stripes(stripe_bytes(len(x))):
        _add(total[:, rows], x[:, cols], block)
        sizes.add(rows, cols, block)
    if sizes.usable:
        return total, sizes.total
    return total, _magnitude_in_float64(matrix, x)


def stripe_bytes(batch: int) -> int:
    """Bytes of float64 in stripes that are multiplied by `batch` vectors.

    Few vectors use each number so seldom that it has to stay in the cache; from about a
    hundred on, the products are faster the larger they are.
    """
    return min(tolerances.BLOCK_BYTES, tolerances.STRIPE_BYTES * max(1, batch // 8))


class _Sizes:
    """The sum of |A| |x|, stripe by stripe.

    Attributes
    ----------
    total : float64 array, shape (batch, m)
    """

    def __init__(self, matrix: StoredMatrix, x: Float64, dtype: DTypeLike) -> None:
        self._by_columns, self._dtype = matrix.column_major, np.dtype(dtype)
        size = np.abs(x)
        # Powers of two scale without rounding.
        exponents = np.frexp(size.max(axis=1, initial=0.0))[1][:, None]
        self._sizes = np.ldexp(size, -exponents).astype(self._dtype)
        self._exponents = exponents
        self._scratch: NDArray[np.floating] | None = None
        self._sum = np.zeros((len(x), matrix.shape[0]))

    def add(self, rows: slice, cols: slice, block: Float64) -> None:
        """Take a stripe into account."""
        lines = block.T if self._by_columns else block
        if self._scratch is None:  # the first stripe is the largest
            self._scratch = np.empty(lines.shape, self._dtype)
        positive = self._scratch[: len(lines)]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            np.copyto(positive, lines, casting="same_kind")
            np.abs(positive, out=positive)
            positive = positive.T if self._by_columns else positive
            _add(self._sum[:, rows], self._sizes[:, cols], positive)

    @property
    def usable(self) -> bool:
        """Whether nothing was too large for the type."""
        return self._dtype == np.float64 or bool(np.isfinite(self._sum).all())

    @property
    def total(self) -> Float64:
        found: Float64 = np.ldexp(self._sum, self._exponents)
        return found


def _enough(matrix: StoredMatrix) -> DTypeLike:
    """The type in which sizes are summed: one that holds every weight."""
    return np.float64 if matrix.dtype == np.float64 else np.float32


def _magnitude_in_float64(matrix: StoredMatrix, x: Float64) -> Float64:
    sizes = _Sizes(matrix, x, np.float64)
    for rows, cols, block in matrix.stripes(stripe_bytes(len(x))):
        sizes.add(rows, cols, block)
    return sizes.total


def _add(total: Float64, x: NDArray[np.floating], block: NDArray[np.floating]) -> None:
    """Add x times the transpose of a block, a few rows at a time."""
    step = max(1, _PRODUCT_BYTES // max(1, 8 * block.shape[0]))
    for start in range(0, len(x), step):
        total[start : start + step] += x[start : start + step] @ block.T
