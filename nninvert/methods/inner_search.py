"""The same equations before the last activation: where saturated outputs are not flat.

``softmax(z) = y`` and ``z = log y + c`` have the same solutions, but least squares sees
probabilities of 1e-9 only in the second form. What is found there is a start for the
search on the outputs themselves, never an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Graph, LinearLayer, LogSoftmax, Softmax
from nninvert.methods.problem import Problem
from nninvert.network import Network
from nninvert.rootfind.levenberg_marquardt import RowFunction, RowLinearization

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class InnerEquations:
    """The network without its last activation, and what is wanted of it.

    Attributes
    ----------
    network : Network
    target : float64 array, shape (rows, m)
    radius : float64 array, shape (rows, m)
        How far each may be off by the precision of the targets.
    usable : bool array, shape (rows,)
        Rows whose targets lie in the activation's range and matter in all outputs.
    centred : bool
        Only differences between outputs matter: the activation ignores a constant.
    """

    network: Network
    target: Float64
    radius: Float64
    usable: Mask
    centred: bool


def inner_equations(problem: Problem) -> InnerEquations | None:
    """Take the last activation off; None where the network does not end in one."""
    *before, last = problem.network.segments
    if isinstance(last.layer, LinearLayer) or not before:
        return None
    targets = problem.targets
    shape = (problem.rows, *last.layer.output_shape)
    wanted = last.layer.preimage(
        targets.values.reshape(shape),
        targets.precision.half_step.reshape(shape),
        problem.context,
    )
    nodes = [node for segment in before for node in segment.nodes]
    inner = Network.of_graph(Graph(problem.network.graph.input_shape, nodes))
    z = wanted.x.reshape(problem.rows, -1)
    usable = (wanted.outside == 0) & targets.wanted.all(axis=1)
    one_row = last.layer.input_shape == (inner.n_out,)
    centred = isinstance(last.layer, Softmax | LogSoftmax) and one_row
    if centred:
        z = z - z.mean(axis=1, keepdims=True)
    usable = usable & np.isfinite(z).all(axis=1)
    return InnerEquations(inner, z, wanted.radius.reshape(z.shape), usable, centred)


class Centred:
    """A function of rows less the mean of its values: see `InnerEquations.centred`."""

    def __init__(self, function: RowFunction) -> None:
        self._function = function

    def forward(self, x: Float64) -> Float64:
        """Evaluate f less its mean, (k, n) to (k, m)."""
        return _less_mean(self._function.forward(x))

    def linearize(self, x: Float64) -> CentredLinearization:
        """Value and Jacobian products."""
        return CentredLinearization(self._function.linearize(x))


class CentredLinearization:
    """The linearisation of f less the mean of its values."""

    def __init__(self, near: RowLinearization) -> None:
        self._near, self.y = near, _less_mean(near.y)

    def jvp(self, dx: Float64) -> Float64:
        """J dx, centred."""
        return _less_mean(self._near.jvp(dx))

    def vjp(self, dy: Float64) -> Float64:
        """J^T of dy, centred."""
        return self._near.vjp(_less_mean(dy))

    def dense(self) -> Float64:
        """J, each column centred."""
        found = self._near.dense()
        return np.asarray(found - found.mean(axis=1, keepdims=True))


def _less_mean(rows: Float64) -> Float64:
    return np.asarray(rows - rows.mean(axis=-1, keepdims=True))
