"""Named hard problems and small networks, shared by the tests.

Every function says what is hard about it; all are deterministic.
"""

from dataclasses import replace

import numpy as np

from nninvert.context import Context
from nninvert.layers import Dense, Elementwise, Graph, Layer, Node, Rescaling
from nninvert.layers.activations import activation_from_text
from nninvert.linalg.stored import ArrayMatrix
from nninvert.methods import Domain, Problem, Targets
from nninvert.network import Network

Float64 = np.ndarray

SMOOTH = ("tanh", "sigmoid", "softsign", "softplus", "elu", "selu", "leaky_relu:0.1")
"""One-to-one activations whose slopes stay moderate at standard normal inputs."""


def hilbert(n: int) -> Float64:
    """1 / (i + j + 1): condition number about e^(3.5 n)."""
    return 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1.0)


def wilkinson(n: int) -> Float64:
    """Ones on the diagonal and in the last column, -1 below: LU grows by 2^(n-1)."""
    matrix = np.eye(n) - np.tril(np.ones((n, n)), -1)
    matrix[:, -1] = 1.0
    return matrix


def kahan(n: int, angle: float = 1.2) -> Float64:
    """Triangular with no small diagonal entry, yet nearly singular."""
    s, c = np.sin(angle), np.cos(angle)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


def with_singular_values(
    values: Float64, shape: tuple[int, int], rng: np.random.Generator
) -> Float64:
    """A random matrix of this shape with the given singular values."""
    m, n = shape
    k = min(m, n)
    u = np.linalg.qr(rng.standard_normal((m, m)))[0][:, :k]
    v = np.linalg.qr(rng.standard_normal((n, n)))[0][:, :k]
    return (u * values) @ v.T


def conditioned(n: int, condition: float, rng: np.random.Generator) -> Float64:
    """A square matrix with logarithmically spaced singular values from 1 down."""
    return with_singular_values(np.geomspace(1.0, 1.0 / condition, n), (n, n), rng)


def dense(matrix: Float64, bias: Float64 | None = None, shape=None) -> Dense:
    """A Dense layer from A (n_out, n_in)."""
    matrix = np.atleast_2d(np.asarray(matrix))
    return Dense(shape or (matrix.shape[1],), ArrayMatrix(matrix), bias)


def network(*parts: str | Layer | Float64, shape: tuple[int, ...] | None = None) -> Network:
    """A chain: names of activations, matrices A (n_out, n_in), numbers (offsets), layers.

    >>> network(np.eye(2), "tanh").n_out
    2
    """
    first = parts[0]
    if shape is None:
        shape = first.input_shape if isinstance(first, Layer) else (np.shape(first)[1],)
    start, nodes = shape, []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            layer: Layer = Elementwise(shape, activation_from_text(part))
        elif isinstance(part, Layer):
            layer = part
        elif np.ndim(part) == 2:
            layer = dense(part, shape=shape)
        else:
            layer = Rescaling(shape, np.ones(()), np.asarray(part, dtype=np.float64))
        nodes.append(Node(layer, str(index), f"layer_{index}", type(layer).__name__))
        shape = layer.output_shape
    return Network.of_graph(Graph(start, nodes))


def random_net(
    rng: np.random.Generator,
    n: int = 6,
    depth: int = 3,
    activation: str = "tanh",
    condition: float = 10.0,
    last: bool = True,
) -> Network:
    """Square layers of one condition number, biases of size 0.1, an activation each."""
    parts: list[str | Layer | Float64] = []
    for k in range(depth):
        matrix = conditioned(n, condition, rng)
        parts.append(dense(matrix, 0.1 * rng.standard_normal(n)))
        if last or k < depth - 1:
            parts.append(activation)
    return network(*parts)


def saturated_tanh() -> Network:
    """tanh of the input itself: float32 targets of exactly 1 say only z >= 9.01."""
    return network(np.eye(2), "tanh")


def hidden_gelu() -> Network:
    """gelu(tanh(x) - 9) + 0.5 is 0.5 for every x, as gelu underflows against 0.5.

    The value before the offset comes back as 0, and the origin of 0 that lies nearest is
    z = 0: outside of what tanh(x) - 9 can be. Whoever believes that origin "proves" that
    nothing reaches 0.5.
    """
    return network(np.eye(1), "tanh", np.array([-9.0]), "gelu", np.array([0.5]))


def dead_relu(rng: np.random.Generator, n: int = 6) -> Network:
    """A relu net in which half of the hidden units never fire near the origin."""
    bias = np.where(np.arange(2 * n) % 2 == 0, -5.0, 1.0)
    first = dense(rng.standard_normal((2 * n, n)), bias)
    return network(first, "relu", rng.standard_normal((n, 2 * n)))


def bottleneck(rng: np.random.Generator) -> Network:
    """32 to 64 to 32 without an activation between: one square map."""
    return network(
        dense(rng.standard_normal((64, 32)) / 8.0, rng.standard_normal(64)),
        dense(rng.standard_normal((32, 64)) / 8.0, rng.standard_normal(32)),
        "tanh",
    )


def wide_net(rng, n_in=6, hidden=12, n_out=3):
    """More inputs than outputs: a family of x for each y."""
    return network(
        dense(
            rng.normal(size=(hidden, n_in)) / np.sqrt(n_in), 0.1 * rng.normal(size=hidden)
        ),
        "tanh",
        dense(rng.normal(size=(n_out, hidden)) / np.sqrt(hidden)),
    )


def asked(
    net,
    y,
    *,
    near=None,
    within=None,
    lower=None,
    upper=None,
    constraints=None,
    wanted=None,
    context=None,
):
    """A problem from plain arrays."""
    y = np.atleast_2d(np.asarray(y, dtype=np.float64))
    if wanted is not None:
        y = np.where(wanted, y, np.nan)
    open_ends = Domain.unlimited(net.n_in)
    bounds = Domain.box(
        open_ends.lower if lower is None else np.asarray(lower, dtype=np.float64),
        open_ends.upper if upper is None else np.asarray(upper, dtype=np.float64),
    )
    if constraints is not None:
        bounds = replace(bounds, constraints=constraints)
    rows = y.shape[0]
    centre = np.zeros(net.n_in) if near is None else np.asarray(near, dtype=np.float64)
    return Problem(
        net,
        Targets.of_array(y, nan_is_free=True),
        bounds,
        None if within is None else np.broadcast_to(within, y.shape).copy(),
        np.tile(centre, (rows, 1)),
        near is not None,
        context or Context(),
    )
