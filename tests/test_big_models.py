"""The writer of large layers, at a small size: every type, read back by the package."""

import numpy as np
import pytest
from big_models import BLOCK_ROWS, TYPES, bias, blocks, write_dense

from nninvert import formats
from nninvert.formats import ReadOptions
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.tolerances import stored_eps

N = BLOCK_ROWS + 600


CASES = [(dtype, ".h5") for dtype in TYPES]
CASES += [(dtype, ".npz") for dtype in TYPES if dtype != "bfloat16"]


@pytest.mark.parametrize(("dtype", "suffix"), CASES)
def test_written_layers_are_read_in_place(tmp_path, dtype, suffix):
    path = write_dense(tmp_path / f"m{suffix}", N, dtype, seed=3)
    options = ReadOptions() if suffix == ".h5" else ReadOptions(activations="tanh")
    net = formats.load(path, options)
    kernel = net.graph.nodes[0].layer.matrix.transposed
    assert isinstance(kernel, FileMatrix)
    assert kernel.stored_name == dtype
    expected = np.vstack(list(blocks(N, 3)))
    eps = 2.0**-7 if dtype == "bfloat16" else stored_eps(dtype)
    atol = 2.0**-25 if dtype == "float16" else 0.0
    np.testing.assert_allclose(kernel.to_float64(), expected, rtol=eps / 2, atol=atol)
    x = np.random.default_rng(0).standard_normal((2, N))
    shift = net.graph.nodes[0].layer.bias.astype(np.float64)
    y = np.tanh(x @ kernel.to_float64() + shift)
    np.testing.assert_allclose(net.forward(x), y, atol=1e-13)


def test_numbers_do_not_depend_on_the_type(tmp_path):
    short = formats.load(write_dense(tmp_path / "a.h5", N, "float32", seed=1))
    double = formats.load(write_dense(tmp_path / "b.h5", N, "float64", seed=1))
    left, right = (net.graph.nodes[0].layer for net in (short, double))
    np.testing.assert_array_equal(left.matrix.to_float64(), right.matrix.to_float64())
    np.testing.assert_array_equal(left.bias, right.bias)
    np.testing.assert_array_equal(left.bias, bias(N, 1))
