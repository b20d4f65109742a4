"""Views of one question: functions with the same solutions and other local minima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.norms import row_norms
from nninvert.methods.deep_equations import deep_equations
from nninvert.methods.inner_search import InnerEquations, as_seen, inner_equations
from nninvert.methods.problem import Problem
from nninvert.methods.smoothing import RoundedNetwork, entering_sizes, has_kinks
from nninvert.network import Network
from nninvert.rootfind.levenberg_marquardt import RowFunction

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

WIDTHS = (0.03, 0.01, 0.003, 0.001)
"""Of rounded kinks, one after the other, in sizes of what enters the unit."""


@dataclass(frozen=True)
class View:
    """Equations ``function(x) = target``.

    Attributes
    ----------
    function : RowFunction
    target, weights : float64 arrays, shape (rows, m)
    usable : bool array, shape (rows,)
        Rows for which they say the same as the question.
    """

    function: RowFunction
    target: Float64
    weights: Float64
    usable: Mask


class Views:
    """The views of a problem.

    Parameters
    ----------
    problem : Problem
    sample : float64 array, shape (k, n_in)
        Typical inputs: they tell the sizes of outputs and of what enters the layers.

    Attributes
    ----------
    outer : View
        The outputs themselves.
    inner : tuple of View
        Before the last activation; none where there is none.
    deep : tuple of View
        Before the last hidden activation; none where the last layer is not one-to-one.
    rounded : tuple of View
        With kinks rounded, less and less; none where nothing has kinks.
    bytes_each : int
        About what one row takes while it is searched for.
    """

    def __init__(self, problem: Problem, sample: Float64) -> None:
        network, targets = problem.network, problem.targets
        every = np.ones(problem.rows, dtype=np.bool_)
        size = _sizes(network, sample)
        weights = np.where(targets.wanted, _relative(targets.values, size), 0.0)
        self.outer = View(network, targets.values, weights, every)
        self.inner: tuple[View, ...] = ()
        inner = inner_equations(problem)
        if inner is not None:
            self.inner = (_inner_view(inner, sample),)
        self.deep = _deep_views(problem, sample)
        self.rounded = _rounded_views(problem, self.outer, inner, self.inner, sample)
        self.bytes_each = _bytes_each(network)

    def misfit(self, rows: Index, x: Float64) -> Float64:
        """How far points x (k, n) of rows (k,) are from solving, inf where not finite.

        On the inner view where it can be used: sizes compare there, which tell little
        where outputs are saturated.
        """
        found = _misfit(self.outer, rows, x)
        for view in self.inner:
            usable = view.usable[rows]
            if usable.any():
                found[usable] = _misfit(view, rows[usable], x[usable])
        return found


def _misfit(view: View, rows: Index, x: Float64) -> Float64:
    with np.errstate(all="ignore"):
        off = view.function.forward(x) - view.target[rows]
        size = row_norms(np.where(view.weights[rows] > 0.0, off * view.weights[rows], 0.0))
    return np.where(np.isfinite(size), size, np.inf)


def _inner_view(inner: InnerEquations, sample: Float64) -> View:
    function = as_seen(inner.network, inner.seen)
    weights = _relative(inner.target, _sizes(inner.network, sample))
    return View(function, inner.target, weights, inner.usable)


def _deep_views(problem: Problem, sample: Float64) -> tuple[View, ...]:
    deep = deep_equations(problem)
    if deep is None:
        return ()
    with np.errstate(all="ignore"):
        value = np.abs(deep.function.forward(sample))
    size = np.median(np.where(np.isfinite(value), value, 0.0), axis=0)
    weights = np.where(deep.counts, _relative(deep.target, size), 0.0)
    return (View(deep.function, deep.target, weights, deep.usable),)


def _rounded_views(
    problem: Problem,
    outer: View,
    inner: InnerEquations | None,
    inner_views: tuple[View, ...],
    sample: Float64,
) -> tuple[View, ...]:
    network = problem.network if inner is None else inner.network
    if not has_kinks(network):
        return ()
    sizes = entering_sizes(network, sample)
    found = []
    for width in WIDTHS:
        rounded = RoundedNetwork(network, sizes, width)
        if inner is None:
            found.append(View(rounded, outer.target, outer.weights, outer.usable))
        else:
            exact = inner_views[0]
            function = as_seen(rounded, inner.seen)
            found.append(View(function, exact.target, exact.weights, exact.usable))
    return tuple(found)


def _sizes(network: Network, sample: Float64) -> Float64:
    """Typical sizes of the terms that make each output, shape (n_out,); 0 if unknown."""
    with np.errstate(all="ignore"):
        terms = network.forward_with_terms(sample)[1]
        terms = np.where(np.isfinite(terms), terms, 0.0)
    return np.asarray(np.median(terms, axis=0))


def _relative(target: Float64, size: Float64) -> Float64:
    """Weights that make differences of outputs comparable, however large they are."""
    largest = np.maximum(np.abs(target), size)
    return np.where(largest > 0.0, 1.0 / np.where(largest > 0.0, largest, 1.0), 1.0)


def _bytes_each(network: Network) -> int:
    """Of a Jacobian of one row, and of the values that pass through the layers for it."""
    widths = [int(np.prod(s.layer.output_shape)) for s in network.segments]
    side = min(network.n_in, network.n_out)
    return 8 * max(network.n_in * network.n_out, side * max(widths))
