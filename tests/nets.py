"""Test nets for the solver: architecture x activation x weights x seed, and their targets.

What the figures of ``tests/bench/solver.py`` are measured on. Everything follows from the
seed; seeds of "held_out" are looked at only to measure, never to develop.

>>> case = next(nets(0))
>>> y, x0 = targets(case, rows=100)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import nninvert
from nninvert.layers.activations import Activation, activation_from_text
from nninvert.network import Network

Float64 = np.ndarray
Rng = np.random.Generator
Parts = list[tuple[Float64, Float64]]
"""A (n_out, n_in) and b (n_out,) of each layer."""

SEEDS = {"development": range(5), "held_out": range(1000, 1005)}

SPREAD = 1.2
"""Root mean square of the values before each activation, for x ~ N(0, I)."""

FLAT = 0.05
"""A slope of at most this part of the steepest counts as flat."""

MOSTLY = 0.9
"""A unit is saturated or dead if it is flat for at least this share of the inputs."""

SAMPLES = 2000
"""Inputs by which the biases of random nets are set."""

STEPS, BATCH, RATE = 1000, 64, 4e-3
"""Adam: steps, inputs in each, and step size at the start; it falls to zero as a cosine."""


@dataclass(frozen=True)
class Case:
    """One net and how it was made.

    Attributes
    ----------
    name : str
        ``architecture-activation-weights-seed``; `named` makes it again.
    network : Network
    architecture, activation, weights_kind : str
        Keys of `ARCHITECTURES`, `ACTIVATIONS` and `WEIGHTS`.
    output : str
        The activation of the last layer, of `OUTPUTS`.
    seed : int
    """

    name: str
    network: Network
    architecture: str
    activation: str
    weights_kind: str
    output: str
    seed: int

    @property
    def rng(self) -> Rng:
        """Random numbers that belong to this case, the same at every call."""
        return _rng(self.name, "targets")


@dataclass(frozen=True)
class Unreachable:
    """Targets that no input within the bounds gives, and why.

    Attributes
    ----------
    y : float64 array, shape (rows, n_out)
    lower, upper : float or None
        Bounds of every input; None: not needed for it to hold.
    why : str
    """

    y: Float64
    lower: float | None
    upper: float | None
    why: str


def _rng(*key: object) -> Rng:
    """A generator of its own for each key: no net depends on those made before it."""
    return np.random.default_rng(zlib.crc32("|".join(map(str, key)).encode()))


def _one(rng: Rng) -> list[int]:
    h = int(rng.integers(8, 21))
    return [1, h, h, int(rng.integers(1, 4))]


def _wide(rng: Rng) -> list[int]:
    h = rng.integers(16, 41, 2)
    return [int(rng.integers(10, 61)), int(h[0]), int(h[1]), int(rng.integers(2, 9))]


def _widest(rng: Rng) -> list[int]:
    return [500, 64, 32, int(rng.integers(5, 11))]


def _narrow(rng: Rng) -> list[int]:
    n, h, k = rng.integers(8, 21), rng.integers(16, 25), rng.integers(3, 6)
    return [int(n), int(h), int(k), int(h), int(rng.integers(6, 13))]


def _square(rng: Rng) -> list[int]:
    return [int(rng.integers(5, 41))] * 4


def _tall(rng: Rng) -> list[int]:
    h = int(rng.integers(12, 31))
    return [int(rng.integers(2, 7)), h, h, int(rng.integers(8, 21))]


def _deep(rng: Rng) -> list[int]:
    hidden = [int(h) for h in rng.integers(10, 21, 7)]
    return [int(rng.integers(6, 13)), *hidden, int(rng.integers(2, 7))]


ARCHITECTURES: dict[str, Callable[[Rng], list[int]]] = {
    "one": _one,
    "wide": _wide,
    "widest": _widest,
    "narrow": _narrow,
    "square": _square,
    "tall": _tall,
    "deep": _deep,
}
"""Widths from the input to the output, drawn for each case."""

ACTIVATIONS = {
    "tanh": ("tanh", 2.18, True),
    "sigmoid": ("sigmoid", 4.37, True),
    "elu": ("elu", 3.0, False),
    "leaky_relu": (f"leaky_relu:{FLAT}", 0.0, False),
    "relu": ("relu", 0.0, False),
    "gelu": ("gelu", 2.36, False),
    "softplus": ("softplus", 2.95, False),
    "silu": ("silu", 4.08, False),
}
"""As `activation_from_text` takes it; flat below minus this; flat above this, too."""

OUTPUTS = ("linear", "linear", "linear", "linear", "tanh", "sigmoid", "softmax")
"""What the output activation is drawn from; softmax needs two outputs."""


def nets(seed: int, which: str = "development") -> Iterator[Case]:
    """Make every net of a seed, one after the other; see `names`."""
    return map(named, names(seed, which))


def names(seed: int, which: str = "development") -> list[str]:
    """Every architecture with every activation and both kinds of weights.

    Parameters
    ----------
    seed : int
        One of ``SEEDS[which]``.
    which : {"development", "held_out"}, default "development"
        Has to be said, so that nobody develops on what measures.

    Raises
    ------
    ValueError
        If the seed does not belong to the set.
    """
    if seed not in SEEDS[which]:
        raise ValueError(f"seed {seed}: {which} has {SEEDS[which]}")
    return [
        f"{architecture}-{activation}-{kind}-{seed}"
        for architecture in ARCHITECTURES
        for activation in ACTIVATIONS
        for kind in WEIGHTS
    ]


def named(name: str) -> Case:
    """The one case of this name: ``tall-relu-trained-3``."""
    architecture, activation, kind, seed = name.split("-")
    rng = _rng(name, "widths")
    widths = ARCHITECTURES[architecture](rng)
    output = str(rng.choice(OUTPUTS[:-1] if widths[-1] == 1 else OUTPUTS))
    parts = WEIGHTS[kind](name, widths, activation, output)
    text = ACTIVATIONS[activation][0]
    layers = [(a, b, text) for a, b in parts[:-1]]
    network = nninvert.from_arrays([*layers, (*parts[-1], output)])
    return Case(name, network, architecture, activation, kind, output, int(seed))


def targets(case: Case, rows: int) -> tuple[Float64, Float64]:
    """Reachable targets y = f(x0), and the x0 ~ N(0, I) that no solver is shown."""
    x0 = case.rng.standard_normal((rows, case.network.n_in))
    return case.network.forward(x0), x0


def unreachable(case: Case, rows: int) -> Unreachable:
    """Targets that are out of reach by construction.

    A bounded output activation: beyond its range. Fewer units in the last hidden layer
    than outputs: off the plane that its weights reach. Else: beyond what intervals over a
    box allow the last layer. From far out to hardly: by 1 down to 1e-4 of the size.
    """
    y, _ = targets(case, rows)
    by = np.geomspace(1.0, 1e-4, rows)[:, None]
    if case.output == "softmax":
        return Unreachable(y * (1.0 + by), None, None, "sums to more than 1")
    rng = _rng(case.name, "unreachable")
    chosen = np.arange(case.network.n_out) == rng.integers(
        case.network.n_out, size=(rows, 1)
    )
    if case.output != "linear":
        return Unreachable(np.where(chosen, 1.0 + by, y), None, None, "above the range")
    matrix, _ = affine_parts(case.network)[-1]
    if matrix.shape[1] < matrix.shape[0]:
        off = np.linalg.qr(matrix, mode="complete")[0][:, matrix.shape[1]]
        size = np.linalg.norm(y, axis=1, keepdims=True)
        return Unreachable(y + by * size * off, None, None, "off the plane of the outputs")
    low, high = _output_intervals(case, -3.0, 3.0)
    beyond = np.where(chosen, high + by * (high - low), y)
    return Unreachable(beyond, -3.0, 3.0, "beyond intervals over the box")


def affine_parts(network: Network) -> Parts:
    """A (n_out, n_in) and b (n_out,) of each Dense layer, in float64."""
    found = []
    for node in network.graph.leaves():
        held = node.layer.weights()
        if held:
            kernel = np.asarray(held["kernel"].to_float64())
            found.append((kernel.T, np.asarray(held["bias"], dtype=np.float64)))
    return found


def _output_intervals(case: Case, low: float, high: float) -> tuple[Float64, Float64]:
    """Bounds of a linear output for inputs in a box, layer by layer."""
    *hidden, last = affine_parts(case.network)
    activation = activation_from_text(ACTIVATIONS[case.activation][0])
    lower, upper = np.full(case.network.n_in, low), np.full(case.network.n_in, high)
    for matrix, bias in hidden:
        ends = _affine_interval(matrix, bias, lower, upper)
        lower, upper = (activation.forward(end) for end in ends)
        # silu and gelu fall before they rise; no activation here goes below this.
        if case.activation in ("silu", "gelu"):
            lower = np.full_like(lower, -0.3)
            upper = np.maximum(upper, 0.0)
    return _affine_interval(*last, lower, upper)


def _affine_interval(
    matrix: Float64, bias: Float64, lower: Float64, upper: Float64
) -> tuple[Float64, Float64]:
    centre = matrix @ (0.5 * (lower + upper)) + bias
    radius = np.abs(matrix) @ (0.5 * (upper - lower))
    return centre - radius, centre + radius


def _random(name: str, widths: list[int], activation: str, output: str) -> Parts:
    """Gaussian weights; 15 to 25 % of the hidden units are put where they are flat."""
    rng = _rng(name, "weights")
    return _gaussian(widths, activation, _flat_units(widths[1:-1], rng), rng)


def _gaussian(
    widths: list[int], activation: str, flat: list[np.ndarray], rng: Rng
) -> Parts:
    """Layers scaled to `SPREAD`; the median of a unit that is not to be flat is above zero.

    Else still more units of a deep net would be flat, or none would ever bend.
    """
    text, edge, both = ACTIVATIONS[activation]
    function = activation_from_text(text)
    value = rng.standard_normal((SAMPLES, widths[0]))
    parts: Parts = []
    for k, (n, m) in enumerate(pairwise(widths)):
        matrix = rng.standard_normal((m, n))
        z = value @ matrix.T
        scale = SPREAD / z.std(axis=0).mean()
        matrix, z = scale * matrix, scale * z
        bias = 0.2 * np.abs(rng.standard_normal(m)) - np.median(z, axis=0)
        if k < len(flat):
            units = flat[k]
            above = both & (rng.random(units.size) < 0.5)
            low, high = np.quantile(z[:, units], [0.05, 0.95], axis=0)
            bias[units] = np.where(above, edge - low, -edge - high)
            value = function.forward(z + bias)
        parts.append((matrix, bias))
    return parts


def _flat_units(widths: list[int], rng: Rng) -> list[np.ndarray]:
    """Which units of each hidden layer are to be flat, at most 30 % of any."""
    places = []
    for k, width in enumerate(widths):
        units = rng.permutation(width)[: int(0.3 * width)]
        places += [(k, int(unit)) for unit in units]
    wanted = round(rng.uniform(0.15, 0.25) * sum(widths))
    chosen = [places[i] for i in rng.permutation(len(places))[:wanted]]
    return [
        np.array(sorted(u for layer, u in chosen if layer == k), dtype=np.int64)
        for k in range(len(widths))
    ]


def task(name: str, n_in: int, n_out: int, output: str) -> Callable[[Float64], Float64]:
    """What a trained net learns: ``g_j(x) = sin(u_j . x) + (v_j . x)(w_j . x) / 2``.

    u, v, w are random directions of length 0.5 to 1.5; a bounded output activation is put
    on top of g.
    """
    rng = _rng(name, "task")
    ways = rng.standard_normal((3, n_out, n_in))
    size = rng.uniform(0.5, 1.5, (3, n_out, 1))
    u, v, w = size * ways / np.linalg.norm(ways, axis=2, keepdims=True)

    def function(x: Float64) -> Float64:
        return _ending(output, np.sin(x @ u.T) + 0.5 * (x @ v.T) * (x @ w.T))

    return function


def _ending(output: str, z: Float64) -> Float64:
    """The last activation."""
    if output == "softmax":
        raised = np.exp(z - z.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)
    return activation_from_text(output).forward(z)


def _trained(name: str, widths: list[int], activation: str, output: str) -> Parts:
    """Mean squared error on `task` by Adam, x ~ N(0, I) fresh at each step; float32."""
    wanted = task(name, widths[0], widths[-1], output)
    rng = _rng(name, "weights")
    function = activation_from_text(ACTIVATIONS[activation][0])
    none = [np.zeros(0, dtype=np.int64)] * (len(widths) - 2)
    parts = _gaussian(widths, activation, none, rng)
    flat = [array for part in parts for array in part]
    first = [np.zeros_like(a) for a in flat]
    second = [np.zeros_like(a) for a in flat]
    for step in range(1, STEPS + 1):
        x = rng.standard_normal((BATCH, widths[0]))
        rate = RATE * 0.5 * (1.0 + np.cos(np.pi * step / STEPS))
        slopes = _gradients(parts, function, output, x, wanted(x))
        for a, g, m1, m2 in zip(flat, slopes, first, second, strict=True):
            m1 += 0.1 * (g - m1)
            m2 += 0.001 * (g * g - m2)
            size = np.sqrt(m2 / (1.0 - 0.999**step)) + 1e-8
            a -= rate * m1 / (1.0 - 0.9**step) / size
    return [(a.astype(np.float32), b.astype(np.float32)) for a, b in parts]


def _gradients(
    parts: Parts, function: Activation, output: str, x: Float64, wanted: Float64
) -> list[Float64]:
    """Of half the mean squared error, for A and b of each layer in turn."""
    inputs, before = [x], []
    for matrix, bias in parts[:-1]:
        before.append(inputs[-1] @ matrix.T + bias)
        inputs.append(function.forward(before[-1]))
    z = inputs[-1] @ parts[-1][0].T + parts[-1][1]
    y = _ending(output, z)
    delta = (y - wanted) / x.shape[0]
    if output == "softmax":
        delta = y * (delta - (y * delta).sum(axis=1, keepdims=True))
    else:
        delta = delta * activation_from_text(output).derivative(z)
    slopes: list[Float64] = []
    for k in reversed(range(len(parts))):
        slopes[:0] = [delta.T @ inputs[k], delta.sum(axis=0)]
        if k:
            delta = (delta @ parts[k][0]) * function.derivative(before[k - 1])
    return slopes


WEIGHTS: dict[str, Callable[[str, list[int], str, str], Parts]] = {
    "random": _random,
    "trained": _trained,
}
