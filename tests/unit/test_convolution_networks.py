"""Networks of convolutions from end to end: checked, inverted, written and read again."""

import numpy as np
import pytest
from problems import network

import nninvert
from nninvert.layers import (
    Add,
    BatchNormalization,
    Convolution,
    Elementwise,
    Graph,
    Node,
    TransposedConvolution,
)
from nninvert.layers.activations import activation_from_text
from nninvert.network import Network
from nninvert.outcome import Verdict


def centred(rng, *shape):
    """A kernel that keeps most of what it sees at its middle tap."""
    kernel = 0.1 * rng.standard_normal(shape)
    kernel[tuple(k // 2 for k in shape[:-2])] += np.eye(*shape[-2:])
    return kernel.astype(np.float32)


def normalisation(rng, shape):
    size = shape[-1]
    arrays = {
        "mean": rng.standard_normal(size).astype(np.float32),
        "variance": rng.uniform(0.5, 2.0, size).astype(np.float32),
    }
    return BatchNormalization(shape, arrays, 1e-3, (-1,))


def there_and_back(rng):
    """8 x 8 x 3 to 4 x 4 x 12 and back, every layer one-to-one."""
    down = Convolution(
        (8, 8, 3), rng.standard_normal((2, 2, 3, 12)), rng.standard_normal(12), strides=2
    )
    small = down.output_shape
    round_ = Convolution(
        small, centred(rng, 3, 3, 12, 12), padding="same", padding_mode="circular"
    )
    up = TransposedConvolution(small, 0.1 * rng.standard_normal((2, 2, 3, 12)), strides=2)
    inside = Convolution((8, 8, 3), centred(rng, 3, 3, 3, 3), padding="same")
    return network(
        down, normalisation(rng, small), "leaky_relu:0.3", round_, "elu", up, "tanh", inside
    )


def test_a_bijective_one_is_found_to_be_so_and_inverted(rng):
    net = there_and_back(rng)
    assert nninvert.check(net).verdict is Verdict.BIJECTIVE
    x = 0.3 * rng.standard_normal((3, net.n_in))
    found = nninvert.invert(net, nninvert.forward(net, x))
    assert found.solved.all()
    np.testing.assert_allclose(found.x.reshape(x.shape), x, rtol=1e-7, atol=1e-7)


def test_wide_then_narrow_without_a_bend_between_is_one_square_map(rng):
    wide = Convolution((6, 6, 2), centred(rng, 3, 3, 2, 6), padding="same")
    narrow = Convolution(wide.output_shape, centred(rng, 3, 3, 6, 2), padding="same")
    net = network(wide, normalisation(rng, wide.output_shape), narrow)
    assert nninvert.check(net).verdict is Verdict.BIJECTIVE


def test_a_residual_block_that_the_symbol_shows_to_be_a_contraction_is_bijective(rng):
    """Too large for its matrix: x + tanh(A x), A a convolution of norm below 1."""
    shape = (32, 32, 3)
    kernel = 0.05 * rng.standard_normal((3, 3, 3, 3))
    inside = Convolution(shape, kernel, padding="same")
    net = Network.of_graph(
        Graph(
            shape,
            [
                Node(inside, "0", "inside", "Conv2D"),
                Node(Elementwise(shape, activation_from_text("tanh")), "1", "bend", "tanh"),
                Node(Add((shape, shape)), "2", "add", "Add", (-1, 1)),
            ],
        )
    )
    assert nninvert.check(net).verdict is Verdict.BIJECTIVE
    x = rng.standard_normal((2, net.n_in))
    found = nninvert.invert(net, nninvert.forward(net, x))
    assert found.solved.all()
    np.testing.assert_allclose(found.x, x.reshape(found.x.shape), atol=1e-9)


def test_strides_lose_what_they_must(rng):
    net = network(Convolution((8, 8, 2), centred(rng, 3, 3, 2, 2), strides=2), "sigmoid")
    report = nninvert.check(net)
    assert report.verdict is Verdict.SURJECTIVE
    assert report.layers[0].one_to_one is False
    assert report.layers[0].reason == (
        "maps 128 numbers to 18: at least 110 directions of x are lost"
    )
    x = rng.standard_normal((2, net.n_in))
    found = nninvert.invert(net, nninvert.forward(net, x))
    assert found.solved.all()


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_kernels_in_the_order_of_torch_are_written_and_read(rng, tmp_path, suffix):
    weight = rng.standard_normal((4, 2, 3, 3)).astype(np.float32)
    layer = Convolution(
        (4, 6, 5),
        np.moveaxis(weight, (1, 0), (-2, -1)),
        rng.standard_normal(4).astype(np.float16),
        groups=2,
        padding=1,
        data_format="channels_first",
    )
    net = network(layer, "tanh")
    path = str(tmp_path / f"net.{suffix}")
    nninvert.save(net, path)
    again = nninvert.load(path)
    x = rng.standard_normal((3, net.n_in))
    np.testing.assert_array_equal(nninvert.forward(again, x), nninvert.forward(net, x))
    read = again.graph.nodes[0].layer
    assert read.kernel.dtype == np.float32
    assert read.bias.dtype == np.float16
