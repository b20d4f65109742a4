"""Self-attention: values by plain loops, products, what is searched and not claimed."""

import numpy as np
import pytest

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.layers import Dense, Graph, LayerNormalization, MultiHeadAttention, Node
from nninvert.layers import _searched as searched
from nninvert.linalg.box import Box
from nninvert.linalg.stored import ArrayMatrix


def arrays(rng, features, heads, d, width, made, bias=True):
    found = {
        "query": rng.standard_normal((features, heads, d)),
        "key": rng.standard_normal((features, heads, d)),
        "value": rng.standard_normal((features, heads, width)),
        "output": rng.standard_normal((heads, width, made)),
    }
    if bias:
        for part in ("query", "key", "value"):
            found[f"{part}_bias"] = rng.standard_normal(found[part].shape[1:])
        found["output_bias"] = rng.standard_normal(made)
    return found


def by_loops(given, x, causal):
    """One row, head by head and position by position."""
    positions = len(x)
    _, heads, d = given["query"].shape
    y = np.zeros((positions, given["output"].shape[2])) + given.get("output_bias", 0.0)
    for head in range(heads):
        parts = {}
        for part in ("query", "key", "value"):
            bias = given.get(f"{part}_bias")
            parts[part] = x @ given[part][:, head] + (0.0 if bias is None else bias[head])
        for at in range(positions):
            seen = range(at + 1) if causal else range(positions)
            scores = [parts["query"][at] @ parts["key"][s] / np.sqrt(d) for s in seen]
            share = np.exp(scores) / np.sum(np.exp(scores))
            mixed = sum(w * parts["value"][s] for w, s in zip(share, seen, strict=True))
            y[at] += mixed @ given["output"][head]
    return y


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_forward_is_the_formula(rng, causal, bias):
    given = arrays(rng, 3, 2, 4, 5, 6, bias)
    layer = MultiHeadAttention((4, 3), given, causal)
    assert layer.output_shape == (4, 6)
    x = rng.standard_normal((5, 4, 3))
    wanted = np.stack([by_loops(given, row, causal) for row in x])
    np.testing.assert_allclose(layer.forward(x), wanted, rtol=1e-12, atol=1e-13)


def test_large_scores_do_not_overflow(rng):
    given = arrays(rng, 3, 1, 2, 2, 3)
    layer = MultiHeadAttention((2, 3), given)
    assert np.isfinite(layer.forward(1e3 * rng.standard_normal((2, 2, 3)))).all()


def test_a_causal_position_sees_nothing_later(rng):
    layer = MultiHeadAttention((4, 3), arrays(rng, 3, 2, 2, 2, 3), causal=True)
    x = rng.standard_normal((1, 4, 3))
    later = x.copy()
    later[:, 2:] += 1.0
    np.testing.assert_array_equal(layer.forward(later)[:, :2], layer.forward(x)[:, :2])
    dx = np.zeros_like(x)
    dx[:, 2:] = 1.0
    np.testing.assert_array_equal(layer.linearize(x).jvp(dx)[:, :2], 0.0)


