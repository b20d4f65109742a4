"""Convolutions padded with zeros, iterated on with the inverse of the circular ones.

What both do to the inside of the grid is the same; they differ along its edge. Where the
circular one can be inverted stably, GMRES needs few steps with that as preconditioner (G.
Strang, Stud. Appl. Math. 74, 1986, for one axis and one channel).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.linalg.bidiagonal import extreme_values
from nninvert.linalg.circulant import Frequencies
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.convolution import ConvolutionMap
from nninvert.linalg.convolution_ends import CellEnd, OutputEnd
from nninvert.linalg.convolution_symbol import Extent, symbol_parts
from nninvert.linalg.extreme import least_value
from nninvert.linalg.fused import (
    Pace,
    PassInterrupted,
    Products,
    Scaling,
    products_of,
    products_of_transpose,
)
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.krylov import Solved, gmres_inner, refine
from nninvert.linalg.map import LinearMap
from nninvert.linalg.probe import KrylovMethod, Outlook, predicted_passes
from nninvert.outcome import Kind
from nninvert.tolerances import EPS64, singular_threshold

Float64 = NDArray[np.float64]

MOST_PASSES = 200
"""A solve predicted to take more passes is not worth while."""

_GOAL = 1e-8
"""Backward error to which random right-hand sides are solved for a look."""

_FIRST_PASSES = 30
"""After so many it is predicted whether the others are worth while."""

_LEAST_COMPONENT = 0.01
"""As in `probe`: what a random right-hand side has of every direction, nearly surely."""

_STREAM = 0xC1C
"""Sets these random numbers apart from others of the same seed."""

_WORK = 1.5e11
"""Operations of the products behind an estimate of the norm."""

_PATIENCE = 4
"""A solve may take this many times the passes that are worth while."""

_SLIGHT = 1e-4
"""Share of the norm below which the circular map's singular values are not inverted."""


class CirculantIteration(IterativeFactor):
    """GMRES on a square convolution with zeros around it.

    Parameters
    ----------
    linear_map : LinearMap
    inverse : Frequencies
        From `gentle_inverse`, of the circular map.
    outlook : Outlook
        From `look`.
    extent : Extent
        Of the convolution.
    context : Context
    """

    def __init__(
        self,
        linear_map: LinearMap,
        inverse: Frequencies,
        outlook: Outlook,
        extent: Extent,
        context: Context,
    ) -> None:
        super().__init__(linear_map, outlook, context)
        self._inverse, self._extent = inverse, extent
        self.nbytes += inverse.response.nbytes

    def _block(self, rows: Float64, pace: Pace, transposed: bool, goal: float) -> Solved:
        products = products_of(self._map, pace)
        inverse = self._inverse
        if transposed:
            products = products_of_transpose(self._map, pace)
            inverse = inverse.transposed
        return _refined(
            products, inverse, rows, _PATIENCE * MOST_PASSES, goal, self._memory
        )

    @cached_property
    def _spectrum(self) -> Spectrum:
        """The smallest one by steps that the circular inverse guides."""
        stop, seed, n = self._context.should_stop, self._context.seed, self.shape[0]
        inverse, turned = self._inverse, self._inverse.transposed
        pair = (self._map.apply, self._map.adjoint)

        def about(rows: Float64) -> Float64:
            return inverse.on_rows(turned.on_rows(rows, n), n)

        largest = self._largest
        smallest = least_value(pair, about, n, seed, stop)
        eps = self._map.stored_eps
        zero, coarse = (singular_threshold(self.shape, largest, e) for e in (EPS64, eps))
        seen = self._outlook.nonsingular and smallest > zero
        found = Spectrum(
            shape=self.shape,
            largest=largest,
            smallest=smallest,
            rank=n if seen else None,
            rank_stored=n if seen and smallest > coarse else None,
            kind=Kind.LOWER_BOUND if stop() else Kind.ESTIMATE,
            method="Lanczos steps",
        )
        return self._extent.refine(found)

    @property
    def _largest(self) -> float:
        """From below, by a few steps of bidiagonalisation."""
        products = products_of(self._map, Pace(self._context.should_stop))
        steps = int(np.clip(_WORK / (8.0 * self._map.terms * self.shape[0]), 6, 20))
        try:
            found = extreme_values(products, self._context.seed, steps).largest
        except PassInterrupted:
            return self._outlook.norm
        return max(found, self._outlook.norm)


