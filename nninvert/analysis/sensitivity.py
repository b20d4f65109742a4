"""How far x moves when y does: by the Jacobian at each row's own x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers import Elementwise, Linearization, LinearLayer
from nninvert.layers.elementwise import DiagonalLinearization
from nninvert.linalg.factor import factorise
from nninvert.linalg.norms import row_norms
from nninvert.linalg.row_blocks import row_blocks
from nninvert.network import FlatLinearization, Network

Float64 = NDArray[np.float64]

_PROBES = 8
_LEAST_PROBES = 2
_ALL_PROBES = 128
"""Large networks get fewer probes for each row when there are many rows: a solve takes
time by the number of probes in all, and two still give the size to a factor 2."""


def is_layerwise_invertible(network: Network, context: Context) -> bool:
    """Whether every segment is one-to-one and square: J^-1 is then a product of solves."""
    for segment in network.segments:
        layer = segment.layer
        if layer.facts.one_to_one is False or layer.facts.lost:
            return False
        if layer.facts.one_to_one is None and not isinstance(layer, LinearLayer):
            return False
        if isinstance(layer, LinearLayer):
            m, n = layer.linear_part[0].shape
            if m != n or factorise(layer.linear_part[0], context).nullity:
                return False
    return True


def dense_is_cheap(network: Network) -> bool:
    """Whether Jacobians may be formed and decomposed, one per row."""
    return tolerances.svd_is_cheap((network.n_out, network.n_in))


def movement(
    network: Network,
    x: Float64,
    half_step: Float64,
    context: Context,
    near: FlatLinearization | None = None,
) -> Float64:
    """Estimate ||dx|| for a rounding error of y: the root mean square over such errors.

    The errors are independent and uniform in +-half_step, so that the mean square of dx
    is ``sum_j ||J^-1 e_j||^2 h_j^2 / 3``; random signs estimate the sum without forming
    J^-1 (Hutchinson, Commun. Stat. Simul. 18, 1989). For networks that are not square
    J^+ stands for J^-1. Solves are rough where the factors are.

    Parameters
    ----------
    network : Network
    x : float64 array, shape (rows, n_in)
        Finite.
    half_step : float64 array, shape (rows, n_out)
        Largest error of each output.
    context : Context
    near : FlatLinearization, optional
        At x, if it is known; default: it is made where it is needed.

    Returns
    -------
    float64 array, shape (rows,); NaN where it cannot be had at reasonable cost.
    """
    if _probes_can_be_shared(network) and is_layerwise_invertible(network, context):
        steps = (near or network.linearize(x)).steps
        return _movement_of_one_layer(network, steps, half_step, context)
    probes = _probes(network, len(x))
    signs = np.random.default_rng(context.seed).choice(
        [-1.0, 1.0], size=(probes, *half_step.shape)
    )
    errors = signs * half_step / np.sqrt(3.0)
    if is_layerwise_invertible(network, context):
        moved = (near or network.linearize(x)).solve_roughly(errors, context)
    elif dense_is_cheap(network):
        moved = np.stack(
            [
                np.linalg.lstsq(jacobian, errors[:, row].T, rcond=None)[0].T
                for row, jacobian in enumerate(jacobians(network, x))
            ],
            axis=1,
        )
    else:
        return np.full(x.shape[0], np.nan)
    together = moved.transpose(1, 0, 2).reshape(x.shape[0], -1)
    return np.asarray(row_norms(together) / np.sqrt(probes))


def _probes_can_be_shared(network: Network) -> bool:
    """Whether the network is one large linear layer with activations after it."""
    layers = [segment.layer for segment in network.segments]
    return (
        isinstance(layers[0], LinearLayer)
        and all(isinstance(layer, Elementwise) for layer in layers[1:])
        and not dense_is_cheap(network)
    )


def _movement_of_one_layer(
    network: Network,
    steps: Sequence[Linearization],
    half_step: Float64,
    context: Context,
) -> Float64:
    """`movement` by probes that all rows share.

    J^-1 is A^-1 times a diagonal of each row, so that what is summed are the squared sizes
    of the columns of A^-1 with weights. Random signs g give them: the mean of the squares
    of A^-T g, by solves with the transpose whose number does not depend on the rows.
    """
    layer = network.segments[0].layer
    assert isinstance(layer, LinearLayer)
    linear_map = layer.linear_part[0]
    signs = np.random.default_rng(context.seed).choice(
        [-1.0, 1.0], size=(_PROBES, linear_map.shape[1])
    )
    columns = factorise(linear_map, context).solve_transposed_roughly(signs)
    weights = np.sqrt((columns**2).mean(axis=0))
    shape, moved = network.graph.output_shape, np.empty(len(half_step))
    for part in row_blocks(half_step.shape):
        before = half_step[part].reshape(-1, *shape) / np.sqrt(3.0)
        for step in reversed(steps[1:]):
            assert isinstance(step, DiagonalLinearization)
            before = step.rows(part).solve_roughly(before, context)
        moved[part] = row_norms(before.reshape(len(before), -1) * weights)
    return moved


def _probes(network: Network, rows: int) -> int:
    """How many random errors are tried for each row."""
    if dense_is_cheap(network):
        return _PROBES
    return min(_PROBES, max(_LEAST_PROBES, _ALL_PROBES // max(rows, 1)))


def jacobians(network: Network, x: Float64) -> list[Float64]:
    """Dense Jacobians row by row, so that only one batch of one is held at a time."""
    return [network.linearize(row[None, :]).dense()[0] for row in x]


def digits_from_movement(moved: Float64, x: Float64) -> tuple[Float64, Float64]:
    """Relative movement and the decimal digits of x that it leaves, per row."""
    size = row_norms(x)
    relative = np.full(moved.shape, np.nan)
    np.divide(moved, size, out=relative, where=size > 0.0)
    floor = np.maximum(relative, 0.5 * tolerances.EPS64)
    return relative, np.maximum(-np.log10(floor), 0.0)


def jacobian_digits(network: Network, x: Float64) -> Float64:
    """log10 of the 2-norm condition number of the Jacobian at each row.

    inf where it is singular, NaN where the decomposition is not cheap or the Jacobian
    overflows.
    """
    if not dense_is_cheap(network):
        return np.full(x.shape[0], np.nan)
    found = np.full(x.shape[0], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        every = jacobians(network, x)
    for row, jacobian in enumerate(every):
        if not np.isfinite(jacobian).all():
            continue
        values = np.linalg.svd(jacobian, compute_uv=False)
        singular = values[-1] <= tolerances.singular_threshold(
            jacobian.shape, float(values[0])
        )
        found[row] = np.inf if singular else np.log10(values[0] / values[-1])
    return found