def test_arrays_of_torch(rng):
    n, heads = 4, 2
    stacked = rng.standard_normal((3 * n, n))
    last, bias = rng.standard_normal((n, n)), rng.standard_normal(3 * n)
    given = {
        "in_proj_weight": stacked,
        "in_proj_bias": bias,
        "out_proj.weight": last,
        "out_proj.bias": np.ones(n),
    }
    layer = MultiHeadAttention.of_torch((3, n), given, heads)
    x = rng.standard_normal((3, n))
    q, k, v = np.split(x @ stacked.T + bias, 3, axis=1)
    joined = np.zeros((3, n))
    for head in range(heads):
        own = slice(head * n // heads, (head + 1) * n // heads)
        scores = np.exp(q[:, own] @ k[:, own].T / np.sqrt(n / heads))
        joined[:, own] = scores / scores.sum(axis=1, keepdims=True) @ v[:, own]
    wanted = joined @ last.T + 1.0
    np.testing.assert_allclose(layer.forward(x[None])[0], wanted, rtol=1e-12)
    with pytest.raises(ShapeError, match="in_proj_weight"):
        MultiHeadAttention.of_torch((3, n), given, 3)


def test_nothing_is_claimed_but_widths(rng):
    square = MultiHeadAttention((2, 3), arrays(rng, 3, 1, 2, 3, 3))
    assert square.facts.one_to_one is None
    assert square.facts.onto is None
    assert square.facts.lost == 0
    assert "not known" in square.facts.reason
    narrow = MultiHeadAttention((2, 3), arrays(rng, 3, 1, 2, 2, 2)).facts
    assert (narrow.one_to_one, narrow.lost) == (False, 2)
    wide = MultiHeadAttention((2, 3), arrays(rng, 3, 1, 2, 2, 4)).facts
    assert (wide.one_to_one, wide.onto) == (None, False)


def test_preimages_are_searched_and_never_unique(rng):
    layer = MultiHeadAttention((2, 3), arrays(rng, 3, 2, 2, 2, 3))
    y = layer.forward(rng.standard_normal((4, 2, 3)))
    radius = np.full(y.shape, 1e-9)
    found = layer.preimage(y, radius, Context())
    assert not found.outside.any()
    assert not found.unique.any()
    assert not found.proved.any()
    assert (found.radius == tolerances.RADIUS_CAP).all()
    assert (np.abs(layer.forward(found.x) - y) <= radius).all()


def test_what_is_not_found_is_outside_without_proof(rng):
    """Values are weighted means of few numbers: y far out has no origin near it."""
    given = arrays(rng, 2, 1, 1, 1, 2, bias=False)
    layer = MultiHeadAttention((2, 2), given)
    # One value for each position times one row of the kernel: y has rank one.
    y = np.array([[given["output"][0, 0][::-1] * [1.0, -1.0], np.ones(2)]])
    found = layer.preimage(y, np.full(y.shape, 1e-6), Context())
    assert found.outside.tolist() == [1]
    assert not found.proved.any()
    off = np.abs(layer.forward(found.x) - y)
    assert found.overshoot[0] == pytest.approx(off.max())
    assert found.unit[0] == off.argmax()
    assert found.value[0] == y.reshape(-1)[off.argmax()]


def test_inside_is_kept(rng):
    layer = MultiHeadAttention((2, 2), arrays(rng, 2, 1, 2, 2, 2))
    x = rng.uniform(0.1, 0.9, (3, 2, 2))
    y = layer.forward(x)
    box = Box(np.zeros(4), np.ones(4), np.zeros(4, dtype=bool), np.full((1, 4), 0.5))
    found = layer.preimage(y, np.full(y.shape, 1e-8), Context(), box)
    assert ((found.x >= 0.0) & (found.x <= 1.0)).all()
    assert not found.outside.any()


def test_steps_by_lsmr_are_those_of_the_dense_jacobian(rng, monkeypatch):
    layer = MultiHeadAttention((3, 2), arrays(rng, 2, 2, 2, 2, 3))
    near = layer.linearize(rng.standard_normal((2, 3, 2)))
    dy = rng.standard_normal((4, *near.y.shape))
    dense = near.solve(dy, Context())
    monkeypatch.setattr(searched.tolerances, "svd_is_cheap", lambda shape: False)
    np.testing.assert_allclose(near.solve(dy, Context()), dense, rtol=1e-6, atol=1e-8)


def test_a_block_of_a_transformer_is_inverted(rng):
    normal = LayerNormalization((2, 3), (-1,), 1e-3)
    attention = MultiHeadAttention((2, 3), arrays(rng, 3, 1, 3, 3, 3))
    dense = Dense((2, 3), ArrayMatrix(rng.standard_normal((3, 3))), rng.standard_normal(3))
    nodes = [Node(attention, "0", "a", "A"), Node(normal, "1", "b", "B")]
    graph = Graph((2, 3), [*nodes, Node(dense, "2", "c", "C")])
    y = graph.forward(rng.standard_normal((2, 2, 3)))
    found = graph.preimage(y, np.full(y.shape, 1e-12), Context())
    np.testing.assert_allclose(graph.forward(found.x), y, rtol=1e-6, atol=1e-6)
    assert not found.unique.any()


def test_arrays_that_do_not_fit(rng):
    given = arrays(rng, 3, 2, 4, 5, 6)
    with pytest.raises(ShapeError, match="key"):
        MultiHeadAttention((2, 3), given | {"key": given["key"][:, :1]})
    with pytest.raises(ShapeError, match="query"):
        MultiHeadAttention((2, 4), given)
    with pytest.raises(ShapeError, match="positions, features"):
        MultiHeadAttention((3,), given)
    with pytest.raises(DataError, match="gate"):
        MultiHeadAttention((2, 3), given | {"gate": given["key"]})
    del given["value"]
    with pytest.raises(DataError, match="value"):
        MultiHeadAttention((2, 3), given)
