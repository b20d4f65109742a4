"""A network in the units of its data: scalers before and behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nninvert.arrays.scaler import Scaler, read_scaler
from nninvert.errors import ShapeError
from nninvert.layers import Graph, Node, Shape, UnitScaling, size_of
from nninvert.network import Network

_BEFORE, _BEHIND = "in", "out"
"""The indices of the two scalers; those of the file's layers are numbers."""


def in_units(
    network: Network, input_scaler: str | None, output_scaler: str | None
) -> Network:
    """Put what two files say before and behind a network.

    Parameters
    ----------
    network : Network
        It takes and gives scaled numbers.
    input_scaler, output_scaler : str or None
        Files as `read_scaler` takes them; None: nothing.

    Returns
    -------
    Network
        It takes and gives numbers in the units of the data.

    Raises
    ------
    ShapeError
        If a file does not hold one number for each input or output.
    """
    before = behind = None
    notes = list(network.source.notes)
    names = network.input_names, network.output_names
    if input_scaler is not None:
        scaler = read_scaler(input_scaler, "--input-scaler").ordered(names[0])
        layer = _layer(scaler, network.graph.input_shape, "inputs")
        before = Node(layer, _BEFORE, "input scaler", "Scaler")
        notes.append(f"inputs are in the units of {input_scaler}")
        names = names[0] or _one_each(scaler, network.n_in), names[1]
    if output_scaler is not None:
        scaler = read_scaler(output_scaler, "--output-scaler").ordered(names[1])
        layer = _layer(scaler, network.graph.output_shape, "outputs").inverse()
        behind = Node(layer, _BEHIND, "output scaler", "Scaler")
        notes.append(f"outputs are in the units of {output_scaler}")
        names = names[0], names[1] or _one_each(scaler, network.n_out)
    made = _enclosed(network, before, behind)
    return replace(
        made,
        source=replace(network.source, notes=tuple(notes)),
        input_names=names[0],
        output_names=names[1],
    )


def in_units_of(network: Network, other: Network) -> Network:
    """Put the scalers of another network before and behind this one."""
    nodes = other.graph.nodes
    before = nodes[0] if nodes[0].index == _BEFORE else None
    behind = nodes[-1] if nodes[-1].index == _BEHIND else None
    return _enclosed(network, before, behind)


def _enclosed(network: Network, before: Node | None, behind: Node | None) -> Network:
    nodes = list(network.graph.nodes)
    if before is not None:
        nodes = [before, *(_one_later(node) for node in nodes)]
    if behind is not None:
        nodes.append(behind)
    return replace(network, graph=Graph(network.graph.input_shape, nodes))


def _one_later(node: Node) -> Node:
    """A node in a graph with one more before its first; the input is then that one."""
    if node.inputs is None:
        return node
    return replace(node, inputs=tuple(source + 1 for source in node.inputs))


def _one_each(scaler: Scaler, n: int) -> tuple[str, ...] | None:
    """The names in a file, unless one number stands for all."""
    return scaler.names if scaler.centre.size == n else None


def _layer(scaler: Scaler, shape: Shape, what: str) -> UnitScaling:
    """The scaler for arrays of a shape; one number stands for all."""
    n = size_of(shape)
    if scaler.centre.size not in (1, n):
        raise ShapeError(
            "length",
            got=f"{scaler.centre.size} numbers",
            expected=f"{n}, one for each of the network's {what}, or 1",
            file=scaler.source,
        )
    parts = (scaler.centre, scaler.factor, scaler.value)
    centre, factor, value = (
        np.broadcast_to(part, (n,)).reshape(shape).copy() for part in parts
    )
    return UnitScaling(shape, centre, factor, value)
