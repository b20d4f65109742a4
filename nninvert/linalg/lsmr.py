"""LSMR for many right-hand sides at once: one correction of a least-squares solution.

D. C.-L. Fong & M. Saunders, "LSMR: an iterative algorithm for sparse least-squares
problems", SIAM J. Sci. Comput. 33(5), 2011, section 2. It minimises ||A^T r|| over the
Krylov space of A^T A, so that this norm falls with every step; where A x = b can be met, r
falls with it. From zero, the limit is the solution of minimum norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.bidiagonal import Bidiagonal, bidiagonal
from nninvert.linalg.fused import PassInterrupted, Products

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Correction:
    """What an inner solve gives for each row.

    Attributes
    ----------
    x : float64 array, shape (batch, n)
    steps : int
        Steps of the row that took most.
    interrupted : bool
        Whether it was asked to stop; x is then the best so far.
    history : tuple of float
        After each step, the largest ||A^T r|| of any row relative to its start.
    """

    x: Float64
    steps: int
    interrupted: bool
    history: tuple[float, ...]


@dataclass(frozen=True)
class Demand:
    """What is asked of a correction.

    Attributes
    ----------
    reduction : float64 array, shape (batch,)
        A row is done when its ||A^T r|| (LSMR) or ||r|| (GMRES) has fallen by this factor.
    norm : float
        A lower bound of ||A|| in the 2-norm; 0.0 if none is known.
    max_steps : int
    """

    reduction: Float64
    norm: float
    max_steps: int


class _Recurrence:
    """The scalars and vectors of LSMR beside the bidiagonalisation, row by row.

    Names follow the paper: a first rotation (rho, theta) makes the bidiagonal matrix upper
    bidiagonal, a second one (rho_bar, theta_bar) does the same to its transpose.
    """

    _SCALARS = (
        "alpha_bar",
        "rho",
        "rho_bar",
        "cos_bar",
        "sin_bar",
        "zeta_bar",
        "zeta_start",
        "size",
    )
    _VECTORS = ("x", "h", "h_bar")

    def __init__(self, start: Bidiagonal) -> None:
        self.alpha_bar = start.alpha
        self.zeta_bar = self.zeta_start = start.alpha * start.beta
        self.size = start.beta
        self.rho = self.rho_bar = self.cos_bar = np.ones_like(start.alpha)
        self.sin_bar = np.zeros_like(start.alpha)
        self.h, self.h_bar = start.v, np.zeros_like(start.v)
        self.x = np.zeros_like(start.v)

    def step(self, new: Bidiagonal) -> None:
        """Take beta_{k+1}, alpha_{k+1} and v_{k+1} in."""
        rho_old, rho_bar_old = self.rho, self.rho_bar
        cos, sin, self.rho = _rotation(self.alpha_bar, new.beta)
        theta = sin * new.alpha
        self.alpha_bar = cos * new.alpha
        theta_bar = self.sin_bar * self.rho
        self.cos_bar, self.sin_bar, self.rho_bar = _rotation(self.cos_bar * self.rho, theta)
        zeta = self.cos_bar * self.zeta_bar
        self.zeta_bar = -self.sin_bar * self.zeta_bar
        kept = _quotient(theta_bar * self.rho, rho_old * rho_bar_old)
        self.h_bar = self.h - kept[:, None] * self.h_bar
        self.x = self.x + _quotient(zeta, self.rho * self.rho_bar)[:, None] * self.h_bar
        self.h = new.v - _quotient(theta, self.rho)[:, None] * self.h

    @property
    def remaining(self) -> Float64:
        """||A^T r|| of each row relative to its start; 0 where that was 0."""
        return _quotient(np.abs(self.zeta_bar), self.zeta_start)

    def lost_in_rounding(self, norm: float) -> NDArray[np.bool_]:
        """Which rows' A^T r are no larger than the error of computing them.

        Where r cannot be met, what follows would be solved for in directions that A does
        not have.
        """
        error = tolerances.EPS64 * np.sqrt(self.x.shape[1])
        return np.asarray(np.abs(self.zeta_bar) <= error * norm * self.size)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Go on with some of the rows only."""
        for name in (*self._SCALARS, *self._VECTORS):
            setattr(self, name, getattr(self, name)[chosen])


def lsmr_correction(products: Products, residual: Float64, demand: Demand) -> Correction:
    """Minimise ||A d - r|| from d = 0 until ||A^T (r - A d)|| has fallen far enough.

    A row also ends where that is lost in its own rounding.

    Parameters
    ----------
    products : Products
        With A (m, n).
    residual : float64 array, shape (batch, m)
        r.
    demand : Demand
    """
    reduction, norm = demand.reduction, demand.norm
    result = np.zeros((len(residual), products.shape[1]))
    active = np.arange(len(residual))
    history: list[float] = []
    try:
        basis = bidiagonal(products, residual)
    except PassInterrupted:
        return Correction(result, 0, True, ())
    state = _Recurrence(basis)
    done = (state.zeta_start == 0.0) | state.lost_in_rounding(norm)
    while True:
        if done.any():
            result[active[done]] = state.x[done]
            active, reduction = active[~done], reduction[~done]
            state.keep(~done)
            basis.keep(~done)
        if not active.size or len(history) == demand.max_steps:
            break
        try:
            basis.step()
        except PassInterrupted:
            result[active] = state.x
            return Correction(result, len(history), True, tuple(history))
        state.step(basis)
        history.append(float(state.remaining.max()))
        norm = max(norm, float(np.hypot(basis.alpha, basis.beta).max()))
        done = (state.remaining <= reduction) | state.lost_in_rounding(norm)
    result[active] = state.x
    return Correction(result, len(history), False, tuple(history))


def _rotation(a: Float64, b: Float64) -> tuple[Float64, Float64, Float64]:
    """Cosine, sine and length with ``c a + s b = length``; c = 1 where both are zero."""
    length = np.hypot(a, b)
    some = length > 0.0
    return np.where(some, _quotient(a, length), 1.0), _quotient(b, length), length


def _quotient(a: Float64, b: Float64) -> Float64:
    """Divide; 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0.0)
