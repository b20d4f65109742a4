"""Ways from a start to a solution: least squares on views of a question, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.problem import Problem
from nninvert.methods.tail import Tail
from nninvert.methods.views import View, Views
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

Way = Callable[[Index, Float64], Float64]
"""From rows (k,) and starts (k, n) to where the search ended, (k, n)."""

MOST_STEPS = 100
LEAST_GAIN = 0.1
"""A start is given up after so many steps, or where ten gain less than this part of the
squares: another start is then the better bet."""


class Ways:
    """The ways of a problem; all end on the outputs themselves.

    Parameters
    ----------
    problem : Problem
    sample : float64 array, shape (k, n_in)
        Typical inputs.

    Attributes
    ----------
    views : Views
    every : tuple of Way
        The direct one first, before the last activation; with kinks rounded first, if
        there are any; through the values of the first activation, where these are free.
    """

    def __init__(self, problem: Problem, sample: Float64) -> None:
        self.problem = problem
        self.unit = problem.unit
        self.views = Views(problem, sample)
        ways: list[Way] = [self.direct]
        if self.views.rounded:
            ways.append(self._rounded)
        if self.views.deep:
            ways.append(self._deep)
        tail = Tail.of(problem)
        if tail is not None:
            behind = Ways(tail.problem, tail.values(sample))
            ways += [partial(self._behind, tail, way) for way in behind.every]
        self.every: tuple[Way, ...] = tuple(ways)

    def direct(self, rows: Index, x: Float64) -> Float64:
        """Before the last activation if there is one, then on the outputs."""
        return self._through((*self.views.inner, self.views.outer), rows, x)

    def _rounded(self, rows: Index, x: Float64) -> Float64:
        return self.direct(rows, self._through(self.views.rounded, rows, x))

    def _deep(self, rows: Index, x: Float64) -> Float64:
        return self.direct(rows, self._through(self.views.deep, rows, x))

    def _behind(self, tail: Tail, way: Way, rows: Index, x: Float64) -> Float64:
        inputs = tail.inputs(way(rows, tail.values(x)))
        # What overflows on the way back is no better than the start.
        finite = np.isfinite(inputs).all(axis=1, keepdims=True)
        return self.direct(rows, np.where(finite, inputs, x))

    def _through(self, views: Sequence[View], rows: Index, x: Float64) -> Float64:
        for view in views:
            usable = view.usable[rows]
            if usable.all():
                x = self._on(view, rows, x)
            elif usable.any():
                x = x.copy()
                x[usable] = self._on(view, rows[usable], x[usable])
        return x

    def _on(self, view: View, rows: Index, x: Float64) -> Float64:
        domain = self.problem.domain
        return levenberg_marquardt(
            view.function,
            view.target[rows],
            view.weights[rows],
            x,
            domain.lower,
            domain.upper,
            scale=self.unit,
            should_stop=self.problem.context.should_stop,
            most_steps=MOST_STEPS,
            least_gain=LEAST_GAIN,
        ).x
