"""The few BLAS and LAPACK calls against numpy and scipy, on the inside of larger arrays."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from nninvert.linalg.panels.kernels import LapackKernels

SENTINEL = -777.0
DTYPES = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])
SIZES = st.integers(0, 12)
SEEDS = st.integers(0, 2**32 - 1)


class Inside:
    """Random numbers inside a larger array whose other elements must stay."""

    def __init__(self, rng, rows, columns, dtype):
        self.whole = np.full((rows + 5, columns + 3), SENTINEL, dtype, order="F")
        self.block = self.whole[2 : 2 + rows, 1 : 1 + columns]
        self.block[...] = rng.standard_normal((rows, columns))
        self.before = self.block.copy()

    def untouched_outside(self):
        around = self.whole.copy()
        around[2 : 2 + self.block.shape[0], 1 : 1 + self.block.shape[1]] = SENTINEL
        return bool((around == SENTINEL).all())


def close(got, wanted, scale=None):
    bound = 200 * np.finfo(got.dtype).eps * max(1.0, np.abs(wanted).max(initial=0.0))
    return bool((np.abs(got - wanted) <= bound).all())


def swapped(block, pivots, order):
    result = block.copy()
    for i in order:
        j = pivots[i]
        result[[i, j]] = result[[j, i]]
    return result


@given(DTYPES, SIZES, SIZES, SIZES, st.booleans(), SEEDS)
def test_products_are_subtracted_from_the_block_alone(dtype, m, k, n, transposed, seed):
    rng = np.random.default_rng(seed)
    shape = (k, m) if transposed else (m, k)
    a, b, c = (Inside(rng, *s, dtype) for s in (shape, (k, n), (m, n)))
    LapackKernels(dtype).subtract(a.block, b.block, c.block, transposed)
    left = a.before.T if transposed else a.before
    exact = c.before.astype(float) - left.astype(float) @ b.before.astype(float)
    assert close(c.block, exact)
    assert all(x.untouched_outside() for x in (a, b, c))
    assert (a.block == a.before).all()
    assert (b.block == b.before).all()


@given(DTYPES, SIZES, SIZES, SIZES, st.booleans(), SEEDS)
def test_products_are_added_to_the_block_alone(dtype, m, k, n, transposed, seed):
    rng = np.random.default_rng(seed)
    shape = (k, m) if transposed else (m, k)
    a, b, c = (Inside(rng, *s, dtype) for s in (shape, (k, n), (m, n)))
    LapackKernels(dtype).add(a.block, b.block, c.block, transposed)
    left = a.before.T if transposed else a.before
    assert close(c.block, c.before.astype(float) + left.astype(float) @ b.before)
    assert all(x.untouched_outside() for x in (a, b, c))


@given(DTYPES, SIZES, SIZES, st.booleans(), st.booleans(), SEEDS)
def test_triangles_are_solved_with_one_half_of_a_block(
    dtype, n, k, upper, transposed, seed
):
    rng = np.random.default_rng(seed)
    triangle, b = Inside(rng, n, n, dtype), Inside(rng, n, k, dtype)
    triangle.block[...] /= 2 * max(n, 1)
    np.fill_diagonal(triangle.block, 1.5)
    triangle.before = triangle.block.copy()
    kernels = LapackKernels(dtype)
    run = kernels.solve_upper if upper else kernels.solve_lower
    run(triangle.block, b.block, transposed)
    half = np.triu(triangle.before) if upper else np.tril(triangle.before, -1) + np.eye(n)
    matrix = (half.T if transposed else half).astype(float)
    assert close(b.block, np.linalg.solve(matrix, b.before.astype(float)))
    assert triangle.untouched_outside()
    assert b.untouched_outside()
    assert (triangle.block == triangle.before).all()


@given(DTYPES, st.integers(1, 12), SIZES, st.data())
def test_rows_are_exchanged_in_order_and_back(dtype, n, k, data):
    count = data.draw(st.integers(1, n))
    pivots = np.array([data.draw(st.integers(i, n - 1)) for i in range(count)], np.int32)
    b = Inside(np.random.default_rng(0), n, k, dtype)
    kernels = LapackKernels(dtype)
    kernels.swap_rows(b.block, pivots)
    assert (b.block == swapped(b.before, pivots, range(count))).all()
    assert b.untouched_outside()
    kernels.unswap_rows(b.block, pivots)
    assert (b.block == b.before).all()
    assert b.untouched_outside()


@given(DTYPES, st.integers(1, 40), st.integers(1, 12), SEEDS)
def test_tall_panels_are_factored_as_scipy_does(dtype, n, k, seed):
    k = min(n, k)
    panel = Inside(np.random.default_rng(seed), n, k, dtype)
    pivots, zeros = LapackKernels(dtype).factor(panel.block)
    wanted, wanted_pivots = scipy.linalg.lu_factor(panel.before)
    assert zeros == []
    assert pivots.dtype == np.int32
    assert (pivots == wanted_pivots).all()
    assert close(panel.block, wanted)
    assert panel.untouched_outside()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("n", "k"), [(64, 64), (65, 65), (129, 129), (300, 260), (500, 401)]
)
def test_wide_panels_are_factored_by_parts_to_the_same_end(n, k, dtype, rng):
    panel = Inside(rng, n, k, np.dtype(dtype))
    panel.block[:, 200:201] = 0.0
    before = panel.block.copy()
    pivots, zeros = LapackKernels(np.dtype(dtype)).factor(panel.block)
    assert zeros == ([200] if k > 200 else [])
    assert panel.untouched_outside()
    lower = np.tril(panel.block, -1).astype(float) + np.eye(n, k)
    upper = np.triu(panel.block[:k]).astype(float)
    assert np.abs(lower).max() == 1.0
    error = np.abs(lower @ upper - swapped(before, pivots, range(k))).max()
    assert error <= 20 * np.finfo(dtype).eps * np.abs(upper).max()
    if k <= 200:
        assert (pivots == scipy.linalg.lu_factor(before)[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_column_without_a_pivot_is_named_and_the_others_are_factored(dtype, rng):
    whole = np.asfortranarray(rng.standard_normal((30, 8)).astype(dtype))
    whole[:, 2] = 0.0
    whole[:, 5] = 0.0
    before = whole.copy()
    pivots, zeros = LapackKernels(np.dtype(dtype)).factor(whole)
    assert zeros == [2, 5]
    lower = np.tril(whole, -1) + np.eye(30, 8, dtype=dtype)
    product = lower @ np.triu(whole[:8])
    assert close(product, swapped(before, pivots, range(8)))


@pytest.mark.parametrize("columns", [1, 4, 5])
def test_few_columns_and_many_give_the_same_product(columns, rng):
    """Up to four columns are multiplied one by one, in another routine."""
    a = np.asfortranarray(rng.standard_normal((50, 20)))
    b = np.asfortranarray(rng.standard_normal((20, columns)))
    c = np.asfortranarray(rng.standard_normal((50, columns)))
    wanted = c - a @ b
    LapackKernels(np.dtype(np.float64)).subtract(a, b, c)
    assert close(c, wanted)


def test_only_the_two_types_of_factors_are_known():
    with pytest.raises(KeyError):
        LapackKernels(np.dtype(np.float16))


LOADED_APART = """
import sys
import numpy as np
from nninvert.linalg.panels.kernels import LapackKernels

a = np.asfortranarray(np.random.default_rng(1).standard_normal((9, 9)))
factors = a.copy(order="F")
pivots, _ = LapackKernels(np.dtype(np.float64)).factor(factors)
assert "scipy.linalg" not in sys.modules

# What comes later finds the package whole, with the same modules in it.
import scipy.linalg
from scipy.linalg import cython_blas, cython_lapack
import scipy.optimize, scipy.sparse.linalg

assert cython_lapack is sys.modules["scipy.linalg.cython_lapack"]
np.testing.assert_allclose(scipy.linalg.lu_factor(a)[0], factors, rtol=1e-12)
assert (scipy.linalg.lu_factor(a)[1] == pivots).all()
"""


def test_the_package_around_the_routines_is_not_imported():
    """In a process of its own: others have imported it long before."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED_APART], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
