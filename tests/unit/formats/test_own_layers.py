"""Layers of the user's own, given to `load`: in Keras and ONNX files, and refusals."""

import numpy as np
import pytest
from keras_files import dense, draw, layer, sequential, write
from onnx_files import node, plain, tensor

import nninvert
from nninvert.errors import UnsupportedLayerError, UsageError
from nninvert.layers import AffineLayer, DenseLinearization, Rescaling, SearchedLayer
from nninvert.linalg.map import DiagonalMap

KERNEL, BIAS = 2 * np.eye(3, dtype="f4"), draw((3,))[0]
GAIN = draw((3,), seed=1)[0]
X = np.random.default_rng(3).normal(size=(4, 3))


class Cubic(SearchedLayer):
    """y = x + g x^3."""

    output_shape = ()

    def __init__(self, shape, gain):
        self.input_shape = self.output_shape = shape
        self.gain = np.asarray(gain, np.float64)

    def forward(self, x):
        return x + self.gain * x**3

    def linearize(self, x):
        slopes = 1.0 + 3.0 * self.gain * x**2
        return DenseLinearization(self, self.forward(x), slopes[:, :, None] * np.eye(3))


class Gain(AffineLayer):
    """y = g x."""

    output_shape = (3,)

    def __init__(self, gain):
        self.input_shape, self.gain = (3,), np.asarray(gain, np.float64)

    @property
    def linear_part(self):
        return DiagonalMap(self.gain), None


def cubic(data):
    return Cubic(data.input_shape, data.arrays[0])


def keras(tmp_path, class_name="Cubic", **more):
    entry = {**layer(class_name, "own", power=3), **more}
    layers = [dense("a", 3), entry]
    weights = {"a": [KERNEL, BIAS], "own": [GAIN]}
    return write(tmp_path / "m.h5", sequential(layers, (3,)), weights)


def onnx(tmp_path, op_type="Cubic", domain="lab", **more):
    nodes = [
        node("Gemm", "x W b", "h", transB=1),
        node(op_type, "h g", "y", "own", domain, power=3, mode="odd", **more),
    ]
    tensors = [tensor(KERNEL.T, "W"), tensor(BIAS, "b"), tensor(GAIN, "g")]
    path = tmp_path / "m.onnx"
    path.write_bytes(plain(nodes, tensors, ("N", 3)))
    return str(path)


def expected(x):
    h = x @ KERNEL.astype(np.float64) + BIAS
    return h + GAIN * h**3


@pytest.mark.parametrize("write_file", [keras, onnx])
def test_a_layer_is_evaluated_and_inverted(tmp_path, write_file):
    path = write_file(tmp_path)
    with pytest.raises(UnsupportedLayerError, match="own"):
        nninvert.load(path)
    net = nninvert.load(path, layers={"Cubic": cubic})
    assert np.allclose(nninvert.forward(net, X), expected(X), rtol=1e-13, atol=0)
    result = nninvert.invert(net, expected(X))
    assert [status.value for status in result.status] == ["solved"] * 4
    assert np.allclose(result.x, X, atol=1e-7)
    assert nninvert.check(net).verdict.value == "UNDECIDED"


def test_what_the_function_is_given(tmp_path):
    seen = []
    for path in (keras(tmp_path), onnx(tmp_path)):
        nninvert.load(
            path,
            layers={
                "Cubic": lambda d: (
                    seen.append(d) or Rescaling((3,), np.float64(2), np.float64(0))
                )
            },
        )
    first, second = seen
    assert (first.class_name, first.name, first.input_shape) == ("Cubic", "own", (3,))
    assert dict(first.config) == {"name": "own", "power": 3}
    assert (second.class_name, second.name) == ("lab::Cubic", "own")
    assert dict(second.config) == {"power": 3, "mode": "odd"}
    assert np.array_equal(second.arrays[0], GAIN)


def test_an_affine_layer_is_solved(tmp_path):
    net = nninvert.load(keras(tmp_path), layers={"Cubic": lambda d: Gain(d.arrays[0])})
    assert nninvert.check(net).verdict.value == "BIJECTIVE"
    y = nninvert.forward(net, X)
    assert np.allclose(nninvert.invert(net, y).x, X, atol=1e-12)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"registered_name": "lab>Cubic", "module": "my"}, "lab>Cubic"),
        ({"registered_name": "lab>Cubic", "module": "my"}, "Cubic"),
        ({"class_name": "lab>Cubic"}, "lab>Cubic"),
        ({"class_name": "lab>Cubic"}, "Cubic"),
        (
            {"class_name": "Dense", "registered_name": "lab>Dense", "module": "my"},
            "lab>Dense",
        ),
    ],
)
def test_registered_names_of_keras(tmp_path, entry, key):
    net = nninvert.load(keras(tmp_path, **entry), layers={key: cubic})
    assert np.allclose(nninvert.forward(net, X), expected(X))
    package, _, _ = key.rpartition(">")
    if package:
        with pytest.raises(UnsupportedLayerError):
            nninvert.load(keras(tmp_path, **entry), layers={f"other{key}": cubic})


@pytest.mark.parametrize(
    ("write_file", "short", "full"),
    [(keras, "Dense", "keras>Dense"), (onnx, "Gemm", "ai.onnx::Gemm")],
)
def test_what_is_known_is_replaced_on_purpose_only(tmp_path, write_file, short, full):
    path = write_file(tmp_path)

    def doubled(data):
        return Rescaling(data.input_shape, np.float64(2), np.float64(0))

    with pytest.raises(UsageError, match=rf"layer .*layers\['{short}'\].*'{full}'"):
        nninvert.load(path, layers={"Cubic": cubic, short: doubled})
    net = nninvert.load(path, layers={"Cubic": cubic, full: doubled})
    assert np.allclose(nninvert.forward(net, X), 2 * X + GAIN * (2 * X) ** 3)


class Wrong(Cubic):
    def forward(self, x):
        return x[:, :2]


class WrongSlopes(Cubic):
    def linearize(self, x):
        return DenseLinearization(self, self.forward(x)[:, :2], np.ones((2, 2, 3)))


@pytest.mark.parametrize("write_file", [keras, onnx])
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda d: [1.0], r"returns \[1.0\], expected a nninvert Layer"),
        (lambda d: Cubic((5,), 1.0), r"input_shape: got shape \(5,\), expected \(3,\)"),
        (lambda d: Wrong((3,), 1.0), r"forward: got shape \(2, 2\), expected \(2, 3\)"),
        (lambda d: WrongSlopes((3,), 1.0), r"linearize.y: got shape \(2, 2\)"),
    ],
)
def test_functions_that_give_something_else(tmp_path, write_file, make, match):
    with pytest.raises(UsageError, match=match) as caught:
        nninvert.load(write_file(tmp_path), layers={"Cubic": make})
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(tmp_path))
    assert "'own' > layers[" in said


def test_files_without_classes_and_saving_are_refused(tmp_path):
    bare = tmp_path / "w.npz"
    np.savez(bare, W=KERNEL, b=BIAS)
    with pytest.raises(UsageError, match="names no classes"):
        nninvert.load(str(bare), activations="linear", layers={"Cubic": cubic})
    net = nninvert.load(keras(tmp_path), layers={"Cubic": cubic})
    with pytest.raises(UsageError, match=r"layer 1 'own' > kind: got .* class Cubic"):
        nninvert.save(net, str(tmp_path / "out.h5"))
    assert not (tmp_path / "out.h5").exists()
