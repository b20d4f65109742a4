"""Matrices along any axes."""

import numpy as np
import pytest
from problems import conditioned

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers import EinsumDense
from nninvert.linalg.factor import factorise
from nninvert.linalg.lu import LuFactor

EQUATIONS = {
    "ab,bc->ac": ((3,), (3, 2)),
    "abc,cd->abd": ((2, 3), (3, 4)),
    "...x,xy->...y": ((2, 3), (3, 3)),
    "...x,xyz->...yz": ((4, 3), (3, 2, 2)),
    "...yz,yzx->...x": ((2, 3), (2, 3, 4)),
    "abc,bd->adc": ((2, 3), (2, 5)),
    "abc,bd->acd": ((2, 3), (2, 5)),
    "abcd,cde->abe": ((2, 3, 2), (3, 2, 5)),
    "abcd,dceg->aegb": ((2, 3, 2), (2, 3, 2, 2)),
    "abc,bcd->abd": ((2, 3), (2, 3, 4)),
    "abc,cbd->adb": ((2, 3), (3, 2, 4)),
    "abc,bc->abc": ((2, 3), (2, 3)),
    "abc,cd->ad": ((2, 3), (3, 2)),
    "abc,cde->abd": ((2, 3), (3, 2, 4)),
    "ab...,bc->ac...": ((3, 2, 2), (3, 4)),
    "abc,d->abcd": ((2, 3), (2,)),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_forward_is_that_of_numpy(equation, rng):
    shape, kernel_shape = EQUATIONS[equation]
    x, kernel = rng.standard_normal((4, *shape)), rng.standard_normal(kernel_shape)
    layer = EinsumDense(shape, equation, kernel)
    expected = np.einsum(equation, x, kernel)
    assert layer.output_shape == expected.shape[1:]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_facts_and_solutions_are_those_of_the_matrix(equation, rng):
    shape, kernel_shape = EQUATIONS[equation]
    layer = EinsumDense(shape, equation, rng.standard_normal(kernel_shape))
    linear_map = layer.linear_part[0]
    matrix = linear_map.dense()
    m, n = matrix.shape
    rank = np.linalg.matrix_rank(matrix)
    assert layer.facts.lost == n - rank
    assert layer.facts.onto is (False if rank < m else None)
    assert bool(layer.facts.reason) == (rank < n)
    factor = factorise(linear_map, Context())
    values = np.linalg.svd(matrix, compute_uv=False)
    assert factor.rank == rank
    assert factor.spectrum().largest == pytest.approx(values[0])
    assert factor.spectrum().smallest == pytest.approx(values[-1], abs=1e-13)
    y = rng.standard_normal((3, m))
    np.testing.assert_allclose(
        factor.solve(y), y @ np.linalg.pinv(matrix).T, rtol=1e-8, atol=1e-10
    )


def test_a_bias_broadcasts_from_the_last_axis(rng):
    x, kernel = rng.standard_normal((4, 2, 3)), rng.standard_normal((3, 5))
    for bias in (rng.standard_normal(5), rng.standard_normal((2, 1))):
        layer = EinsumDense((2, 3), "abc,cd->abd", kernel, bias)
        np.testing.assert_allclose(layer.forward(x), x @ kernel + bias, rtol=1e-12)
    with pytest.raises(ShapeError, match="bias"):
        EinsumDense((2, 3), "abc,cd->abd", kernel, np.zeros(3))


def test_one_matrix_is_factored_however_often_it_is_used(rng):
    kernel = conditioned(8, 50.0, rng).astype(np.float32)
    layer = EinsumDense((40, 8, 25), "abcd,ce->abed", kernel)
    context = Context()
    factor = factorise(layer.linear_part[0], context)
    assert factor.reason.count("1000 equal blocks") == 1
    assert isinstance(factorise(layer.linear_part[0].parts[1].base, context), LuFactor)
    assert factor.spectrum().condition == pytest.approx(50.0, rel=1e-5)
    x = rng.standard_normal((2, 40, 8, 25))
    y = layer.forward(x)
    found = layer.preimage(y, 1e-15 * np.abs(y), context)
    assert found.unique.all()
    np.testing.assert_allclose(found.x, x, rtol=1e-9, atol=1e-9)


def test_the_kernel_keeps_its_type():
    kernel = np.ones((3, 2), dtype=np.float16)
    layer = EinsumDense((3,), "ab,bc->ac", kernel)
    assert layer.weights()["kernel"] is kernel
    assert layer.linear_part[0].stored_eps == np.finfo(np.float16).eps


@pytest.mark.parametrize(
    "equation",
    [
        "abc,cd,de->abe",
        "abc,cd",
        "abc,...d->abd",
        "abc,ca->abc",
        "abc,cd->bad",
        "abb,bd->abd",
        "abc,cc->abc",
        "abc,cd->abe",
        "abcd,cd->abd",
        "ab1,1d->abd",
        "abc,cde->abd",
        "",
    ],
)
def test_refused(equation):
    with pytest.raises(ShapeError, match="equation"):
        EinsumDense((2, 3), equation, np.zeros((3, 4)))


def test_a_kernel_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="3 indices 'c'"):
        EinsumDense((2, 3), "abc,cd->abd", np.zeros((4, 4)))
