"""Network: one graph and its layouts, seen as a function of flat rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.errors import DataError, ShapeError, UsageError
from nninvert.layers import Graph, Linearization, LinearLayer, Node, Segment
from nninvert.layers.graph import ChainLinearization
from nninvert.layers.terms import adds_terms, forward_with_terms
from nninvert.layout import Layout, Part
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Where a network came from and how it was read.

    Attributes
    ----------
    path : str
        As the user named it; "" for arrays from memory.
    format : str
        For people: "Keras 3 HDF5", "NPZ weights".
    notes : tuple of str
        Decisions made while reading that the user should know: which orientation was
        taken where square matrices leave it open, which activations were assumed.
    """

    path: str = ""
    format: str = "arrays"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What one pass over the weights told about rows x.

    Attributes
    ----------
    y, terms : float64 arrays, shape (batch, n_out)
        As `Network.forward_with_terms` gives them.
    near : FlatLinearization or None
        The linearisation at x; None where it would take another pass.
    """

    y: Float64
    terms: Float64
    near: FlatLinearization | None


class FlatLinearization:
    """The linearisation of a network on flat rows.

    Attributes
    ----------
    y : float64 array, shape (batch, n_out)
    """

    def __init__(
        self,
        inner: Linearization,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
    ) -> None:
        self._inner, self._in, self._out = inner, in_shape, out_shape
        self.y = inner.y.reshape(inner.y.shape[0], -1)

    @property
    def steps(self) -> Sequence[Linearization]:
        """Those that it is made of, one for each segment of a chain."""
        inner = self._inner
        return inner.steps if isinstance(inner, ChainLinearization) else (inner,)

    def jvp(self, dx: Float64) -> Float64:
        """J dx, (..., batch, n_in) to (..., batch, n_out)."""
        lead = dx.shape[:-1]
        return self._inner.jvp(dx.reshape(*lead, *self._in)).reshape(*lead, -1)

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy, (..., batch, n_out) to (..., batch, n_in)."""
        lead = dy.shape[:-1]
        return self._inner.vjp(dy.reshape(*lead, *self._out)).reshape(*lead, -1)

    def magnitude(self, dx: Float64) -> Float64:
        """At least |J| |dx|, (..., batch, n_in) to (..., batch, n_out)."""
        lead = dx.shape[:-1]
        return self._inner.magnitude(dx.reshape(*lead, *self._in)).reshape(*lead, -1)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """A dx with J dx = dy, layer by layer; see `Linearization.solve`."""
        lead = dy.shape[:-1]
        return self._inner.solve(dy.reshape(*lead, *self._out), context).reshape(*lead, -1)

    def solve_roughly(self, dy: Float64, context: Context) -> Float64:
        """The same to a few digits, where that is cheaper: for error estimates."""
        lead = dy.shape[:-1]
        found = self._inner.solve_roughly(dy.reshape(*lead, *self._out), context)
        return found.reshape(*lead, -1)

    def dense(self) -> Float64:
        """J, shape (batch, n_out, n_in), from whichever products are fewer."""
        batch, m = self.y.shape
        n = int(np.prod(self._in))
        if m <= n:
            rows = self.vjp(np.repeat(np.eye(m)[:, None, :], batch, axis=1))
            return rows.transpose(1, 0, 2)
        columns = self.jvp(np.repeat(np.eye(n)[:, None, :], batch, axis=1))
        return columns.transpose(1, 2, 0)


def _label(index: int, names: tuple[str, ...] | None, count: int) -> str:
    """Names of parts, as a file may give them, are no names of single numbers."""
    if names is None or len(names) != count:
        return str(index)
    return f"{index} '{names[index]}'"


