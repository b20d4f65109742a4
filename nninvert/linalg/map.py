"""Linear maps: what can be applied, applied backwards and turned into a matrix.

All maps act on rows: ``apply(X)`` takes (..., n) and gives (..., m) with
``apply(x) = A x`` for each row x. The orientation is A (m, n) = (n_out, n_in) throughout;
a Keras kernel (n_in, n_out) enters as its transpose.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg import streamed
from nninvert.linalg.stored import StoredMatrix

Float64 = NDArray[np.float64]


class LinearMap(ABC):
    """A linear map from R^n to R^m.

    Attributes
    ----------
    shape : (int, int)
        (m, n) = (n_out, n_in).
    """

    shape: tuple[int, int]

    @abstractmethod
    def apply(self, x: Float64) -> Float64:
        """Map (..., n) to (..., m)."""

    @abstractmethod
    def adjoint(self, y: Float64) -> Float64:
        """Map (..., m) to (..., n) by the transpose."""

    @abstractmethod
    def magnitude(self, x: Float64) -> Float64:
        """Sum the sizes of the terms of each output: |A| |x|, (..., n) to (..., m).

        For compositions, what is summed on the way counts, too.
        """

    def apply_with_magnitude(self, x: Float64) -> tuple[Float64, Float64]:
        """Return `apply` and `magnitude`, from one pass over the weights where it can."""
        return self.apply(x), self.magnitude(x)

    @property
    @abstractmethod
    def key(self) -> tuple[str, ...]:
        """What identifies the map in a `FactorStore`."""

    def dense(self) -> Float64:
        """The matrix, float64, shape (m, n)."""
        return self.adjoint(np.eye(self.shape[0]))

    @property
    def terms(self) -> int:
        """How many products are summed in one output, at most."""
        return self.shape[1]

    @property
    def stored_eps(self) -> float:
        """Spacing at 1 of the type the entries are stored in."""
        return tolerances.EPS64


class IdentityMap(LinearMap):
    """The identity on R^n."""

    def __init__(self, n: int) -> None:
        self.shape = (n, n)

    def apply(self, x: Float64) -> Float64:
        """Return x itself."""
        return x

    def adjoint(self, y: Float64) -> Float64:
        """Return y itself."""
        return y

    def magnitude(self, x: Float64) -> Float64:
        """Return |x|."""
        return np.abs(x)

    @property
    def key(self) -> tuple[str, ...]:
        """Kind and size."""
        return ("identity", str(self.shape[0]))


class PermutationMap(LinearMap):
    """``y[i] = x[order[i]]``: Permute, channels-first Flatten and their like.

    Parameters
    ----------
    order : int array, shape (n,)
        A permutation of 0..n-1.
    """

    def __init__(self, order: NDArray[np.int64]) -> None:
        self.order = order
        self.inverse_order = np.argsort(order)
        self.shape = (order.size, order.size)

    def apply(self, x: Float64) -> Float64:
        """Reorder the last axis."""
        return x[..., self.order]

    def adjoint(self, y: Float64) -> Float64:
        """Reorder the last axis back."""
        return y[..., self.inverse_order]

    def magnitude(self, x: Float64) -> Float64:
        """Reorder |x|."""
        return np.abs(x[..., self.order])

    @property
    def key(self) -> tuple[str, ...]:
        """Kind and a digest of the order."""
        return ("permutation", hashlib.sha256(self.order.tobytes()).hexdigest())


class DiagonalMap(LinearMap):
    """``y = d * x``: normalisation and scaling.

    Parameters
    ----------
    diagonal : float64 array, shape (n,)
    eps : float, default that of float64
        Spacing at 1 of the type the diagonal came from.
    """

    def __init__(self, diagonal: Float64, eps: float = tolerances.EPS64) -> None:
        self.diagonal = diagonal
        self.shape = (diagonal.size, diagonal.size)
        self._eps = eps

    def apply(self, x: Float64) -> Float64:
        """Scale the last axis."""
        return x * self.diagonal

    def adjoint(self, y: Float64) -> Float64:
        """Scale the last axis."""
        return y * self.diagonal

    def magnitude(self, x: Float64) -> Float64:
        """Scale |x| by |d|."""
        return np.abs(x * self.diagonal)

    @property
    def key(self) -> tuple[str, ...]:
        """Kind, spacing and a digest of the diagonal."""
        digest = hashlib.sha256(self.diagonal.tobytes()).hexdigest()
        return ("diagonal", str(self._eps), digest)

    @property
    def stored_eps(self) -> float:
        """As given."""
        return self._eps


class DenseMap(LinearMap):
    """A stored matrix A (m, n).

    A matrix of at most `tolerances.SMALL_WEIGHTS` bytes in float64 keeps one such copy;
    larger ones are cast block by block at each use.
    """

    def __init__(self, matrix: StoredMatrix) -> None:
        self.matrix = matrix
        self.shape = matrix.shape

    @property
    def transposed(self) -> DenseMap:
        """The transpose, over the same weights."""
        return DenseMap(self.matrix.transposed)

    @cached_property
    def _copy(self) -> Float64 | None:
        small = 8 * math.prod(self.shape) <= tolerances.SMALL_WEIGHTS
        return self.matrix.to_float64() if small else None

    def apply(self, x: Float64) -> Float64:
        """Multiply in float64."""
        if self._copy is not None:
            return x @ self._copy.T
        return _on_rows(streamed.product(self.matrix, _flat(x)), x)

    def adjoint(self, y: Float64) -> Float64:
        """Multiply by the transpose in float64."""
        if self._copy is not None:
            return y @ self._copy
        return _on_rows(streamed.product(self.matrix.transposed, _flat(y)), y)

    def magnitude(self, x: Float64) -> Float64:
        """Multiply |x| by |A|; in float32 where no copy is kept, see `streamed`."""
        if self._copy is not None:
            return np.abs(x) @ np.abs(self._copy).T
        return _on_rows(streamed.magnitude(self.matrix, _flat(x)), x)

    def apply_with_magnitude(self, x: Float64) -> tuple[Float64, Float64]:
        """Return both from one pass over the weights."""
        if self._copy is not None:
            return super().apply_with_magnitude(x)
        y, terms = streamed.product_with_magnitude(self.matrix, _flat(x))
        return _on_rows(y, x), _on_rows(terms, x)

    def dense(self) -> Float64:
        """The matrix in float64; read-only where it is the kept copy."""
        return self._copy if self._copy is not None else self.matrix.to_float64()

    @property
    def key(self) -> tuple[str, ...]:
        """Kind and the identity of the matrix."""
        return ("dense", *self.matrix.identity)

    @property
    def stored_eps(self) -> float:
        """That of the stored type."""
        return self.matrix.stored_eps


class RepeatedMap(LinearMap):
    """The same map on each of `repeats` consecutive pieces: Dense on the last axis."""

    def __init__(self, base: LinearMap, repeats: int) -> None:
        self.base, self.repeats = base, repeats
        self.shape = (base.shape[0] * repeats, base.shape[1] * repeats)

    def apply(self, x: Float64) -> Float64:
        """Apply the base to each piece."""
        return self.joined(self.base.apply(self.pieces(x)))

    def adjoint(self, y: Float64) -> Float64:
        """Apply the base's transpose to each piece."""
        return self.joined(self.base.adjoint(self.pieces(y)))

    def magnitude(self, x: Float64) -> Float64:
        """Apply |base| to each piece of |x|."""
        return self.joined(self.base.magnitude(self.pieces(x)))

    def apply_with_magnitude(self, x: Float64) -> tuple[Float64, Float64]:
        """Apply the base and |base| to each piece."""
        y, terms = self.base.apply_with_magnitude(self.pieces(x))
        return self.joined(y), self.joined(terms)

    def pieces(self, x: Float64) -> Float64:
        """Split the last axis: (..., k repeats) to (..., repeats, k)."""
        return x.reshape(*x.shape[:-1], self.repeats, x.shape[-1] // self.repeats)

    def joined(self, pieces: Float64) -> Float64:
        """Undo `pieces`."""
        return pieces.reshape(*pieces.shape[:-2], -1)

    @property
    def terms(self) -> int:
        """That of the base."""
        return self.base.terms

    @property
    def key(self) -> tuple[str, ...]:
        """Key of the base and the count."""
        return ("repeated", str(self.repeats), *self.base.key)

    @property
    def stored_eps(self) -> float:
        """That of the base."""
        return self.base.stored_eps


class ComposedMap(LinearMap):
    """Maps applied one after the other, the first one first.

    Parameters
    ----------
    parts : sequence of LinearMap
        At least one; shapes chain.
    """

    def __init__(self, parts: Sequence[LinearMap]) -> None:
        self.parts = tuple(parts)
        self.shape = (self.parts[-1].shape[0], self.parts[0].shape[1])

    def apply(self, x: Float64) -> Float64:
        """Apply the parts in order."""
        for part in self.parts:
            x = part.apply(x)
        return x

    def adjoint(self, y: Float64) -> Float64:
        """Apply the transposes in reverse order."""
        for part in reversed(self.parts):
            y = part.adjoint(y)
        return y

    def magnitude(self, x: Float64) -> Float64:
        """Sum the sizes of all products on the way; not less than |A| |x|."""
        for part in self.parts:
            x = part.magnitude(x)
        return x

    @property
    def terms(self) -> int:
        """The most of a single step."""
        return max(part.terms for part in self.parts)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Keys of all parts."""
        return ("composed", *(word for part in self.parts for word in part.key))

    @property
    def stored_eps(self) -> float:
        """The coarsest of the parts."""
        return max(part.stored_eps for part in self.parts)


def _flat(x: Float64) -> Float64:
    """All leading axes as one."""
    return x.reshape(-1, x.shape[-1])


def _on_rows(found: Float64, x: Float64) -> Float64:
    """Give flat rows the leading axes of x back."""
    return found.reshape(*x.shape[:-1], found.shape[-1])


def compose(parts: Sequence[LinearMap]) -> LinearMap:
    """Compose maps, leaving out identities; one part stays itself."""
    flat: list[LinearMap] = []
    for part in parts:
        flat += part.parts if isinstance(part, ComposedMap) else [part]
    kept = [part for part in flat if not isinstance(part, IdentityMap)]
    if not kept:
        return IdentityMap(parts[0].shape[1])
    return kept[0] if len(kept) == 1 else ComposedMap(kept)
