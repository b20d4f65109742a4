"""Preimages and steps of layers that have no formula for either: by search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers._base import Float64, Layer, Linearization, Preimage, size_of
from nninvert.layers._outside import flat_rows
from nninvert.linalg.box import Box
from nninvert.rootfind.levenberg_marquardt import MOST_STEPS, levenberg_marquardt

STARTS = 24
"""Points from which a row is searched, before it counts as not found."""

WIDE, WIDE_STEPS = 1000, 20
"""Layers wider than this at both ends are searched from one start, with so many steps: they
are followed by products alone, and the whole network is searched as fast as one layer."""

_ROUNDING = 1e3 * tolerances.EPS64
"""Of a forward pass, relative to 1 and to its values."""


def searched_preimage(
    layer: Layer, y: Float64, radius: Float64, context: Context, inside: Box | None
) -> Preimage:
    """Least squares from several starts: an x, and no claim beside it.

    The first start is the centre of `inside`, or zero, the others lie around it. A row
    whose best x misses y by more than the radius counts as outside, which proves nothing;
    of one that is met it is not known whether other x do.
    """
    function = FlatLayer(layer)
    target, slack = flat_rows(y), flat_rows(radius)
    rows, n = len(target), size_of(layer.input_shape)
    bounded = slack < tolerances.UNBOUNDED_RADIUS
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    if inside is not None:
        lower, upper = inside.lower, inside.upper
    best, misfit = np.zeros((rows, n)), np.full(rows, np.inf)
    wide = min(n, target.shape[1]) > WIDE
    for start in islice(_starts(n, inside, context), 1 if wide else STARTS):
        missed = np.flatnonzero(misfit > 1.0)
        if not missed.size or context.should_stop():
            break
        # What a forward pass rounds is met by nothing.
        size = 1.0 + np.abs(target[missed])
        weights = bounded[missed] / (slack[missed] + _ROUNDING * size)
        found = levenberg_marquardt(
            function,
            target[missed],
            weights,
            np.broadcast_to(start, (rows, n))[missed],
            lower,
            upper,
            enough=0.5,
            should_stop=context.should_stop,
            most_steps=WIDE_STEPS if wide else MOST_STEPS,
        )
        off = np.max(weights * np.abs(found.value - target[missed]), axis=1, initial=0.0)
        better = off < misfit[missed]
        best[missed[better]], misfit[missed[better]] = found.x[better], off[better]
    return _claimed(function, best, misfit > 1.0, target, layer)


def _starts(n: int, inside: Box | None, context: Context) -> Iterator[Float64]:
    centre = np.zeros((1, n)) if inside is None else np.atleast_2d(inside.centre)
    rng = np.random.default_rng(context.seed)
    for count in range(STARTS):
        # The first one is moved a little, too: a centre is often a place of symmetry.
        yield centre + (1.0 if count else 0.1) * rng.standard_normal((1, n))


def _claimed(
    function: FlatLayer,
    x: Float64,
    missed: NDArray[np.bool_],
    target: Float64,
    layer: Layer,
) -> Preimage:
    off = np.abs(function.forward(x) - target)
    worst = off.argmax(axis=1)
    at = np.arange(len(x))
    shape = (len(x), *layer.input_shape)
    found = Preimage.of_inside(
        x.reshape(shape), np.full(shape, tolerances.RADIUS_CAP), layer.facts.lost
    )
    return replace(
        found,
        outside=missed.astype(np.int64),
        overshoot=np.where(missed, off[at, worst], 0.0),
        unit=np.where(missed, worst, -1),
        value=np.where(missed, target[at, worst], np.nan),
        origins=np.full(len(x), np.inf),
    )


class FlatLayer:
    """A layer as a function of flat rows, for searches."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def forward(self, x: Float64) -> Float64:
        """Evaluate, (k, n) to (k, m)."""
        return flat_rows(self._layer.forward(x.reshape(-1, *self._layer.input_shape)))

    def linearize(self, x: Float64) -> FlatProducts:
        """Value and Jacobian products at each row."""
        near = self._layer.linearize(x.reshape(-1, *self._layer.input_shape))
        return FlatProducts(near, self._layer)


class FlatProducts:
    """A linearisation on flat rows, any number of leading axes before the batch."""

    def __init__(self, near: Linearization, layer: Layer) -> None:
        self._near, self._layer = near, layer
        self.y = flat_rows(near.y)

    def jvp(self, dx: Float64) -> Float64:
        """J dx."""
        lead = dx.shape[:-1]
        moved = self._near.jvp(dx.reshape(*lead, *self._layer.input_shape))
        return moved.reshape(*lead, self.y.shape[1])

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy."""
        lead = dy.shape[:-1]
        moved = self._near.vjp(dy.reshape(*lead, *self._layer.output_shape))
        return moved.reshape(*lead, size_of(self._layer.input_shape))

    def dense(self) -> Float64:
        """J, shape (batch, m, n), from whichever products are fewer."""
        batch, m = self.y.shape
        n = size_of(self._layer.input_shape)
        if m <= n:
            rows = self.vjp(np.repeat(np.eye(m)[:, None, :], batch, axis=1))
            return rows.transpose(1, 0, 2)
        columns = self.jvp(np.repeat(np.eye(n)[:, None, :], batch, axis=1))
        return columns.transpose(1, 2, 0)


def least_squares_step(layer: Layer, near: Linearization, dy: Float64) -> Float64:
    """J^+ dy for each row: by the dense Jacobian where it is cheap, else by LSMR."""
    flat = FlatProducts(near, layer)
    batch, m = flat.y.shape
    n = size_of(layer.input_shape)
    lead = dy.shape[: dy.ndim - len(layer.output_shape)]
    wanted = dy.reshape(-1, batch, m)
    solve = _dense_steps if tolerances.svd_is_cheap((m, n)) else _iterated_steps
    return solve(flat, wanted, n).reshape(*lead, *layer.input_shape)


def _dense_steps(flat: FlatProducts, wanted: Float64, n: int) -> Float64:
    found = np.zeros((*wanted.shape[:2], n))
    for row, jacobian in enumerate(flat.dense()):
        if np.isfinite(jacobian).all():
            found[:, row] = np.linalg.lstsq(jacobian, wanted[:, row].T, rcond=None)[0].T
    return found


def _iterated_steps(flat: FlatProducts, wanted: Float64, n: int) -> Float64:
    from scipy.sparse.linalg import LinearOperator, lsmr

    batch, m = flat.y.shape
    found = np.zeros((*wanted.shape[:2], n))
    for row in range(batch):
        single = np.zeros((batch, 1))
        single[row] = 1.0
        jacobian = LinearOperator(
            (m, n),
            matvec=lambda v, s=single, k=row: flat.jvp(s * v.reshape(1, n))[k],
            rmatvec=lambda v, s=single, k=row: flat.vjp(s * v.reshape(1, m))[k],
        )
        for place, vector in enumerate(wanted[:, row]):
            found[place, row] = lsmr(jacobian, vector, atol=1e-14, btol=1e-14)[0]
    return found