@dataclass(frozen=True)
class Network:
    """A trained network as a function from R^n_in to R^n_out.

    Attributes
    ----------
    graph : Graph
    inputs, outputs : Layout
        Named parts. Of several the graph sees the flat row, (n_in,) or (n_out,).
    source : Source
    input_names, output_names : tuple of str or None
        What single numbers of x and y are called, where something says it.
    """

    graph: Graph
    inputs: Layout
    outputs: Layout
    source: Source = field(default_factory=Source)
    input_names: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None

    @classmethod
    def of_graph(
        cls,
        graph: Graph,
        source: Source | None = None,
        names: tuple[str, str] = ("x", "y"),
    ) -> Network:
        """Wrap a graph with one input and one output, called `names`."""
        if not graph.nodes:
            raise ShapeError("layers", got="none", expected="at least one layer")
        return cls(
            graph,
            Layout((Part(names[0], graph.input_shape),)),
            Layout((Part(names[1], graph.output_shape),)),
            source or Source(),
        )

    @property
    def n_in(self) -> int:
        """Numbers in x."""
        return self.inputs.size

    @property
    def n_out(self) -> int:
        """Numbers in y."""
        return self.outputs.size

    def input_label(self, index: int) -> str:
        """The number of an input, with its name where it has one."""
        return _label(index, self.input_names, self.n_in)

    def output_label(self, index: int) -> str:
        """The number of an output, with its name where it has one."""
        return _label(index, self.output_names, self.n_out)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The pieces that are inverted one by one; see `Graph.segments`."""
        return self.graph.segments

    @cached_property
    def layers(self) -> tuple[tuple[Node, ...], ...]:
        """The file's layers in order, each as its nodes (a linear part, an activation).

        Where ways part and meet, all that lies between counts as one; see `Graph.trunk`.
        """
        groups: list[list[Node]] = []
        for node in self.graph.trunk:
            if groups and _same_layer(groups[-1][0], node):
                groups[-1].append(node)
            else:
                groups.append([node])
        return tuple(tuple(group) for group in groups)

    @property
    def parameters(self) -> int:
        """How many numbers the weights hold."""
        return sum(
            values.size
            for node in self.graph.leaves()
            for values in node.layer.weights().values()
        )

    @property
    def dtype(self) -> str:
        """The type that the weights are stored in; several are joined by "+".

        That of a layer is the type of its largest array.
        """
        types: dict[str, None] = {}
        for node in self.graph.leaves():
            held = node.layer.weights().values()
            if held:
                types[_stored_name(max(held, key=_count))] = None
        return "+".join(types) or "float64"

    def forward(self, x: Float64) -> Float64:
        """Evaluate f in float64 by the plain forward pass, (batch, n_in) to (., n_out)."""
        return self._leaving(self.graph.forward(self._entering(x)))

    def _entering(self, x: Float64) -> Float64:
        """Flat rows as the graph takes them."""
        return x.reshape(x.shape[0], *self.graph.input_shape)

    def _leaving(self, y: Float64) -> Float64:
        """What the graph gives as flat rows."""
        return y.reshape(y.shape[0], self.n_out)

    def linearize(self, x: Float64) -> FlatLinearization:
        """Value and Jacobian products at each row of x, shape (batch, n_in)."""
        inner = self.graph.linearize(self._entering(x))
        return FlatLinearization(inner, self.graph.input_shape, self.graph.output_shape)

    def forward_with_terms(self, x: Float64) -> tuple[Float64, Float64]:
        """Evaluate f and the size of the terms that were added to make each output.

        Returns
        -------
        y : float64 array, shape (batch, n_out)
            By the plain forward pass.
        terms : float64 array, shape (batch, n_out)
            ``|slope| (|A| |h| + |b|)`` of the last affine map and what follows it, h being
            the value that enters it; where ways meet, the sum of those of each; |y| where
            no affine map exists. See `layers.terms`.
        """
        y, terms = forward_with_terms(self.graph.flat, self._entering(x))
        return y.reshape(x.shape[0], -1), terms.reshape(x.shape[0], -1)

    def evaluate(self, x: Float64) -> Evaluation:
        """`forward_with_terms` and `linearize`, from one pass over the weights if possible.

        It is possible for chains of which no layers are fused or seen through another.
        """
        nodes = list(self.graph.leaves())
        last = max(
            (k for k, node in enumerate(nodes) if adds_terms(node.layer)), default=None
        )
        apart = [segment.layer for segment in self.segments] == [n.layer for n in nodes]
        if last is None or not apart or any(n.layer.seen is not None for n in nodes):
            return Evaluation(*self.forward_with_terms(x), None)
        value = self._entering(x)
        steps: list[Linearization] = []
        for node in nodes[:last]:
            steps.append(node.layer.linearize(value))
            value = steps[-1].y
        layer = nodes[last].layer
        assert isinstance(layer, LinearLayer)
        affine, terms = layer.linearize_with_terms(value)
        value = affine.y
        after: list[Linearization] = []
        for node in nodes[last + 1 :]:
            after.append(node.layer.linearize(value))
            value = after[-1].y
        moved = ChainLinearization(value, after).magnitude(terms)
        inner = ChainLinearization(value, [*steps, affine, *after])
        near = FlatLinearization(inner, self.graph.input_shape, self.graph.output_shape)
        return Evaluation(near.y, moved.reshape(x.shape[0], -1), near)

    def require_finite(self) -> None:
        """Refuse NaN and infinity among the weights: one pass over all of them.

        Raises
        ------
        DataError
            Naming the layer, the array, the place and the count.
        """
        for node in self.graph.leaves():
            for name, values in node.layer.weights().items():
                matrix = values if isinstance(values, StoredMatrix) else _as_row(values)
                found = matrix.first_non_finite()
                if found is not None:
                    place = f"at index {found.column}"
                    if matrix is values:
                        place = f"from input {found.row} to output {found.column}"
                    raise DataError(
                        name,
                        got=f"{found.value} {place} (NaN or infinite: {found.count:,})",
                        expected="finite weights",
                        next_step="The training diverged or the file is damaged; take "
                        "an earlier checkpoint.",
                        file=self.source.path,
                        layer=(node.index, node.name),
                    )

    def slice(self, first: str | None = None, last: str | None = None) -> Network:
        """Take the part from layer `first` to layer `last`, both inclusive.

        Parameters
        ----------
        first, last : str or None, default None
            A layer's name or its index; None: the network's own end.

        Raises
        ------
        UsageError
            For an unknown name, or if `first` comes after `last`.
        """
        start = 0 if first is None else self._find(first, "--from")
        stop = len(self.layers) - 1 if last is None else self._find(last, "--until")
        if start > stop:
            raise UsageError(
                "--from",
                got=f"{first}, which comes after {last}",
                expected="a layer before --until",
                file=self.source.path,
            )
        nodes = [node for group in self.layers[start : stop + 1] for node in group]
        made = Network.of_graph(Graph(nodes[0].layer.input_shape, nodes), self.source)
        if start == 0:
            made = replace(made, inputs=self.inputs, input_names=self.input_names)
        if stop == len(self.layers) - 1:
            made = replace(made, outputs=self.outputs, output_names=self.output_names)
        return made

    def repeat(self, times: int) -> Network:
        """Apply the whole network `times` times.

        Raises
        ------
        UsageError
            If `times` is less than 1 or outputs cannot be inputs.
        """
        if times < 1:
            raise UsageError("--repeat", got=str(times), expected="1 or more")
        if times == 1:
            return self
        shapes = self.graph.input_shape, self.graph.output_shape
        if shapes[0] != shapes[1]:
            raise UsageError(
                "--repeat",
                got=f"a network from {shapes[0]} to {shapes[1]}",
                expected="equal shapes, so that outputs can be inputs",
                file=self.source.path,
            )
        passes = [Node(self.graph, str(k), f"pass_{k}", "Graph") for k in range(times)]
        return replace(self, graph=Graph(shapes[0], passes))

    def _find(self, wanted: str, option: str) -> int:
        for position, group in enumerate(self.layers):
            if wanted in (group[0].name, group[0].index):
                return position
        raise UsageError(
            option,
            got=repr(wanted),
            expected="a layer: "
            + ", ".join(f"{g[0].index} '{g[0].name}'" for g in self.layers),
            file=self.source.path,
        )


def _same_layer(left: Node, right: Node) -> bool:
    return (left.index, left.name) == (right.index, right.name)


def _stored_name(values: StoredMatrix | NDArray[np.generic]) -> str:
    if isinstance(values, StoredMatrix):
        return values.stored_name
    return values.dtype.newbyteorder("=").name


def _count(values: StoredMatrix | NDArray[np.generic]) -> int:
    return math.prod(values.shape)


def _as_row(values: NDArray[np.generic]) -> StoredMatrix:
    return ArrayMatrix(values.reshape(1, -1))
