"""Convolutions padded with zeros, iterated on with the inverse of the circular ones.

What both do to the inside of the grid is the same; they differ along its edge. Where the
circular one can be inverted stably, GMRES needs few steps with that as preconditioner (G.
Strang, Stud. Appl. Math. 74, 1986, for one axis and one channel).
"""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.circulant import CHUNK_BYTES, Frequencies
from nninvert.linalg.condition import Spectrum, estimated_spectrum
from nninvert.linalg.fused import (
    Pace,
    Products,
    Scaling,
    products_of,
    products_of_transpose,
)
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.krylov import Solved, gmres_inner, refine
from nninvert.linalg.map import LinearMap
from nninvert.linalg.probe import KrylovMethod, Outlook, predicted_passes

Float64 = NDArray[np.float64]

MOST_PASSES = 200
"""A solve predicted to take more passes is not worth while."""

_GOAL = 1e-8
"""Backward error to which random right-hand sides are solved for a look."""

_FEW_DIGITS = 1e-4
"""Backward error of the solves behind estimates of singular values."""

_LEAST_COMPONENT = 0.01
"""As in `probe`: what a random right-hand side has of every direction, nearly surely."""

_STREAM = 0xC1C
"""Sets these random numbers apart from others of the same seed."""

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
    context : Context
    """

    def __init__(
        self,
        linear_map: LinearMap,
        inverse: Frequencies,
        outlook: Outlook,
        context: Context,
    ) -> None:
        super().__init__(linear_map, outlook, context)
        self._inverse = inverse
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
        """Estimated by Lanczos steps with products and solves to a few digits."""

        def solve(values: Float64, *, transposed: bool) -> Float64:
            parts, _ = self._solved(values, transposed, _FEW_DIGITS)
            return self._joined(values, parts, transposed)

        return estimated_spectrum(
            self.shape[0],
            (self._map.apply, self._map.adjoint),
            (partial(solve, transposed=False), partial(solve, transposed=True)),
            self._map.stored_eps,
            self._context.seed,
            "iterative solves",
            self._context.should_stop,
        )


def gentle_inverse(frequencies: Frequencies, context: Context) -> Frequencies:
    """About the inverse, frequency by frequency; what is nearly lost is not amplified.

    ``(M^H M + d^2 I)^-1 M^H`` with d a small share of the largest Frobenius norm.

    Raises
    ------
    Stopped
        If time is up.
    """
    response = frequencies.response
    matrices = response.reshape(-1, *response.shape[-2:])
    slight = _SLIGHT * float(np.linalg.norm(matrices, axis=(1, 2)).max())
    shift = slight**2 * np.eye(matrices.shape[2])
    found = np.empty((len(matrices), *matrices.shape[:0:-1]), dtype=np.complex128)
    step = max(1, CHUNK_BYTES // matrices[:1].nbytes)
    for start in range(0, len(matrices), step):
        context.require_time("inverting a convolution's frequencies")
        part = matrices[start : start + step]
        turned = np.conj(part).swapaxes(1, 2)
        found[start : start + step] = np.linalg.solve(turned @ part + shift, turned)
    inverse = found.reshape(*response.shape[:-2], *found.shape[1:])
    return Frequencies(frequencies.grid, frequencies.outputs, frequencies.inputs, inverse)


def look(linear_map: LinearMap, inverse: Frequencies, context: Context) -> Outlook:
    """Solve with random right-hand sides to see whether it pays, and the rank is full.

    The argument about the rank is that of `probe`.
    """
    pace = Pace(context.should_stop)
    products = products_of(linear_map, pace)
    b = np.random.default_rng([context.seed, _STREAM]).standard_normal(
        (2, linear_map.shape[0])
    )
    found = _refined(products, inverse, b, MOST_PASSES, _GOAL, context.memory // 4)
    image = linear_map.apply(found.x)
    size = np.linalg.norm(found.x, axis=1)
    norm = float((np.linalg.norm(image, axis=1) / np.maximum(size, 1e-300)).max())
    met = np.linalg.norm(b - image, axis=1).max() <= _LEAST_COMPONENT
    zero = tolerances.singular_threshold(linear_map.shape, norm)
    seen = bool(met and zero * size.max() < _LEAST_COMPONENT)
    reached = float(np.clip(found.backward_error.max(), _GOAL**2, 1.0))
    rate = reached ** (1.0 / max(found.steps, 1))
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
