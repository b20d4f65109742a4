"""Maps whose values count up to constants: what stands before a softmax.

With P the projection that subtracts from each group of units their mean, and E its kernel,
the constants of the groups, ``P A x = P y`` means ``A x = y + E c`` for any c: the
constants are further unknowns. The factorisation of A serves for these as well.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]

DETERMINED = 1e-4
"""A constant counts as determined by the equations if a change of it leaves at least this
part of itself as a residual. The solutions then have four digits less than those of A; a
constant that is determined worse is treated as free, which claims less."""


class CentringMap(LinearMap):
    """Subtract from the units of each group their mean: an orthogonal projection.

    Parameters
    ----------
    shape : tuple of int
        Of the units, without the batch.
    axes : tuple of int
        From 0: along which a group extends.
    """

    def __init__(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        self._units = shape
        self._axes = tuple(axis - len(shape) for axis in axes)
        n = math.prod(shape)
        self.shape = (n, n)
        self.group_size = math.prod(shape[axis] for axis in axes)

    def apply(self, x: Float64) -> Float64:
        """Subtract the means."""
        return self._less_means(x, -1.0)

    def adjoint(self, y: Float64) -> Float64:
        """The same."""
        return self._less_means(y, -1.0)

    def magnitude(self, x: Float64) -> Float64:
        """Sizes of the units and of their means added up."""
        return self._less_means(np.abs(x), 1.0)

    def _less_means(self, x: Float64, sign: float) -> Float64:
        units = x.reshape(*x.shape[:-1], *self._units)
        mean = units.mean(axis=self._axes, keepdims=True)
        return np.asarray((units + sign * mean).reshape(x.shape))

    @property
    def key(self) -> tuple[str, ...]:
        """Kind, shape and axes."""
        return ("centring", str(self._units), str(self._axes))

    def of_block(self, count: int) -> CentringMap | None:
        """The same for one of `count` equal blocks of neighbours; None if groups cross."""
        passed = 1
        for place, length in enumerate(self._units):
            if passed == count:
                axes = tuple(axis + len(self._units) - place for axis in self._axes)
                return CentringMap(self._units[place:], axes) if min(axes) >= 0 else None
            passed *= length
        return None

    @property
    def constants(self) -> Float64:
        """E^T: for each group a row of ones at its units, shape (groups, n)."""
        n = self.shape[0]
        groups = n // self.group_size
        inside = tuple(range(-len(self._axes), 0))
        units = np.moveaxis(np.arange(n).reshape(self._units), self._axes, inside)
        found = np.zeros((groups, n))
        found[np.arange(groups)[:, None], units.reshape(groups, -1)] = 1.0
        return found


class CentredFactor(Factorisation):
    """Of P A, from a factorisation of A: solve with y + E c, where c = K y.

    c is that of the least residual of ``A x = y + E c``; where several do, that of the
    smallest x, which together is the least-squares solution of minimum norm.

    Parameters
    ----------
    linear_map : LinearMap
        P A, shape (m, n).
    base : Factorisation
        Of A.
    residual : float64 array, shape (groups, m)
        What A does not reach of each constant: rows of ``E^T - (A A^+ E)^T``.
    centring : CentringMap
        P.
    """

    def __init__(
        self,
        linear_map: LinearMap,
        base: Factorisation,
        residual: Float64,
        centring: CentringMap,
    ) -> None:
        self._map, self._base = linear_map, base
        self._constants = centring.constants
        u, s, vt = np.linalg.svd(residual, full_matrices=False)
        # Constants of a group have the length sqrt(group size).
        sure = int(np.count_nonzero(s > DETERMINED * math.sqrt(centring.group_size)))
        determined: Float64 = -(u[:, :sure] / s[:sure]) @ vt[:sure]
        self._shift: Float64 = determined + self._freely(u[:, sure:], determined)
        self.shape = linear_map.shape
        self.rank = base.rank - (len(residual) - sure)
        self.nbytes = base.nbytes + self._shift.nbytes + self._constants.nbytes
        self.reason = f"{base.reason}, values up to a constant"

    def _freely(self, free: Float64, determined: Float64) -> Float64:
        """What is added to K for constants that the equations leave open."""
        if not free.shape[1]:
            return np.zeros_like(determined)
        origins = self._base.solve(free.T @ self._constants)
        # Rows of A^+ E V; its pseudo-inverse, taken behind A^+, gives the smallest x.
        inverse = np.linalg.pinv(origins).astype(np.float64, copy=False)
        back = self._base.solve_transposed(inverse.T)
        added: Float64 = -free @ (back + (back @ self._constants.T) @ determined)
        return added

    def _shifted(self, y: Float64) -> Float64:
        return np.asarray(y + (y @ self._shift.T) @ self._constants)

    def solve(self, y: Float64) -> Float64:
        """Choose the constants, then solve."""
        return self._base.solve(self._shifted(y))

    def solve_roughly(self, y: Float64) -> Float64:
        """Choose the constants, then solve roughly."""
        return self._base.solve_roughly(self._shifted(y))

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve, then apply the transpose of the choice."""
        y = self._base.solve_transposed(x)
        return y + (y @ self._constants.T) @ self._shift

    def spectrum(self) -> Spectrum:
        """All singular values, by SVD; the rank as it is used here."""
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        found = condition.dense_spectrum(self._map.dense(), self._map.stored_eps)
        return condition.with_rank(found, self.rank)

    def spread(self, radius: Float64) -> Float64:
        """That of A, for the radius and what it moves the constants by."""
        moved = (radius @ np.abs(self._shift).T) @ self._constants
        return self._base.spread(radius + moved)


def factor_centred(
    linear_map: LinearMap, before: LinearMap, base: Factorisation, centring: CentringMap
) -> CentredFactor:
    """The factorisation of P A from that of A, called `before`."""
    constants = centring.constants
    residual = np.zeros_like(constants)
    if not base.onto:
        residual = constants - before.apply(base.solve(constants))
    return CentredFactor(linear_map, base, residual, centring)