def gentle_inverse(base: ConvolutionMap, norm: float, context: Context) -> Frequencies:
    """About the inverse of the circular one; what is nearly lost is not amplified.

    ``(M^H M + d^2 I)^-1 M^H`` for each frequency, with d a small share of `norm`, kept in
    single precision: it is a preconditioner.

    Parameters
    ----------
    base : ConvolutionMap
        Square, of as many cells as windows.
    norm : float
        About the largest singular value.
    context : Context

    Raises
    ------
    Stopped
        If time is up.
    """
    grid = base.windows.counts
    shape = (*grid[:-1], grid[-1] // 2 + 1, base.groups, base.group_channels, -1)
    found = []
    for part in symbol_parts(base, grid):
        context.require_time("inverting a convolution's frequencies")
        turned = np.conj(part).swapaxes(-1, -2)
        shift = (_SLIGHT * norm) ** 2 * np.eye(part.shape[-1])
        found.append(np.linalg.solve(turned @ part + shift, turned).astype(np.complex64))
    inverse = np.concatenate(found).reshape(shape)
    return Frequencies(grid, OutputEnd(base), CellEnd(base), inverse)


def look(linear_map: LinearMap, inverse: Frequencies, context: Context) -> Outlook:
    """Solve with random right-hand sides to see whether it pays, and the rank is full.

    The argument about the rank is that of `probe`.
    """
    pace = Pace(context.should_stop)
    products = products_of(linear_map, pace)
    b = np.random.default_rng([context.seed, _STREAM]).standard_normal(
        (2, linear_map.shape[0])
    )
    memory = context.memory // 4
    found = _refined(products, inverse, b, _FIRST_PASSES, _GOAL, memory)
    if predicted_passes(_rate(found)) <= MOST_PASSES and not found.converged.all():
        found = _refined(products, inverse, b, MOST_PASSES, _GOAL, memory)
    image = linear_map.apply(found.x)
    size = np.linalg.norm(found.x, axis=1)
    norm = float((np.linalg.norm(image, axis=1) / np.maximum(size, 1e-300)).max())
    met = np.linalg.norm(b - image, axis=1).max() <= _LEAST_COMPONENT
    zero = singular_threshold(linear_map.shape, norm)
    seen = bool(met and zero * size.max() < _LEAST_COMPONENT)
    rate = _rate(found)
    return Outlook(
        method=KrylovMethod.GMRES,
        scaling=Scaling(),
        rate=rate,
        norm=norm,
        nonsingular=seen,
        passes_spent=pace.passes,
        worthwhile=seen and predicted_passes(rate) <= MOST_PASSES,
        reason=(
            "GMRES with the circular convolution: "
            f"each pass gains a factor {1.0 / rate:.3g}"
        ),
    )


def _rate(found: Solved) -> float:
    """The factor that a pass gained."""
    reached = float(np.clip(found.backward_error.max(), _GOAL**2, 1.0))
    return float(reached ** (1.0 / max(found.steps, 1)))


def _refined(
    products: Products,
    inverse: Frequencies,
    rows: Float64,
    most: int,
    goal: float,
    memory: int,
) -> Solved:
    size = products.shape[1]
    inner = gmres_inner(
        products, Scaling(), memory, lambda vectors: inverse.on_rows(vectors, size)
    )
    return refine(products, inner, rows, None, most, goal=goal)
