"""Which layers have no jump: what is said of dimensions holds for continuous maps alone."""

from __future__ import annotations

from itertools import pairwise

from nninvert.layers import LAYERS, Block, Divide, Elementwise, Layer, LinearLayer
from nninvert.layers.activations import Activation, Branch, Trend


def is_continuous(layer: Layer) -> bool:
    """Whether a layer is known to be continuous: of a user's own nothing is known."""
    if isinstance(layer, Block):
        return all(is_continuous(node.layer) for node in layer.wiring.nodes)
    if isinstance(layer, Elementwise):
        return joins(layer.activation)
    known = isinstance(layer, LinearLayer) or type(layer) in LAYERS.values()
    return known and not isinstance(layer, Divide)


def joins(activation: Activation) -> bool:
    """Whether its branches meet where one ends and the next begins."""
    ends = [_ends(branch) for branch in activation.branches]
    return all(left[1] == right[0] for left, right in pairwise(ends))


def _ends(branch: Branch) -> tuple[float, float]:
    """The limits at the left and the right end of a branch."""
    low, high = branch.image.lower, branch.image.upper
    return (high, low) if branch.trend is Trend.DECREASING else (low, high)
