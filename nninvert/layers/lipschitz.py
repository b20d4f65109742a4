"""Upper bounds of how much layers lengthen a difference of inputs, in the 2-norm."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from nninvert import tolerances
from nninvert.layers._base import Layer
from nninvert.layers._linear import LinearLayer
from nninvert.layers.activations import Activation
from nninvert.layers.elementwise import Elementwise
from nninvert.layers.prelu import PReLU
from nninvert.layers.softmax import Softmax
from nninvert.layers.wiring import Wiring
from nninvert.linalg.block_diagonal import BlockDiagonalMap
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.convolution_symbol import extent
from nninvert.linalg.kronecker import KroneckerMap
from nninvert.linalg.map import (
    ComposedMap,
    DiagonalMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
)
from nninvert.linalg.sparse import SparseMap

_ROUNDING = 1e-9
"""What computed norms may be too small by, relative: sums of up to 1e6 terms, and singular
values, are off by less."""

STEEPEST = {
    "gelu": 1.13,
    "gelu_tanh": 1.13,
    "hard_silu": 1.5,
    "hard_tanh": 1.0,
    "linear": 1.0,
    "log_sigmoid": 1.0,
    "mish": 1.09,
    "relu6": 1.0,
    "sigmoid": 0.25,
    "silu": 1.1,
    "soft_shrink": 1.0,
    "softplus": 1.0,
    "softsign": 1.0,
    "squareplus": 1.0,
    "tanh": 1.0,
    "tanh_shrink": 1.0,
}
"""The largest slope of activations without parameters that change it, rounded upwards."""


def lipschitz_bounds(wiring: Wiring) -> dict[int, float]:
    """A Lipschitz constant of every node as a function of the input, -1 the input itself.

    What a node reads packed has the root of the sum of squares; infinite where a layer has
    no known bound.
    """
    found = {-1: 1.0}
    for place, node in enumerate(wiring.nodes):
        read = [found[source] for source in wiring.sources[place]]
        before = float(np.sqrt(np.sum(np.square(read)))) * (1.0 + _ROUNDING)
        own = lipschitz(node.layer) if np.isfinite(before) else np.inf
        found[place] = own * before if before else 0.0
    return found


@singledispatch
def lipschitz(layer: Layer) -> float:
    """A Lipschitz constant of a layer; infinite where none is known."""
    return np.inf


@lipschitz.register
def _(layer: LinearLayer) -> float:
    return norm_bound(layer.linear_part[0])


@lipschitz.register
def _(layer: Elementwise) -> float:
    return steepest(layer.activation)


@lipschitz.register
def _(layer: PReLU) -> float:
    slopes = np.abs(np.asarray(layer.alpha, dtype=np.float64))
    return max(1.0, float(slopes.max(initial=0.0)))


@lipschitz.register
def _(layer: Softmax) -> float:
    """diag(p) - p p^T has norm at most 1/2: Gershgorin, 2 p (1 - p)."""
    return 0.5


def steepest(activation: Activation) -> float:
    """An upper bound of the size of an activation's slope; infinite where none is known."""
    if activation.name in STEEPEST:
        return STEEPEST[activation.name]
    parameters = activation.config()
    if activation.name == "leaky_relu":
        return max(1.0, abs(float(parameters["negative_slope"])))
    if activation.name == "relu":
        # With a threshold it jumps.
        jumps = parameters["threshold"] != 0.0
        return np.inf if jumps else max(1.0, abs(float(parameters["negative_slope"])))
    if activation.name == "hard_sigmoid":
        return abs(float(parameters["slope"]))
    if activation.name in ("elu", "celu"):
        return max(1.0, abs(float(parameters["alpha"])))
    return np.inf


def norm_bound(linear_map: LinearMap) -> float:
    """An upper bound of the largest singular value.

    By structure, that of convolutions from their symbols, then by singular values where
    those are cheap, then the smaller one of sqrt(|A|_1 |A|_inf) and the Frobenius norm
    (Golub & Van Loan, Matrix Computations, 4th ed., section 2.3.3); infinite for other maps
    whose matrix is large.
    """
    if isinstance(linear_map, IdentityMap | PermutationMap):
        return 1.0
    if isinstance(linear_map, DiagonalMap):
        return float(np.abs(linear_map.diagonal).max(initial=0.0))
    if isinstance(linear_map, RepeatedMap):
        return norm_bound(linear_map.base)
    if isinstance(linear_map, BlockDiagonalMap):
        return max(norm_bound(part) for part in linear_map.blocks)
    if isinstance(linear_map, SparseMap):
        return _of_sparse(linear_map)
    if isinstance(linear_map, ConvolutionMap):
        return min(_of_matrix(linear_map), extent(linear_map).largest)
    if isinstance(linear_map, TransposedConvolutionMap):
        return norm_bound(linear_map.base)
    whole = _of_matrix(linear_map)
    if np.isfinite(whole) or not isinstance(linear_map, ComposedMap | KroneckerMap):
        return whole
    product = 1.0
    for part in linear_map.parts:
        product *= norm_bound(part)
    return product


def _of_matrix(linear_map: LinearMap) -> float:
    m, n = linear_map.shape
    if 8.0 * m * n > tolerances.SMALL_WEIGHTS:
        return np.inf
    matrix = linear_map.dense()
    if not np.isfinite(matrix).all():
        return np.inf
    if tolerances.svd_is_cheap((m, n)):
        return float(np.linalg.norm(matrix, 2)) * (1.0 + _ROUNDING)
    sizes = np.abs(matrix)
    lines = np.sqrt(sizes.sum(axis=0).max() * sizes.sum(axis=1).max())
    return float(min(lines, np.linalg.norm(matrix))) * (1.0 + _ROUNDING)


def _of_sparse(linear_map: SparseMap) -> float:
    rows, columns = linear_map.matrix.triplets()
    sizes = np.abs(linear_map.matrix.data.astype(np.float64))
    most = [np.bincount(k, sizes).max(initial=0.0) for k in (rows, columns)]
    return float(np.sqrt(most[0] * most[1])) * (1.0 + _ROUNDING)
