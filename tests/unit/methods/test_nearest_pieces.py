"""Networks with kinks: pieces, cells, and the nearest x beside exact answers."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context
from nninvert.layers import Elementwise, PReLU
from nninvert.layers.activations import activation_from_text
from nninvert.methods import Domain, Problem, Targets
from nninvert.methods.nearest import nearest_rows
from nninvert.methods.pieces import Pieces, is_straight, knots
from nninvert.rootfind.quadratic import Outcome, solve_quadratic
from tests.problems import dense, network

BOX = 1.5


def elementwise(text):
    return Elementwise((1,), activation_from_text(text))


def kinked_net(seed, sizes, activation="relu"):
    """A random net whose units have their knots inside the box."""
    rng = np.random.default_rng(seed)
    parts = []
    for a, b in pairwise(sizes):
        parts += [dense(rng.normal(size=(b, a)) / np.sqrt(a), 0.4 * rng.normal(size=b))]
        parts += [activation]
    return network(*parts[:-1])


def problem_of(net, y, tol, near):
    y = np.atleast_2d(y)
    box = np.full(net.n_in, BOX)
    return Problem(
        net,
        Targets.of_array(y, nan_is_free=False),
        Domain.box(-box, box),
        np.broadcast_to(tol, y.shape).copy(),
        np.tile(near, (y.shape[0], 1)),
        True,
        Context(),
    )


def nearest_of_all_cells(net, scale, y, tol, near):
    """The exact answer: one quadratic program in each cell of a piecewise affine net."""
    pieces, n = Pieces(net), net.n_in
    best = np.inf
    for choice in product((0, 1), repeat=pieces.units):
        pattern = np.array(choice)
        flat = pieces.linearize(np.zeros((1, n)), pattern)
        low, high = pieces.edges(pattern)
        found = solve_quadratic(
            -near / scale,
            flat.dense() * scale,
            np.concatenate([y - tol, low]) - flat.y[0],
            np.concatenate([y + tol, high]) - flat.y[0],
            np.full(n, -BOX) / scale,
            np.full(n, BOX) / scale,
        )
        if found.outcome is Outcome.OPTIMAL:
            best = min(best, float(np.linalg.norm(found.x - near / scale)))
    return best


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu", (0.0,)),
        ("leaky_relu:0.1", (0.0,)),
        ("relu6", (0.0, 6.0)),
        ("hard_tanh", (-1.0, 1.0)),
        ("selu", (0.0,)),
        ("soft_shrink", (-0.5, 0.5)),
        ("tanh", ()),
        ("elu", ()),
        ("silu", ()),
        # Values jump there: no way across.
        ("hard_shrink", ()),
    ],
)
def test_knots_are_where_slopes_jump(text, expected):
    assert knots(elementwise(text)) == expected


def test_what_is_straight_between_knots():
    for text in ("relu", "leaky_relu:0.1", "relu6", "hard_tanh", "soft_shrink", "linear"):
        assert is_straight(elementwise(text))
    for text in ("tanh", "selu", "elu", "silu", "softplus"):
        assert not is_straight(elementwise(text))
    assert is_straight(PReLU((2,), np.array([0.5, -0.5])))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu:0.2", "selu", "hard_tanh"])
def test_a_piece_is_the_network_on_its_cell_and_smooth_beyond(rng, activation):
    net = kinked_net(3, (4, 6, 5, 2), activation)
    pieces = Pieces(net)
    assert pieces.units == 11
    x, far = rng.normal(size=4), 5.0 * rng.normal(size=4)
    entering = pieces.entering(x)
    pattern = pieces.pattern(entering)
    piece = pieces.linearize(x[None], pattern)
    np.testing.assert_allclose(piece.y[0, :2], net.forward(x[None])[0], atol=1e-14)
    np.testing.assert_allclose(piece.y[0, 2:], entering, atol=1e-14)
    step = 1e-6 * np.eye(4)
    for place in (x, far):
        ahead = pieces.linearize(place + step, pattern).y
        behind = pieces.linearize(place - step, pattern).y
        dense_there = pieces.linearize(place[None], pattern).dense()
        np.testing.assert_allclose((ahead - behind).T / 2e-6, dense_there, atol=1e-6)
    if pieces.straight:
        # One affine map everywhere, however far from the cell.
        affine = piece.y[0] + piece.dense() @ (far - x)
        np.testing.assert_allclose(
            pieces.linearize(far[None], pattern).y[0], affine, atol=1e-12
        )
    there = pieces.linearize(np.stack([x, far]), pattern)
    d, w = rng.normal(size=(3, 2, 4)), rng.normal(size=(3, 2, 13))
    np.testing.assert_allclose(
        (there.jvp(d) * w).sum(), (there.vjp(w) * d).sum(), rtol=1e-12
    )


@pytest.mark.parametrize("sizes", [(2, 6, 1), (3, 5, 2), (2, 3, 3, 2)])
def test_the_nearest_point_beside_all_cells(sizes):
    """Never nearer than the exact answer, never claimed without being at a local one."""
    met = exact_ones = claimed = 0
    for seed in range(6):
        net, n = kinked_net(seed, sizes), sizes[0]
        scale, rng = input_scale(net), np.random.default_rng(seed)
        near = rng.uniform(-0.5, 0.5, n)
        y = net.forward(rng.uniform(-1.0, 1.0, (1, n)))
        tol = np.full(sizes[-1], 0.05 * np.abs(y).max())
        attempt = nearest_rows(problem_of(net, y, tol, near))
        x = attempt.x[0]
        if (np.abs(net.forward(x[None])[0] - y[0]) > tol).any():
            assert attempt.reason[0].startswith("best local")
            continue
        met += 1
        distance = float(np.linalg.norm((x - near) / scale))
        best = nearest_of_all_cells(net, scale, y[0], tol, near)
        assert distance >= best * (1.0 - 1e-6)
        exact_ones += distance <= best * (1.0 + 1e-6) + 1e-12
        if attempt.reason[0] == "":
            claimed += 1
            around = x + 1e-3 * scale * rng.normal(size=(2000, n))
            good = (np.abs(net.forward(around) - y) <= tol).all(axis=1)
            good &= (np.abs(around) <= BOX).all(axis=1)
            others = np.linalg.norm((around - near) / scale, axis=1)[good]
            assert (others >= distance * (1.0 - 1e-6)).all()
    assert met >= 5
    assert exact_ones >= met - 1
    assert claimed >= met - 1


def test_the_steps_across_kinks_are_what_finds_it(monkeypatch):
    """Without the cells the same rows end farther away, and nothing is claimed of them."""
    net, near = kinked_net(1, (5, 12, 12, 2)), np.zeros(5)
    y = net.forward(np.random.default_rng(0).uniform(-1.0, 1.0, (3, 5)))
    problem = problem_of(net, y, 0.03 * np.abs(y), near)
    with_cells = nearest_rows(problem)
    monkeypatch.setattr("nninvert.methods.pieces.knots", lambda layer: ())
    without = nearest_rows(problem)
    scale = input_scale(net)
    found, before = (
        np.linalg.norm((a.x - near) / scale, axis=1) for a in (with_cells, without)
    )
    assert (found <= before * (1.0 + 1e-6)).all()
    assert (found < before * (1.0 - 1e-5)).any()
    assert with_cells.reason == ("",) * 3


def test_a_kink_that_looks_like_the_end_is_none(monkeypatch):
    """y = x1 - min(x0, 0): on the kink at 0 the slope on the right leads nowhere."""
    monkeypatch.setattr("nninvert.rootfind._search.SECOND_LOOKS", 0)
    hidden = dense(
        np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 9.0, 9.0])
    )
    net = network(hidden, "relu", dense(np.array([[1.0, -1.0, 1.0]])))
    assert net.forward(np.array([[-0.5, 0.5], [2.0, 0.5]])).tolist() == [[1.0], [0.5]]
    attempt = nearest_rows(problem_of(net, [3.0], 2.0, np.zeros(2)))
    square = input_scale(net) ** 2
    expected = square * np.array([-1.0, 1.0]) / square.sum()
    np.testing.assert_allclose(attempt.x[0], expected, atol=1e-6)
    assert attempt.reason == ("",)
