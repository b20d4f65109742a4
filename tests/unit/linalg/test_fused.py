"""Products that read the weights once, of matrices stored either way."""

import numpy as np
import pytest

from nninvert.linalg.fused import (
    MapProducts,
    Pace,
    PassInterrupted,
    Scaling,
    StripedProducts,
    gram_of,
    products_of,
    products_of_transpose,
)
from nninvert.linalg.map import ComposedMap, DenseMap, DiagonalMap
from nninvert.linalg.stored import ArrayMatrix

SHAPES = [(40, 40), (60, 35), (35, 60), (1, 7), (7, 1)]


def weights(shape, order, seed=1):
    generator = np.random.default_rng(seed)
    matrix = np.array(generator.standard_normal(shape), dtype=np.float32, order=order)
    return ArrayMatrix(matrix), matrix.astype(np.float64)


def at_leisure():
    return Pace(lambda: False)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [0, 1, 3, 5])
def test_products_are_those_of_the_matrix(shape, order, batch, monkeypatch):
    monkeypatch.setattr("nninvert.tolerances.STRIPE_BYTES", 8 * max(shape) * 4)
    stored, a = weights(shape, order)
    products = StripedProducts(stored, at_leisure())
    generator = np.random.default_rng(2)
    x, y = (generator.standard_normal((batch, size)) for size in (shape[1], shape[0]))
    np.testing.assert_allclose(products.apply(x), x @ a.T, atol=1e-12)
    np.testing.assert_allclose(products.adjoint(y), y @ a, atol=1e-12)
    b = a.T if products.by_columns else a
    start, offset = (y, x) if products.by_columns else (x, y)
    reached, returned = products.there_and_back(start, offset)
    np.testing.assert_allclose(reached, start @ b.T - offset, atol=1e-12)
    np.testing.assert_allclose(returned, (start @ b.T - offset) @ b, atol=1e-11)
    assert products.pace.passes == 3


@pytest.mark.parametrize("order", "CF")
def test_scaled_products(order):
    stored, a = weights((30, 20), order)
    generator = np.random.default_rng(3)
    scaling = Scaling(generator.uniform(0.5, 2, 30), generator.uniform(0.5, 2, 20))
    scaled = scaling.rows[:, None] * a * scaling.columns
    products = StripedProducts(stored, at_leisure(), scaling)
    x, y = generator.standard_normal((2, 20)), generator.standard_normal((2, 30))
    np.testing.assert_allclose(products.apply(x), x @ scaled.T, atol=1e-12)
    np.testing.assert_allclose(products.adjoint(y), y @ scaled, atol=1e-12)
    b = scaled.T if products.by_columns else scaled
    start, offset = (y, x) if products.by_columns else (x, y)
    reached, returned = products.there_and_back(start, offset)
    np.testing.assert_allclose(reached, start @ b.T - offset, atol=1e-12)
    np.testing.assert_allclose(returned, (start @ b.T - offset) @ b, atol=1e-11)


@pytest.mark.parametrize("order", "CF")
def test_the_pair_costs_one_pass_of_a_matrix_and_two_of_a_map(order):
    stored, _ = weights((9, 9), order)
    dense = DenseMap(stored)
    composed = ComposedMap([dense, DiagonalMap(np.full(9, 2.0))])
    vectors = np.ones((2, 9))
    for linear_map, passes in ((dense, 1), (composed, 2)):
        pace = at_leisure()
        products_of(linear_map, pace).there_and_back(vectors, vectors)
        assert pace.passes == passes


def test_transpose_of_a_map_and_of_a_matrix():
    stored, a = weights((6, 4), "C")
    dense = DenseMap(stored)
    y = np.random.default_rng(4).standard_normal((3, 6))
    for linear_map, factor in ((dense, 1.0), (ComposedMap([dense, double(6)]), 2.0)):
        products = products_of_transpose(linear_map, at_leisure())
        assert products.shape == (4, 6)
        np.testing.assert_allclose(products.apply(y), factor * y @ a, atol=1e-13)


def double(n):
    return DiagonalMap(np.full(n, 2.0))


def test_a_pass_stops_in_the_middle(monkeypatch):
    monkeypatch.setattr("nninvert.tolerances.STRIPE_BYTES", 8 * 50 * 10)
    asked = []

    def after_three():
        asked.append(None)
        return len(asked) > 3

    stored, _ = weights((50, 50), "C")
    pace = Pace(after_three)
    with pytest.raises(PassInterrupted):
        StripedProducts(stored, pace).apply(np.ones((1, 50)))
    assert len(asked) == 4
    assert pace.passes == 0


def test_a_map_is_not_asked_when_it_is_time_to_stop():
    def never(x):
        raise AssertionError("no product after the end")

    products = MapProducts((2, 2), never, never, Pace(lambda: True))
    with pytest.raises(PassInterrupted):
        products.apply(np.ones((1, 2)))


def test_whoever_wants_is_told_of_every_pass():
    told = []
    stored, _ = weights((5, 5), "C")
    products = StripedProducts(stored, Pace(lambda: False, told.append))
    for _ in range(3):
        products.apply(np.ones((1, 5)))
    assert told == [1, 2, 3]


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("small", [0, 2**20])
def test_the_gram_product_is_that_of_the_matrix_or_its_transpose(
    shape, order, small, monkeypatch
):
    monkeypatch.setattr("nninvert.tolerances.SMALL_WEIGHTS", small)
    stored, a = weights(shape, order)
    other = not small and stored.column_major
    seen = a.T if other else a
    passes = []
    stripes = type(stored).stripes
    monkeypatch.setattr(
        type(stored), "stripes", lambda *k, **kw: passes.append(1) or stripes(*k, **kw)
    )
    x = np.random.default_rng(2).standard_normal((3, seen.shape[1]))
    found = gram_of(DenseMap(stored))(x)
    np.testing.assert_allclose(found, x @ seen.T @ seen, rtol=1e-10, atol=1e-10)
    assert len(passes) == (0 if small else 1)
