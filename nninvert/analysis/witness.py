"""Two inputs with one output: the proof that a network is not one-to-one.

A structural argument says "it loses something"; a witness shows it, and can be checked by
anybody who can run the network twice. Where outputs saturate, rounding makes them equal
although no layer loses anything: such a pair is no witness, see `is_lost_on_the_way`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.sensitivity import dense_is_cheap
from nninvert.context import Context
from nninvert.layers import Elementwise, Graph, Layer, LinearLayer, PReLU
from nninvert.layers.activations import Activation, Trend
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.linalg.factor import factorise
from nninvert.network import FlatLinearization, Network
from nninvert.result import Witness

Float64 = NDArray[np.float64]

_TRIES = 8
_STEPS = (1.0, 0.1, 0.01)
_CORRECTIONS = 8
_AGREEMENT = 32.0
"""Spacings of the terms of y that f(x1) and f(x2) may differ by: half of what tests and
users allow, as equal rows of different batches differ by some themselves."""
_APART = 0.5

_SAME = 1e-8
"""What remains of a difference that a layer takes away: the corrections of x2 leave 32
spacings of y, which the later layers' inverses may make a million times larger."""


def find_witness(network: Network, near: Float64, context: Context) -> Witness | None:
    """Search x1 != x2 with f(x1) = f(x2): along what J loses, then by other branches.

    Parameters
    ----------
    network : Network
    near : float64 array, shape (n_in,)
        Around which inputs are drawn.
    context : Context

    Returns
    -------
    Witness or None
        None where nothing was found, which proves nothing.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return along_kernel(network, near, context) or by_branches(network, near, context)


def along_kernel(network: Network, near: Float64, context: Context) -> Witness | None:
    """Walk along a direction that the Jacobian loses.

    From an x1 near `near` a step is made along a null vector of J; Newton steps of
    minimum norm bring f(x2) back to f(x1). On piecewise linear networks the first step
    already keeps f.
    Nothing is tried where Jacobians are too large to decompose.
    """
    if not dense_is_cheap(network):
        return None
    rng = np.random.default_rng(context.seed)
    for _ in range(_TRIES):
        if context.should_stop():
            break
        x1 = near + rng.standard_normal(network.n_in)
        direction = _lost_direction(network, x1, rng)
        if direction is None:
            continue
        for step in _STEPS:
            found = _close(network, x1, x1 + step * direction, context)
            if found is not None and found.distance > 0.5 * step:
                return found
    return None


def by_branches(network: Network, near: Float64, context: Context) -> Witness | None:
    """Give one unit of the first lossy activation two inputs with one value.

    All segments before it must be one-to-one: both are pulled back through them, and
    f(x2) is compared with f(x1) by the plain forward pass.
    """
    for position, segment in enumerate(network.segments):
        if segment.layer.facts.one_to_one is False:
            return _pulled_back(network, position, near, context)
    return None


def _doubled_units(layer: Layer) -> Iterator[tuple[int, tuple[float, float]]]:
    """Some units of an activation, each with two numbers that it maps to one."""
    if isinstance(layer, Elementwise):
        pair = two_origins(layer.activation)
        if pair is not None:
            for unit in range(min(int(np.prod(layer.input_shape)), _TRIES)):
                yield unit, pair
    elif isinstance(layer, PReLU):
        slopes = _slopes(layer)
        for unit in np.flatnonzero(slopes <= 0.0)[:_TRIES]:
            pair = two_origins(LeakyReLU(float(slopes[unit])))
            if pair is not None:
                yield int(unit), pair


def _slopes(layer: PReLU) -> Float64:
    """One for each unit, flat."""
    return np.broadcast_to(layer.alpha, layer.input_shape).astype(np.float64).ravel()


def two_origins(activation: Activation) -> tuple[float, float] | None:
    """Two numbers that an activation maps to one; None where there are none.

    Inside a flat part, or on two branches that share the middle of their common values.
    """
    monotone = []
    for index, branch in enumerate(activation.branches):
        low, high = branch.domain.lower, branch.domain.upper
        if branch.trend is not Trend.CONSTANT:
            monotone.append((index, branch.image))
        elif high > low:
            start = low if np.isfinite(low) else min(high, 0.0) - 3.0
            width = min(high - start, 3.0)
            return start + width / 3.0, start + 2.0 * width / 3.0
    for (left, one), (right, other) in pairwise(monotone):
        low, high = max(one.lower, other.lower), min(one.upper, other.upper)
        if low < high:
            low, high = max(low, -1e3), min(high, 1e3)
            middle = np.array([low + min(0.5 * (high - low), 1.0)])
            origins = (activation.branch_inverse(middle, k) for k in (left, right))
            first, second = (float(z[0]) for z in origins)
            return first, second
    return None


def _pulled_back(
    network: Network, position: int, near: Float64, context: Context
) -> Witness | None:
    nodes = [node for segment in network.segments[:position] for node in segment.nodes]
    before = Graph(network.graph.input_shape, nodes)
    shape = network.graph.input_shape
    z = before.forward(near.reshape(1, *shape)).reshape(-1)
    for unit, pair in _doubled_units(network.segments[position].layer):
        if context.should_stop():
            break
        both = np.stack([z, z])
        both[:, unit] = pair
        both = both.reshape(2, *before.output_shape)
        found = before.preimage(both, np.full(both.shape, tolerances.EPS64), context)
        if found.outside.any():
            continue
        x1, x2 = found.x.reshape(2, -1)
        witness = _close(network, x1, x2, context)
        if witness is not None and witness.distance > _APART * np.linalg.norm(x2 - x1):
            return witness
    return None


def _lost_direction(
    network: Network, x: Float64, rng: np.random.Generator
) -> Float64 | None:
    """A unit vector that J maps to zero; None where J has full column rank.

    A random vector less its part in the row space: a basis of the kernel itself would be
    an n by n matrix, too large where few outputs depend on many inputs.
    """
    jacobian, _ = _scaled_rows(network.linearize(x[None, :]))
    if not np.isfinite(jacobian).all():
        return None
    _, values, basis = np.linalg.svd(jacobian, full_matrices=False)
    zero = tolerances.singular_threshold(jacobian.shape, float(values[0]))
    kept = basis[values > zero]
    if kept.shape[0] == network.n_in:
        return None
    direction = rng.standard_normal(network.n_in)
    # Twice: the first time leaves a rest of the size of the rounding of the long vector.
    for _ in range(2):
        direction = direction - (kept @ direction) @ kept
    return np.asarray(direction / np.linalg.norm(direction))


def _close(network: Network, x1: Float64, x2: Float64, context: Context) -> Witness | None:
    """Correct x2 until f(x2) = f(x1) to rounding; None where that is saturation."""
    y1, terms = network.forward_with_terms(x1[None, :])
    rounding = _AGREEMENT * tolerances.EPS64 * np.maximum(np.abs(y1), terms)
    for _ in range(_CORRECTIONS):
        near = network.linearize(x2[None, :])
        difference = near.y - y1
        if not np.isfinite(difference).all():
            return None
        if (np.abs(difference) <= rounding).all():
            if not is_lost_on_the_way(network, x1, x2, context):
                return None
            return Witness(
                x1,
                x2,
                float(np.linalg.norm(x2 - x1)),
                float(np.linalg.norm(difference)),
            )
        step = _correction(network, near, difference, context)
        if step is None:
            return None
        x2 = x2 - step
    return None


def _correction(
    network: Network, near: FlatLinearization, difference: Float64, context: Context
) -> Float64 | None:
    """The Newton step of minimum norm; layer by layer where J is too large for that."""
    if not dense_is_cheap(network):
        return np.asarray(near.solve(difference, context)[0])
    jacobian, size = _scaled_rows(near)
    wanted = difference[0] / size
    if not (np.isfinite(jacobian).all() and np.isfinite(wanted).all()):
        return None
    return np.asarray(np.linalg.lstsq(jacobian, wanted, rcond=None)[0])


def _scaled_rows(near: FlatLinearization) -> tuple[Float64, Float64]:
    """J with rows of size 1, and their sizes, 1 for rows of zeros.

    A probability of 1e-20 has a slope as small, and is an equation like any other.
    """
    jacobian = near.dense()[0]
    size = np.abs(jacobian).max(axis=1)
    size = np.where(size > 0.0, size, 1.0)
    return jacobian / size[:, None], size


def is_lost_on_the_way(
    network: Network, x1: Float64, x2: Float64, context: Context
) -> bool:
    """Whether some layer maps what is left of the difference of x1 and x2 to zero.

    Equal outputs alone do not tell: tanh(30) and tanh(40) are both 1 in float64. The
    difference counts as lost only where the mathematical layer loses it: in the kernel of
    a matrix, on a flat part of an activation, on two of its branches, or as a constant
    before a softmax or a normalisation.
    """
    shape = network.graph.input_shape
    values = np.stack([x1, x2]).reshape(2, *shape)
    for segment in network.segments:
        if _loses_difference(segment.layer, values, context):
            return True
        values = segment.layer.forward(values)
    return False


def _loses_difference(layer: Layer, values: Float64, context: Context) -> bool:
    change = values[1] - values[0]
    size = _largest(change)
    if size == 0.0:  # Rounded away before: no later layer is to blame.
        return False
    if isinstance(layer, LinearLayer):
        linear_map, flat = layer.linear_part[0], change.reshape(-1)
        rest = _largest(linear_map.apply(flat))
        lost = factorise(linear_map, context).nullity > 0
        return lost and rest <= _SAME * _largest(linear_map.magnitude(flat))
    if layer.facts.one_to_one:
        return False
    if layer.seen is not None:
        return _largest(layer.seen.apply(change.reshape(-1))) <= _SAME * size
    y1, y2 = layer.forward(values)
    lossless = (np.abs(change) > _SAME * size) & _on_one_monotone_branch(layer, values)
    return _largest(y2 - y1) <= _SAME * (size + _largest(y1)) and not lossless.any()


def _largest(array: Float64) -> float:
    """The maximum norm, which does not underflow."""
    return float(np.abs(array).max())


def _on_one_monotone_branch(layer: Layer, values: Float64) -> NDArray[np.bool_]:
    """Units whose two values lie on one branch that is strictly monotone."""
    found = np.zeros(layer.input_shape, dtype=np.bool_)
    if isinstance(layer, PReLU):
        flat = _slopes(layer).reshape(layer.input_shape) == 0.0
        left = values < 0.0
        return np.asarray((left[0] == left[1]) & ~(left[0] & flat))
    if isinstance(layer, Elementwise):
        for branch in layer.activation.branches:
            if branch.trend is not Trend.CONSTANT:
                found |= branch.domain.contains(values).all(axis=0)
    return found
