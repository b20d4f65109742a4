"""Which of many answers are different ones, and which of these lie far apart.

Answers that a search ends at differ by what their tolerance leaves open. To first order
the x that meet the target around an answer are those with |J (x' - x)| <= tol in every
output: a region that is bounded in the row space of J and unbounded in its kernel. Two
answers count as one where each lies in the other's region, and no farther along its kernel
than the region is wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

REACH = 4.0
"""Regions are taken this many times as large: twice, as each of the two answers may lie on
one side of the target; twice again, for what the first order leaves out."""


def spread_out(
    x: Float64, jacobian: Float64, rounding: Float64, preferred: Mask, first: int
) -> NDArray[np.int64]:
    """Indices of distinct answers, each the farthest from all before it.

    Farthest-point traversal: the first k are spread out at least half as well as any k
    (T. F. Gonzalez, Theor. Comput. Sci. 38, 293-306, 1985).

    Parameters
    ----------
    x : float64 array, shape (c, n)
        Answers to one target, in units in which inputs can be compared.
    jacobian : float64 array, shape (c, m, n)
        At each, of the outputs in their tolerances by the inputs in these units; NaN
        where it is not known: then the other one's decides.
    rounding : float64 array, shape (c,)
        How far rounding may have moved each.
    preferred : bool array, shape (c,)
        These come before all others.
    first : int
        Where to begin.
    """
    regions = _Regions.of(jacobian, rounding)
    nearest = np.full(len(x), np.inf)
    left = np.ones(len(x), dtype=np.bool_)
    order, new = [], first
    while True:
        order.append(new)
        step = x - x[new]
        nearest = np.minimum(nearest, np.linalg.norm(step, axis=1))
        left &= ~regions.joined(new, step)
        left[new] = False
        if not left.any():
            return np.array(order, dtype=np.int64)
        pool = left & preferred if (left & preferred).any() else left
        new = int(np.argmax(np.where(pool, nearest, -1.0)))


@dataclass(frozen=True)
class _Regions:
    """Around each answer, the x that its tolerance does not tell from it.

    Attributes
    ----------
    jacobian : float64 array, shape (c, m, n)
    row_space : float64 array, shape (c, k, n)
        Orthonormal rows, then rows of zeros.
    width : float64 array, shape (c,)
        How far the region reaches in the row space.
    """

    jacobian: Float64
    row_space: Float64
    width: Float64

    @classmethod
    def of(cls, jacobian: Float64, rounding: Float64) -> _Regions:
        known = np.asarray(np.isfinite(jacobian).all(axis=(1, 2)))
        filled = np.where(known[:, None, None], jacobian, 0.0)
        left, values, rows = np.linalg.svd(filled, full_matrices=False)
        largest = values[:, :1] if values.size else np.zeros((len(values), 1))
        floor = max(jacobian.shape[1:]) * tolerances.EPS64 * largest
        counted = values > floor
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=counted)
        rows = rows * counted[:, :, None]
        # |J^+| 1: how far each input may move while no output moves by more than its tol.
        moved = np.abs(np.einsum("ckn,ck,cmk->cnm", rows, inverse, left)).sum(axis=2)
        width = np.linalg.norm(moved, axis=1) + rounding
        return cls(filled, rows, np.where(known, width, np.inf))

    def joined(self, new: int, step: Float64) -> Mask:
        """Which answers, at these steps from one of them, are the same as it."""
        return self._seen_from_one(new, step) & self._seen_from_each(step)

    def _seen_from_one(self, new: int, step: Float64) -> Mask:
        inside = (np.abs(step @ self.jacobian[new].T) <= REACH).all(axis=1)
        rows = self.row_space[new]
        along = np.linalg.norm(step - (step @ rows.T) @ rows, axis=1)
        return np.asarray(inside & (along <= REACH * self.width[new]))

    def _seen_from_each(self, step: Float64) -> Mask:
        changes = np.einsum("cmn,cn->cm", self.jacobian, step)
        inside = (np.abs(changes) <= REACH).all(axis=1)
        within = np.einsum("ckn,cn->ck", self.row_space, step)
        along = step - np.einsum("ck,ckn->cn", within, self.row_space)
        size = np.linalg.norm(along, axis=1)
        return np.asarray(inside & (size <= REACH * self.width))
