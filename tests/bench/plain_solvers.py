"""What people write to find x with f(x) = y where they have no nninvert.

A net here is plain arrays and formulas, one row at a time: nothing of the package is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
from scipy.special import erf, expit

Float64 = np.ndarray
Scalar = Callable[[Float64], Float64]


def _gelu_slope(z: Float64) -> Float64:
    return 0.5 * (1.0 + erf(z / np.sqrt(2.0))) + z * np.exp(-0.5 * z * z) / np.sqrt(
        2 * np.pi
    )


FORMULAS: dict[str, tuple[Scalar, Scalar]] = {
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "elu": (
        lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.exp(np.minimum(z, 0.0)),
    ),
    "leaky_relu": (
        lambda z: np.where(z > 0.0, z, 0.05 * z),
        lambda z: np.where(z > 0.0, 1.0, 0.05),
    ),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0.0, 1.0, 0.0)),
    "gelu": (lambda z: 0.5 * z * (1.0 + erf(z / np.sqrt(2.0))), _gelu_slope),
    "softplus": (lambda z: np.logaddexp(0.0, z), expit),
    "silu": (
        lambda z: z * expit(z),
        lambda z: expit(z) * (1.0 + z * expit(-z)),
    ),
    "linear": (lambda z: z, np.ones_like),
}
"""Activation and slope."""


@dataclass(frozen=True)
class PlainNet:
    """Dense layers with one activation between them and one at the end.

    Attributes
    ----------
    parts : sequence of (A, b)
        A (n_out, n_in), b (n_out,), float64.
    activation, output : str
        Keys of `FORMULAS`; the output may be "softmax".
    """

    parts: Sequence[tuple[Float64, Float64]]
    activation: str
    output: str

    def forward(self, x: Float64) -> Float64:
        """f of one row, shape (n_in,)."""
        bend = FORMULAS[self.activation][0]
        for matrix, bias in self.parts[:-1]:
            x = bend(matrix @ x + bias)
        matrix, bias = self.parts[-1]
        return self._end(matrix @ x + bias)[0]

    def jacobian(self, x: Float64) -> Float64:
        """Exact, shape (n_out, n_in), by the chain rule from the input on."""
        bend, slope = FORMULAS[self.activation]
        chain = None
        for matrix, bias in self.parts[:-1]:
            z = matrix @ x + bias
            product = matrix if chain is None else matrix @ chain
            chain = slope(z)[:, None] * product
            x = bend(z)
        matrix, bias = self.parts[-1]
        product = matrix if chain is None else matrix @ chain
        return self._end(matrix @ x + bias)[1] @ product

    def _end(self, z: Float64) -> tuple[Float64, Float64]:
        """The output activation and its Jacobian."""
        if self.output == "softmax":
            raised = np.exp(z - z.max())
            y = raised / raised.sum()
            return y, np.diag(y) - np.outer(y, y)
        bend, slope = FORMULAS[self.output]
        return bend(z), np.diag(slope(z))


class Reached(Exception):
    """The target is met: whatever a library's own criteria say, the search is over."""


@dataclass
class Race:
    """Which rows were reached, when, and by which x.

    Attributes
    ----------
    x : float64 array, shape (rows, n_in)
        NaN where nothing was reached.
    seconds : float
        Until the last row that was reached; what is spent on the others afterwards, or
        in vain between, is not held against anybody where it comes last.
    """

    x: Float64
    seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, rows: int, n_in: int) -> Race:
        """Nothing is reached, and the clock runs."""
        return cls(np.full((rows, n_in), np.nan))

    def enter(self, row: int, x: Float64) -> None:
        """This row is reached now."""
        self.x[row] = x
        self.seconds = time.perf_counter() - self.started

    @property
    def reached(self) -> np.ndarray:
        """Which rows, shape (rows,)."""
        return np.isfinite(self.x).all(axis=1)


def least_squares(
    forward: Scalar,
    jacobian: Scalar,
    y: Float64,
    tolerance: Float64,
    starts: Float64,
    method: str,
    cap: float,
) -> Race:
    """`scipy.optimize.least_squares`, row by row, start by start until one leads there.

    Parameters
    ----------
    forward, jacobian : callable
        Of one row.
    y, tolerance : float64 arrays, shape (rows, n_out)
    starts : float64 array, shape (starts, n_in)
    method : {"trf", "dogbox", "lm"}
    cap : float
        Seconds a row.
    """
    race = Race.of(y.shape[0], starts.shape[1])
    for row in range(y.shape[0]):
        ends = time.perf_counter() + cap
        tried: list[Float64] = []

        def residual(
            x: Float64,
            row: int = row,
            ends: float = ends,
            tried: list[Float64] = tried,
        ) -> Float64:
            error = forward(x) - y[row]
            if (np.abs(error) <= tolerance[row]).all():
                tried.append(x.copy())
                raise Reached
            if time.perf_counter() > ends:
                raise TimeoutError
            return error

        for start in starts:
            try:
                scipy.optimize.least_squares(
                    residual,
                    start,
                    jacobian,
                    method=method,
                    xtol=1e-15,
                    ftol=1e-15,
                    gtol=1e-15,
                )
            except Reached:
                race.enter(row, tried[0])
                break
            except TimeoutError:
                break
    return race


def slsqp(
    net: PlainNet,
    y: Float64,
    within: Float64,
    near: Float64,
    unit: Float64,
    start: Float64,
    limit: float,
) -> Float64:
    """The x with the least ||(x - near) / unit||, |f(x) - y| <= within, |x_i| <= limit.

    One row.
    """
    inside = {
        "type": "ineq",
        "fun": lambda x: _room(net.forward(x) - y, within),
        "jac": lambda x: _room_slopes(net.jacobian(x)),
    }
    found = scipy.optimize.minimize(
        lambda x: 0.5 * np.square((x - near) / unit).sum(),
        start,
        jac=lambda x: (x - near) / unit**2,
        bounds=[(-limit, limit)] * near.size,
        constraints=[inside],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return np.asarray(found.x)


def trust_constr(
    net: PlainNet,
    y: Float64,
    within: Float64,
    near: Float64,
    unit: Float64,
    start: Float64,
    limit: float,
) -> Float64:
    """The same by scipy's interior point method."""
    band = scipy.optimize.NonlinearConstraint(
        net.forward, y - within, y + within, jac=net.jacobian, hess=scipy.optimize.BFGS()
    )
    found = scipy.optimize.minimize(
        lambda x: 0.5 * np.square((x - near) / unit).sum(),
        start,
        jac=lambda x: (x - near) / unit**2,
        hess=lambda x: np.diag(unit**-2.0),
        bounds=[(-limit, limit)] * near.size,
        constraints=[band],
        method="trust-constr",
        options={"maxiter": 500, "gtol": 1e-8, "xtol": 1e-10},
    )
    return np.asarray(found.x)


def _room(error: Float64, within: Float64) -> Float64:
    return np.concatenate([within - error, within + error])


def _room_slopes(jacobian: Float64) -> Float64:
    return np.concatenate([-jacobian, jacobian])
