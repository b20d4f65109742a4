"""Bare weights in NPZ and HDF5: names, orientation, activations, what is left out."""

import h5py
import numpy as np
import pytest
from keras_files import forward

from nninvert import formats
from nninvert.errors import DataError, FormatError, UsageError
from nninvert.formats import ReadOptions
from nninvert.formats.bare import HIDDEN_TRIED
from nninvert.linalg.file_matrix import FileMatrix

RNG = np.random.default_rng(7)
W1, W2, W3 = (RNG.normal(size=shape) for shape in ((5, 4), (3, 5), (3, 3)))
B1, B2, B3 = (RNG.normal(size=n) for n in (5, 3, 3))
S1, S2 = (RNG.normal(size=(3, 3)) for _ in range(2))
X = RNG.normal(size=(6, 4))
TANH = ReadOptions(activations="tanh")


def _npz(tmp_path, **arrays):
    path = str(tmp_path / "m.npz")
    np.savez(path, **arrays)
    return path


def _h5(tmp_path, **arrays):
    path = str(tmp_path / "m.h5")
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
    return path


def _two(x=X):
    return np.tanh(W2 @ np.tanh(W1 @ x.T + B1[:, None]) + B2[:, None]).T


SCHEMES = {
    "W1 b1": {"W1": W1, "b1": B1, "W2": W2, "b2": B2},
    "transposed W1": {"W1": W1.T, "b1": B1, "W2": W2.T, "b2": B2},
    "any order": {"b2": B2, "W2": W2, "b1": B1, "W1": W1},
    "w1 B1": {"w1": W1, "B1": B1, "w2": W2, "B2": B2},
    "weights0 bias0": {"weights0": W1, "bias0": B1, "weights1": W2, "bias1": B2},
    "row biases": {"W1": W1.T, "b1": B1[None], "W2": W2.T, "b2": B2[None]},
    "column biases": {"W1": W1, "b1": B1[:, None], "W2": W2, "b2": B2[:, None]},
    "kernel": {"fc_1/kernel": W1.T, "fc_1/bias": B1, "fc_2/kernel": W2.T, "fc_2/bias": B2},
    "torch": {"0.weight": W1, "0.bias": B1, "2.weight": W2, "2.bias": B2},
    "words": {"hl_weights": W1, "hl_bias": B1, "ol_weights": W2, "ol_bias": B2},
    "words as stored": {"enc_W": W1, "enc_b": B1, "dec_W": W2, "dec_b": B2},
    "positional": {"arr_0": W1.T, "arr_1": B1, "arr_2": W2.T, "arr_3": B2},
    "positional rows": {"arr_0": W1.T, "arr_1": B1[None], "arr_2": W2.T, "arr_3": B2[None]},
}


@pytest.mark.parametrize("case", SCHEMES)
def test_names_and_orientations_in_npz(tmp_path, case):
    net = formats.load(_npz(tmp_path, **SCHEMES[case]), TANH)
    np.testing.assert_allclose(forward(net, X), _two(), rtol=1e-12)
    assert net.source.format == "NPZ weights"


@pytest.mark.parametrize(
    "case", [c for c in SCHEMES if "stored" not in c and "posit" not in c]
)
def test_names_and_orientations_in_hdf5(tmp_path, case):
    net = formats.load(_h5(tmp_path, **SCHEMES[case]), TANH)
    np.testing.assert_allclose(forward(net, X), _two(), rtol=1e-12)
    assert net.source.format == "HDF5 weights"


def test_2_comes_before_10(tmp_path):
    matrices = {f"W{k}": RNG.normal(size=(2, 2)) for k in range(1, 13)}
    net = formats.load(_npz(tmp_path, **matrices), ReadOptions(activations="linear"))
    expected = np.eye(2)
    for k in range(1, 13):
        expected = matrices[f"W{k}"] @ expected
    np.testing.assert_allclose(net.forward(np.eye(2)).T, expected, rtol=1e-12)


