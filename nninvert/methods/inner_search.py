"""The same equations before the last activation: where saturated outputs are not flat.

``softmax(z) = y`` and ``z = log y + c`` have the same solutions, but least squares sees
probabilities of 1e-9 only in the second form. What is found there is a start for the
search on the outputs themselves, never an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.layers import Graph, Layer, LinearLayer, Preimage, UnitNormalization
from nninvert.layers.mean_square import MeanSquareLayer
from nninvert.linalg.map import LinearMap
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
    seen : LinearMap or None
        The projection of outputs that matters, where the activation ignores a constant.
    """

    network: Network
    target: Float64
    radius: Float64
    usable: Mask
    seen: LinearMap | None


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
    usable &= _length_is_known(last.layer, wanted)
    seen = last.layer.seen
    if seen is not None:
        z = seen.apply(z)
    usable = usable & np.isfinite(z).all(axis=1)
    return InnerEquations(inner, z, wanted.radius.reshape(z.shape), usable, seen)


def _length_is_known(layer: Layer, wanted: Preimage) -> Mask:
    """Rows that are not just a direction, of which some multiple would do."""
    if not isinstance(layer, MeanSquareLayer | UnitNormalization):
        return np.ones(len(wanted.x), dtype=np.bool_)
    bounded = wanted.radius < tolerances.UNBOUNDED_RADIUS
    return np.asarray(bounded.reshape(len(wanted.x), -1).all(axis=1))


class Projected:
    """A function of rows, of whose values a projection counts: `InnerEquations.seen`."""

    def __init__(self, function: RowFunction, seen: LinearMap) -> None:
        self._function, self._seen = function, seen

    def forward(self, x: Float64) -> Float64:
        """Evaluate P f, (k, n) to (k, m)."""
        return self._seen.apply(self._function.forward(x))

    def linearize(self, x: Float64) -> ProjectedLinearization:
        """Value and Jacobian products."""
        return ProjectedLinearization(self._function.linearize(x), self._seen)


class ProjectedLinearization:
    """The linearisation of P f."""

    def __init__(self, near: RowLinearization, seen: LinearMap) -> None:
        self._near, self._seen = near, seen
        self.y = seen.apply(near.y)

    def jvp(self, dx: Float64) -> Float64:
        """P J dx."""
        return self._seen.apply(self._near.jvp(dx))

    def vjp(self, dy: Float64) -> Float64:
        """J^T P^T dy."""
        return self._near.vjp(self._seen.adjoint(dy))

    def dense(self) -> Float64:
        """P J, row by row of the batch."""
        columns = np.swapaxes(self._near.dense(), 1, 2)
        return np.swapaxes(self._seen.apply(columns), 1, 2)


def as_seen(function: RowFunction, seen: LinearMap | None) -> RowFunction:
    """The function itself where all of its values count."""
    return function if seen is None else Projected(function, seen)
