"""The size of the terms that were added to make each output of a graph."""

from __future__ import annotations

import numpy as np

from nninvert.layers._base import Float64, Layer
from nninvert.layers._linear import AffineLinearization, LinearLayer
from nninvert.layers.wiring import Wiring


def adds_terms(layer: Layer) -> bool:
    """Whether outputs are sums with weights: every linear layer but rearrangements."""
    return isinstance(layer, LinearLayer) and bool(layer.weights())


def linearized_with_terms(layer: Layer, x: Float64) -> tuple[AffineLinearization, Float64]:
    """A linear layer at x, and |A| |x| + |b| in the shape of its output."""
    assert isinstance(layer, LinearLayer)
    linear_map, bias = layer.linear_part
    y, terms = linear_map.apply_with_magnitude(x.reshape(x.shape[0], -1))
    if bias is not None:
        y, terms = y + bias, terms + np.abs(bias)
    shape = (x.shape[0], *layer.output_shape)
    return AffineLinearization(layer, y.reshape(shape)), terms.reshape(shape)


def forward_with_terms(wiring: Wiring, x: Float64) -> tuple[Float64, Float64]:
    """The plain forward pass, and the size of the terms behind each output.

    On every way to the output the last affine map counts: ``|A| |h| + |b|``, h being what
    enters it, or |x| where a way has none. What follows multiplies these sizes by those of
    its slopes; where ways meet in a sum, they add up.

    Parameters
    ----------
    wiring : Wiring
        Without graphs among its layers.
    x : float64 array, shape (batch, *input_shape)

    Returns
    -------
    y, terms : float64 arrays, shape (batch, *output_shape)
        The terms are |y| where no affine map exists.
    """
    counted = _counted(wiring)
    if counted is None:
        y = wiring.forward(x)
        return y, np.abs(y)
    values, terms = {-1: x}, {-1: np.abs(x)}
    for place, node in enumerate(wiring.nodes):
        given = wiring.packed(values, place)
        if place not in counted:
            values[place] = node.layer.forward(given)
        elif adds_terms(node.layer):
            near, terms[place] = linearized_with_terms(node.layer, given)
            values[place] = near.y
        else:
            step = node.layer.linearize(given)
            values[place] = step.y
            terms[place] = step.magnitude(wiring.packed(terms, place))
        wiring.forget(values, place)
    last = len(wiring.nodes) - 1
    return values[last], terms[last]


def _counted(wiring: Wiring) -> set[int] | None:
    """Nodes behind the last affine map on some way, it included; None: no such map."""
    found: set[int] = set()
    todo = [len(wiring.nodes) - 1]
    while todo:
        place = todo.pop()
        if place < 0 or place in found:
            continue
        found.add(place)
        if not adds_terms(wiring.nodes[place].layer):
            todo += wiring.sources[place]
    if any(adds_terms(wiring.nodes[place].layer) for place in found):
        return found
    return None
