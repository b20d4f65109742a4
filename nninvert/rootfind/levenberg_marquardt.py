"""Nonlinear least squares inside bounds for many rows at once, to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.norms import row_norms
from nninvert.rootfind._lm_models import DENSE_BYTES, model_of
from nninvert.rootfind._lm_polish import polish
from nninvert.rootfind._lm_protocol import RowFunction, RowLinearization
from nninvert.rootfind._lm_rows import ROUNDING, Rows
from nninvert.rootfind._lm_steps import step_inside

__all__ = ["LeastSquaresRows", "RowFunction", "RowLinearization", "levenberg_marquardt"]

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]
ShouldStop = Callable[[], bool]

MOST_STEPS = 300
"""Each with one Jacobian at most. Reachable targets need ten to fifty; where residuals
stay large the steps converge linearly, and three hundred gain all that is worth having."""

FIRST_DAMPING = 1e-3
"""Relative to the squared norm of the first Jacobian: a nearly undamped step to try."""

LARGEST_DAMPING = 1e12
"""A step that is damped more, relative to the squared norm, is lost beside x."""

WINDOW = 10
"""Steps after which the gain is looked at."""

LEAST_GAIN = 1e-8
"""Part of the squared residual that `WINDOW` steps have to gain. The slope of the squares
is then about the root of that: where residuals stay, more digits of x mean nothing."""

FLAT = 1e-12
"""A slope of the squares below this part of what it could be counts as zero."""

FAST = 1e-2
"""A step that leaves this part of the squares or less is near a solution, where damping
only keeps convergence from being quadratic."""

ACCEPTED = 1e-4
"""Part of the predicted gain that makes a step worth taking (Nocedal and Wright, Numerical
Optimization, 2nd ed., algorithm 4.1)."""


@dataclass(frozen=True)
class LeastSquaresRows:
    """The best point of each row.

    Attributes
    ----------
    x : float64 array, shape (k, n)
        Inside the bounds to the last bit.
    value : float64 array, shape (k, m)
        f(x).
    misfit : float64 array, shape (k,)
        ||weights (f(x) - target)||; not finite where f was so from the start.
    stopped : bool array, shape (k,)
        `should_stop` or the limit of steps ended the search of the row. Elsewhere x is a
        point of least squares, or `enough` was reached.
    steps : int array, shape (k,)
        Evaluations of f for the row.
    """

    x: Float64
    value: Float64
    misfit: Float64
    stopped: Mask
    steps: NDArray[np.int64]


def never() -> bool:
    """Never stop."""
    return False


def levenberg_marquardt(
    function: RowFunction,
    target: Float64,
    weights: Float64,
    start: Float64,
    lower: Float64,
    upper: Float64,
    *,
    scale: Float64 | None = None,
    enough: float | None = None,
    should_stop: ShouldStop = never,
    most_steps: int = MOST_STEPS,
    least_gain: float = LEAST_GAIN,
) -> LeastSquaresRows:
    """Minimise ``||weights (f(x) - target)||`` over lower <= x <= upper, for every row.

    A local method from one start of each row. No success is claimed: whether a point is
    good enough is the caller's to judge. Rows share passes and linear algebra, nothing
    else: each has its own damping and its own end, and a row that has ended costs nothing.

    Parameters
    ----------
    function : RowFunction
        Acts on each row alone. Where it is not finite, the point is not taken.
    target : float64 array, shape (k, m)
    weights : float64 array, shape (k, m)
        Not negative; 0: this output does not matter. Of any common magnitude.
    start : float64 array, shape (k, n)
        Finite; moved into the bounds.
    lower, upper : float64 arrays, shape (n,)
        lower <= upper; infinite where open, equal where a variable is fixed.
    scale : float64 array, shape (n,), default None
        Positive: what counts as one unit of each variable; None: 1. Of several solutions
        the steps tend to one that is near in these units.
    enough : float, default None
        A row ends where every |weight (f - target)| is at most this; None: at the last
        digit.
    should_stop : callable, default never
        Asked before each step; the best points so far are returned.
    most_steps : int, default 300
        Per row.
    least_gain : float, default 1e-8
        A row ends where ten steps gain less than this part of its squares.

    Returns
    -------
    LeastSquaresRows

    Notes
    -----
    Damped Gauss-Newton steps (Levenberg-Marquardt) from dense Jacobians where these are
    small, else from products by conjugate gradients; the damping follows the ratio of true
    to predicted gain [1]_. Bounds: variables that their bound holds back take no part,
    those that a step would carry outside are put on the edge and the rest of the step is
    found anew. The damped steps solve normal equations, which is quick and loses half the
    digits; so each row ends with undamped steps by singular values, which are quadratic
    where the target can be reached.

    References
    ----------
    .. [1] K. Madsen, H. B. Nielsen, O. Tingleff, Methods for Non-Linear Least Squares
       Problems, 2nd ed., Technical University of Denmark, 2004, section 3.2.
    """
    k, n = start.shape
    x = np.clip(start, lower, upper)
    value, misfit = np.empty(target.shape), np.empty(k)
    stopped, steps = np.empty(k, dtype=np.bool_), np.empty(k, dtype=np.int64)
    at_once = max(1, DENSE_BYTES // (8 * target.shape[1] * n))
    limits = Limits(should_stop, most_steps, least_gain)
    with np.errstate(all="ignore"):
        for first in range(0, k, at_once):
            part = slice(first, first + at_once)
            rows = Rows.begin(
                function,
                target[part],
                weights[part],
                x[part],
                lower,
                upper,
                np.ones(n) if scale is None else scale,
                0.0 if enough is None else enough,
            )
            stopped[part] = _search(rows, limits)
            x[part], value[part], steps[part] = rows.x, rows.value, rows.evaluations
        off = np.where(weights > 0.0, weights * (value - target), 0.0)
        misfit = row_norms(off)
    return LeastSquaresRows(x, value, misfit, stopped, steps)


@dataclass(frozen=True)
class Limits:
    """What ends a search early."""

    should_stop: ShouldStop
    most_steps: int
    least_gain: float


def _search(rows: Rows, limits: Limits) -> Mask:
    """Leave the best points in the rows; which of them were still gaining."""
    stopped = np.zeros(rows.cost.size, dtype=np.bool_)
    chosen = np.flatnonzero(np.isfinite(rows.cost))
    chosen = chosen[~rows.met(chosen)]
    if not chosen.size or not (rows.lower < rows.upper).any():
        return stopped
    gaining = _Descent(rows, chosen, limits).run()
    rest = chosen[~rows.met(chosen)]
    still = polish(rows, rest, limits.should_stop)
    # What the damped steps left undone, the undamped ones may have brought to an end.
    stopped[np.intersect1d(gaining, rest)] = True
    stopped[still] = True
    return stopped


class _Descent:
    """Damped steps: the state of the rows that are open.

    `damping` is relative to the squared norm of the Jacobian; `growth` is by what it grows
    at the next failure; `mark` and `age` hold the squares at the last look and the steps
    since.
    """

    def __init__(self, rows: Rows, chosen: Index, limits: Limits) -> None:
        self.rows, self.chosen, self.limits = rows, chosen, limits
        self.model = model_of(
            rows.function, rows.weights[chosen], rows.unit, rows.x[chosen]
        )
        self.damping = np.full(chosen.size, FIRST_DAMPING)
        self.growth = np.full(chosen.size, 2.0)
        self.mark = rows.cost[chosen]
        side = min(rows.x.shape[1], rows.target.shape[1])
        self.least_damping = 4.0 * side * np.finfo(np.float64).eps

    def run(self) -> Index:
        """Go on until every row has ended; the rows that a limit ended."""
        for count in range(1, self.limits.most_steps + 1):
            if self.limits.should_stop():
                break
            done = self._step()
            if count % WINDOW == 0:
                cost = self.rows.cost[self.chosen]
                done |= cost > (1.0 - self.limits.least_gain) * self.mark
                self.mark = cost
            self._keep(~done)
            if not self.chosen.size:
                break
        return self.chosen

    def _step(self) -> Mask:
        """One step of every open row; which of them have ended."""
        rows, chosen, model = self.rows, self.chosen, self.model
        residual, cost = rows.residual(chosen), rows.cost[chosen]
        slope, box = model.slope(residual), rows.box(chosen)
        downhill = np.where(box.held(slope), 0.0, slope)
        flat = row_norms(downhill) <= FLAT * np.sqrt(model.size * cost)
        rounded = cost <= model.size * np.square(ROUNDING * rows.distance(chosen))
        # Slopes whose squares vanish in float64 must not make the equations singular.
        damping = np.maximum(self.damping * model.size, np.finfo(np.float64).tiny)

        def solve(part: Index, rest: Float64, free: Mask | None) -> Float64:
            return model.damped(part, rest, damping[part], free)

        step = step_inside(model, residual, slope, box, solve)
        x = rows.moved(chosen, step)
        every = np.arange(chosen.size)
        predicted = cost - np.square(residual + model.product(every, step)).sum(axis=1)
        value, new_cost = rows.judge(chosen, x)
        ratio = np.where(predicted > 0.0, (cost - new_cost) / predicted, -1.0)
        taken = ratio > ACCEPTED
        still = ~taken & (rounded | (x == rows.x[chosen]).all(axis=1))
        rows.take(chosen[taken], x[taken], value[taken], new_cost[taken])
        self._adapt(ratio, taken, new_cost < FAST * cost)
        done = flat | still | rows.met(chosen) | (self.damping > LARGEST_DAMPING)
        model.renew(np.flatnonzero(taken & ~done), rows.x[chosen])
        return np.asarray(done)

    def _adapt(self, ratio: Float64, taken: Mask, fast: Mask) -> None:
        """Less damping after a good step, ever more after failures."""
        factor = np.where(ratio > 0.75, 0.1, np.where(ratio < 0.25, 3.0, 0.5))
        factor = np.where(fast, 1e-3, factor)
        self.damping *= np.where(taken, factor, self.growth)
        self.damping = np.maximum(self.damping, self.least_damping)
        self.growth = np.where(taken, 2.0, 2.0 * self.growth)

    def _keep(self, rows: Mask) -> None:
        if rows.all():
            return
        self.chosen, self.mark = self.chosen[rows], self.mark[rows]
        self.damping, self.growth = self.damping[rows], self.growth[rows]
        if self.chosen.size:
            self.model.keep(rows)
