"""Hypothesis strategies: matrices by prescribed singular values, networks, inputs.

Arrays are drawn through a seed, so that hypothesis shrinks sizes and choices, not the
single numbers, which nobody could read anyway.
"""

import numpy as np
from hypothesis import strategies as st
from problems import conditioned, network, with_singular_values

from nninvert.layers import Dense
from nninvert.linalg.stored import ArrayMatrix

ONE_TO_ONE = (
    "tanh",
    "sigmoid",
    "softsign",
    "softplus",
    "elu",
    "selu",
    "celu",
    "leaky_relu:0.1",
    "linear",
    "log_sigmoid",
    "squareplus",
    "tanh_shrink",
    "exponential",
)
LOSING = (
    "relu",
    "relu6",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
    "hard_tanh",
    "hard_sigmoid:1/6",
    "hard_silu",
    "soft_shrink",
    "hard_shrink",
    "thresholded_relu",
    "sparse_plus",
    "sparse_sigmoid",
)

TO_A_MILLION = st.floats(0.0, 6.0)
TO_A_THOUSAND = st.floats(0.0, 3.0)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


@st.composite
def generators(draw):
    """A seeded numpy Generator."""
    return np.random.default_rng(draw(seeds))


@st.composite
def matrices(draw, shape=None, condition=TO_A_MILLION):
    """A matrix of any shape with singular values from 1 down to 10^-condition."""
    m, n = shape or (draw(sizes), draw(sizes))
    rng = draw(generators())
    values = np.geomspace(1.0, 10.0 ** -draw(condition), min(m, n))
    return with_singular_values(values, (m, n), rng)


@st.composite
def nets(draw, activations=ONE_TO_ONE, square=True, condition=TO_A_THOUSAND):
    """A chain of one to three Dense layers, each followed by an activation or none.

    Weights may be stored in float32, biases are of size 0 to 10, so that activations are
    met in all of their ranges, the saturated ones included.
    """
    rng = draw(generators())
    width = draw(st.integers(1, 4))
    parts, n = [], width
    for _ in range(draw(st.integers(1, 3))):
        m = n if square else draw(st.integers(1, 5))
        if m == n:
            matrix = conditioned(n, 10.0 ** draw(condition), rng)
        else:
            matrix = rng.standard_normal((m, n))
        matrix = matrix * 10.0 ** draw(st.integers(-1, 1))
        bias = draw(st.sampled_from([0.0, 0.1, 1.0, 10.0])) * rng.standard_normal(m)
        stored = draw(st.sampled_from([np.float32, np.float64]))
        matrix, bias = matrix.astype(stored), bias.astype(stored)
        parts.append(Dense((n,), ArrayMatrix(matrix), bias))
        name = draw(st.sampled_from([*activations, ""]))
        if name:
            parts.append(name)
        n = m
    return network(*parts)


@st.composite
def inputs(draw, n, rows=3):
    """Standard normal inputs times a power of ten."""
    rng = draw(generators())
    return rng.standard_normal((rows, n)) * 10.0 ** draw(st.integers(-3, 2))