AMBIGUOUS = {
    "W1": ({"W1": S1, "W2": S2}, False, "textbooks"),
    "kernel": ({"a_1/kernel": S1, "a_2/kernel": S2}, True, "'kernel'"),
    "torch": ({"0.weight": S1, "2.weight": S2}, False, "'.weight'"),
    "arr": ({"arr_0": S1, "arr_1": S2}, True, "Keras weights"),
    "rows": ({"W1": S1, "b1": B2[None] * 0, "W2": S2}, True, "rows"),
    "columns": (
        {"w1_kernel": S1, "w1_b": B2[:, None] * 0, "w2_kernel": S2},
        False,
        "columns",
    ),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_square_matrices_are_read_by_custom_and_noted(tmp_path, case):
    arrays, in_out, why = AMBIGUOUS[case]
    path = _npz(tmp_path, **arrays)
    linear = ReadOptions(activations="linear")
    net = formats.load(path, linear)
    x = np.eye(3)
    by_columns, by_rows = (S2 @ S1 @ x).T, x @ S1 @ S2
    np.testing.assert_allclose(
        net.forward(x), by_rows if in_out else by_columns, rtol=1e-12
    )
    (note,) = net.source.notes
    other = "out,in" if in_out else "in,out"
    assert why in note
    assert note.endswith(f"--orientation {other}")
    turned = formats.load(path, ReadOptions(activations="linear", orientation=other))
    np.testing.assert_allclose(
        turned.forward(x), by_columns if in_out else by_rows, rtol=1e-12
    )
    assert not turned.source.notes


def test_shapes_win_over_names_and_that_is_noted(tmp_path):
    path = _npz(
        tmp_path, **{"0.weight": W1.T, "0.bias": B1, "2.weight": W2.T, "2.bias": B2}
    )
    net = formats.load(path, TANH)
    np.testing.assert_allclose(forward(net, X), _two(), rtol=1e-12)
    assert net.source.notes == (
        "read as in,out, y = x W + b: the shapes fit only this way",
    )


def test_a_bias_decides_for_a_square_neighbour(tmp_path):
    """W3 is square, but stands behind one that is not."""
    path = _npz(tmp_path, W1=W2.T, b1=B2, W2=W3.T, b2=B3)
    net = formats.load(path, ReadOptions(activations="linear"))
    x = np.eye(5)
    np.testing.assert_allclose(net.forward(x), (x @ W2.T + B2) @ W3.T + B3, rtol=1e-12)
    assert not net.source.notes


def test_an_orientation_that_the_shapes_forbid(tmp_path):
    path = _npz(tmp_path, **SCHEMES["W1 b1"])
    with pytest.raises(
        FormatError, match=r"with --orientation in,out, expected --orient.* out,in"
    ):
        formats.load(path, ReadOptions(activations="tanh", orientation="in,out"))


def test_an_unknown_orientation_explains_both():
    with pytest.raises(UsageError, match=r"out,in \(each row.*in,out \(each column.*Keras"):
        ReadOptions(orientation="rows")


def test_shapes_that_do_not_follow_are_shown(tmp_path):
    path = _npz(tmp_path, W1=np.ones((5, 4)), W2=np.ones((3, 6)))
    with pytest.raises(
        FormatError, match=r"W1 \(5, 4\), W2 \(3, 6\), expected matrices of"
    ):
        formats.load(path, TANH)


def test_a_bias_of_the_wrong_length(tmp_path):
    path = _npz(tmp_path, W1=W1, b1=np.ones(7))
    with pytest.raises(FormatError, match=r"W1 \(5, 4\), b1 \(7,\)"):
        formats.load(path, TANH)


@pytest.mark.parametrize("write", [_npz, _h5])
def test_without_activations_the_error_shows_what_to_write(tmp_path, write):
    path = write(tmp_path, **SCHEMES["W1 b1"])
    with pytest.raises(UsageError) as caught:
        formats.load(path)
    assert str(caught.value) == (
        f"{path} > --activations: got none for 2 matrices: W1 (5, 4), W2 (3, 5), expected "
        "one for each matrix, or one for all because weights alone do not tell which "
        "activations stand between them. For example: --activations tanh,linear"
    )
    found = formats.describe(path)
    assert [item.activation for item in found.layers] == ["?", "?"]
    assert [(item.name, item.input_shape, item.output_shape) for item in found.layers] == [
        ("W1", (4,), (5,)),
        ("W2", (5,), (3,)),
    ]


def test_activations_one_for_each(tmp_path):
    path = _npz(tmp_path, **SCHEMES["W1 b1"])
    net = formats.load(path, ReadOptions(activations="leaky_relu:0.1, softmax"))
    h = W1 @ X.T + B1[:, None]
    e = np.exp(W2 @ np.where(h < 0, 0.1 * h, h) + B2[:, None]).T
    np.testing.assert_allclose(
        forward(net, X), e / e.sum(axis=1, keepdims=True), rtol=1e-12
    )


@pytest.mark.parametrize("text", ["tanh,tanh,tanh", "tanh,,tanh"])
def test_activations_in_another_number(tmp_path, text):
    path = _npz(tmp_path, **SCHEMES["W1 b1"])
    with pytest.raises(UsageError, match=r"got 3: .*expected 2, one for each matrix"):
        formats.load(path, ReadOptions(activations=text))


@pytest.mark.parametrize("text", ["tanhh", "", "tanh,"])
def test_unknown_activations(tmp_path, text):
    path = _npz(tmp_path, **SCHEMES["W1 b1"])
    with pytest.raises(UsageError, match=r"activation: got '.*expected one of"):
        formats.load(path, ReadOptions(activations=text))


def test_what_is_no_weight_is_left_out_and_named(tmp_path):
    path = _npz(
        tmp_path,
        **SCHEMES["W1 b1"],
        seed=np.array(3),
        loss_history=np.ones(20),
        X_mean=np.ones(4),
        latents=np.ones((10, 8)),
        label=np.array("text"),
    )
    net = formats.load(path, TANH)
    np.testing.assert_allclose(forward(net, X), _two(), rtol=1e-12)
    assert net.source.notes == (
        "left out, as their names are not those of weights: seed, loss_history, X_mean, "
        "latents, label",
    )


REFUSED = {
    "lone bias": ({"W1": W1, "b2": B2}, "the bias 'b2' without a matrix"),
    "batch norm": ({"W1": W1, "gamma": B1}, "'gamma', which is no part of a Dense"),
    "recurrent": ({"W_x": W1, "U_x": np.ones((5, 5))}, "'U_x', which is no part"),
    "convolution": ({"W1": np.ones((3, 3, 1, 2))}, r"'W1' \(3, 3, 1, 2\)"),
    "vector": ({"W1": np.ones(4)}, "a matrix and a bias vector"),
    "bias matrix": ({"W1": W1, "b1": np.ones((5, 5))}, "a matrix and a bias vector"),
    "complex": ({"W1": W1 * 1j}, "complex128"),
    "empty": ({"W1": np.ones((0, 4))}, "a matrix and a bias vector"),
    "data": (
        {"states": np.ones((9, 3)), "times": np.ones(9)},
        r"no names such as.*states \(9, 3\)",
    ),
    "two of a kind": ({"W1": W1, "weights1": W1}, "two arrays with one role"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_rather_than_half_read(tmp_path, case):
    arrays, match = REFUSED[case]
    path = _npz(tmp_path, **arrays)
    with pytest.raises(FormatError, match=match) as caught:
        formats.load(path, TANH)
    assert caught.value.file == path


def test_pickled_objects_are_never_unpickled(tmp_path):
    path = _npz(tmp_path, wb=np.array([[W1], [None]], dtype=object))
    with pytest.raises(DataError, match="'wb': got pickled Python objects"):
        formats.load(path, TANH)
    path = _npz(tmp_path, W1=W1, W2=np.array([[W1], [None]], dtype=object))
    with pytest.raises(DataError, match="'W2': got pickled"):
        formats.load(path, TANH)


def test_hdf5_without_a_model_says_what_is_in_it(tmp_path):
    path = _h5(tmp_path, temperature=np.ones((3, 2)), time=np.ones(3))
    with pytest.raises(
        FormatError, match=r"without a model.*temperature \(\(3, 2\) float64\)"
    ):
        formats.load(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(FormatError, match="it holds nothing"):
        formats.load(path)


def test_text_in_hdf5_is_left_out_unread(tmp_path):
    path = _h5(tmp_path, **SCHEMES["W1 b1"])
    with h5py.File(path, "a") as file:
        file["comment"] = "trained on Monday"
    net = formats.load(path, TANH)
    assert "comment" in net.source.notes[0]


def test_large_matrices_stay_in_the_file(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(400, 500))
    for stored in (kernel, np.asfortranarray(kernel), kernel.astype(">f8")):
        path = _npz(tmp_path, W1=stored)
        net = formats.load(path, ReadOptions(activations="linear", orientation="out,in"))
        matrix = net.graph.nodes[0].layer.matrix
        assert matrix.column_major == np.isfortran(stored)
        base = matrix.transposed if matrix.column_major else matrix
        assert isinstance(base, FileMatrix)
        np.testing.assert_array_equal(matrix.to_float64(), kernel)


def test_candidates_hold_the_truth_and_the_likelier_come_first(tmp_path):
    """Square matrices stored the other way round, sigmoid inside, softmax at the end."""
    path = _npz(tmp_path, W1=S1.T, b1=B2, W2=S2.T, b2=B3)
    x = RNG.normal(size=(5, 3))
    e = np.exp(1.0 / (1.0 + np.exp(-(x @ S1.T + B2))) @ S2.T + B3)
    y = e / e.sum(axis=1, keepdims=True)
    tried = list(formats.candidates(path))
    fitting = [o for o, net in tried if np.abs(net.forward(x) - y).max() < 1e-12]
    assert fitting == [ReadOptions(activations="sigmoid,softmax", orientation="in,out")]
    assert tried[0][0] == ReadOptions(activations="tanh,tanh", orientation="out,in")
    assert len(tried) == len({(o.activations, o.orientation) for o, _ in tried})
    assert len(HIDDEN_TRIED) * 2 < len(tried) <= 140


def test_candidates_keep_to_the_orientation_that_fits(tmp_path):
    path = _npz(tmp_path, **SCHEMES["transposed W1"])
    assert {o.orientation for o, _ in formats.candidates(path)} == {"in,out"}
    single = _npz(tmp_path, W1=W1, b1=B1)
    texts = [o.activations for o, _ in formats.candidates(single)]
    assert texts[:3] == ["linear", "sigmoid", "softmax"]
    assert len(texts) == len(set(texts))
