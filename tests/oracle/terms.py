"""What rounding is measured against: the size of the terms that make each output."""

import numpy as np

from nninvert.layers import LinearLayer

FLOAT64 = 1e-12
"""Of the terms: some thousand roundings."""

FLOAT32 = 1e-6
"""The same where a framework computes in float32: some ten roundings."""


def largest_terms(net, x):
    """How large the sums on the way to each output can be, shape (rows, n_out).

    |A| |h| + |b| from layer to layer. Behind an activation, which may hide how large its
    input was, the largest of the row stays, so that rounding in a saturated unit counts.
    """
    value, size = x.reshape(len(x), *net.graph.input_shape), np.abs(x)
    for node in net.graph.leaves():
        layer = node.layer
        step = layer.linearize(value)
        if isinstance(layer, LinearLayer):
            linear_map, bias = layer.linear_part
            size = linear_map.magnitude(size)
            size = size if bias is None else size + np.abs(bias)
        else:
            moved = step.magnitude(size.reshape(value.shape)).reshape(size.shape)
            size = np.maximum(moved, size.max(axis=1, keepdims=True))
            size = size + np.abs(step.y).reshape(size.shape)
        value = step.y
    return size


def distance(net, x, y):
    """The largest |f(x) - y| relative to the terms: a number to hold against `FLOAT64`."""
    difference = np.abs(net.forward(x) - y.reshape(len(y), -1))
    terms = np.maximum(largest_terms(net, x), np.finfo(float).tiny)  # 0 at x = 0
    return (difference / terms).max()
