"""Planes below and above a network over many small boxes at once, and what they exclude."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp.chain import Affine, Chain, Hidden
from nninvert.methods.milp.relaxation import Lines, Range

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDS = 3
"""How often every inequality is applied to every box: more hardly shrink it further."""

ROUNDING = 1e-9
"""Boxes are cut this much, relative to their size, outside of where the planes cut."""


@dataclass(frozen=True)
class Planes:
    """``low @ v + low_offset <= f(v) <= high @ v + high_offset`` on each of k boxes.

    Attributes
    ----------
    low, high : float64 arrays, shape (width, k, n)
    low_offset, high_offset : float64 arrays, shape (width, k)
    """

    low: Float64
    low_offset: Float64
    high: Float64
    high_offset: Float64

    @classmethod
    def over(
        cls, chain: Chain, boxes: tuple[Float64, Float64]
    ) -> tuple[Planes, NDArray[np.int64]]:
        """Carry planes through a chain; how many units stay undecided in each box.

        Parameters
        ----------
        chain : Chain
        boxes : pair of float64 arrays, shape (k, n)
            Lower and upper corners.
        """
        count, n = boxes[0].shape
        eye = np.repeat(np.eye(n)[:, None, :], count, axis=1)
        found = cls(eye, np.zeros((n, count)), eye, np.zeros((n, count)))
        undecided = np.zeros(count, dtype=np.int64)
        for layer in chain.hidden:
            found = found.through(layer.affine)
            found, bent = found.bent(layer, boxes)
            undecided += bent
        return found.through(chain.last), undecided

    def through(self, affine: Affine) -> Planes:
        """The planes behind an affine map."""
        rising, falling = np.maximum(affine.matrix, 0.0), np.minimum(affine.matrix, 0.0)
        bias = affine.bias[:, None]
        return Planes(
            _product(rising, self.low) + _product(falling, self.high),
            rising @ self.low_offset + falling @ self.high_offset + bias,
            _product(rising, self.high) + _product(falling, self.low),
            rising @ self.high_offset + falling @ self.low_offset + bias,
        )

    def bent(
        self, layer: Hidden, boxes: tuple[Float64, Float64]
    ) -> tuple[Planes, NDArray[np.int64]]:
        """The planes behind an activation, and the breaks that each box leaves open."""
        pieces = layer.pieces
        least, below = _extremes(self.low, self.low_offset, boxes)
        above, most = _extremes(self.high, self.high_offset, boxes)
        if (pieces.slopes >= 0.0).all():
            # What never falls maps the lower plane below, the upper one above.
            under = Lines.around(pieces, Range(least, below))
            over = Lines.around(pieces, Range(above, most))
        else:
            under = over = Lines.around(pieces, Range(least, most))
        made = self._scaled(
            under.low_slope.T, under.low_offset.T, over.high_slope.T, over.high_offset.T
        )
        breaks = pieces.breaks[:, None, None]
        inside = (least < breaks) & (breaks < most)
        return made, inside.sum(axis=(0, 2))

    def _scaled(
        self, low: Float64, low_offset: Float64, high: Float64, high_offset: Float64
    ) -> Planes:
        """Behind ``low z + low_offset <= a <= high z + high_offset``, shape (width, k)."""
        return Planes(
            np.where((low >= 0.0)[..., None], self.low, self.high) * low[..., None],
            np.where(low >= 0.0, self.low_offset, self.high_offset) * low + low_offset,
            np.where((high >= 0.0)[..., None], self.high, self.low) * high[..., None],
            np.where(high >= 0.0, self.high_offset, self.low_offset) * high + high_offset,
        )

    def combined(self) -> tuple[Planes, Float64]:
        """Planes of combinations of the outputs that depend on one input each.

        Nearly: the pseudo-inverse of the slope in the middle, a combination for each box.
        Also these weights, shape (k, n, width).
        """
        slope = (0.5 * (self.low + self.high)).transpose(1, 0, 2)
        weights: Float64 = np.asarray(np.linalg.pinv(slope), dtype=np.float64)
        rising, falling = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
        low, high = self.low.transpose(1, 0, 2), self.high.transpose(1, 0, 2)
        first, last = self.low_offset.T[..., None], self.high_offset.T[..., None]
        return (
            Planes(
                (rising @ low + falling @ high).transpose(1, 0, 2),
                (rising @ first + falling @ last)[..., 0].T,
                (rising @ high + falling @ low).transpose(1, 0, 2),
                (rising @ last + falling @ first)[..., 0].T,
            ),
            weights,
        )


def _product(matrix: Float64, planes: Float64) -> Float64:
    width, count, n = planes.shape
    return (matrix @ planes.reshape(width, count * n)).reshape(-1, count, n)


def _extremes(
    slopes: Float64, offset: Float64, boxes: tuple[Float64, Float64]
) -> tuple[Float64, Float64]:
    """Least and greatest value of planes over their boxes, shape (k, width)."""
    middle, half = 0.5 * (boxes[0] + boxes[1]), 0.5 * (boxes[1] - boxes[0])
    centre = (slopes * middle).sum(axis=2) + offset
    reach = (np.abs(slopes) * half).sum(axis=2)
    return (centre - reach).T, (centre + reach).T


def inequalities(planes: Planes, low: Float64, high: Float64) -> tuple[Float64, Float64]:
    """What ``low <= f <= high`` asks of v in each box, as ``rows @ v <= right``.

    Parameters
    ----------
    planes : Planes
    low, high : float64 arrays, shape (width,)
        Finite, or such that no row needs the other.

    Returns
    -------
    rows : float64 array, shape (k, r, n)
    right : float64 array, shape (k, r)
    """
    rows = np.concatenate([planes.low, -planes.high]).transpose(1, 0, 2)
    right = np.concatenate(
        [high[:, None] - planes.low_offset, planes.high_offset - low[:, None]]
    ).T
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return rows, right
    joint, weights = planes.combined()
    rising, falling = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    most, least = rising @ high + falling @ low, rising @ low + falling @ high
    more = np.concatenate([joint.low, -joint.high]).transpose(1, 0, 2)
    limits = np.concatenate([most.T - joint.low_offset, joint.high_offset - least.T]).T
    return np.concatenate([rows, more], axis=1), np.concatenate([right, limits], axis=1)


def contracted(
    rows: Float64, right: Float64, boxes: tuple[Float64, Float64]
) -> tuple[Float64, Float64, Mask]:
    """Boxes around what is left of boxes by ``rows @ v <= right``.

    Returns
    -------
    lower, upper : float64 arrays, shape (k, n)
    left : bool array, shape (k,)
        False: nothing is left.
    """
    low, high = boxes
    left = np.ones(low.shape[0], dtype=np.bool_)
    rising, falling = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
    size = np.abs(rows)
    steep = size > ROUNDING * size.max(axis=2, initial=0.0, keepdims=True)
    divisor = np.where(steep, size, 1.0)
    for _ in range(ROUNDS):
        least = (rising * low[:, None] + falling * high[:, None]).sum(axis=2)
        reach = (size * np.maximum(np.abs(low), np.abs(high))[:, None]).sum(axis=2)
        spare = right - least + ROUNDING * reach
        left &= (spare >= 0.0).all(axis=1)
        room = np.where(steep, np.maximum(spare, 0.0)[..., None] / divisor, np.inf)
        down = np.where(rows > 0.0, low[:, None] + room, np.inf).min(axis=1)
        up = np.where(rows < 0.0, high[:, None] - room, -np.inf).max(axis=1)
        margin = ROUNDING * (1.0 + np.maximum(np.abs(low), np.abs(high)))
        low, high = np.maximum(low, up - margin), np.minimum(high, down + margin)
        left &= (low <= high).all(axis=1)
        high = np.maximum(low, high)
    return low, high, left
