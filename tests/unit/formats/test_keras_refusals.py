"""What Keras's layers of several axes are refused for, and what no framework was asked."""

import numpy as np
import pytest
from keras_files import dense, draw, forward, layer, sequential, write

from nninvert import formats
from nninvert.errors import FormatError, NninvertError, UnsupportedLayerError

HEADS = {"num_heads": 1, "key_dim": 2, "use_bias": False}


def _one(tmp_path, entry, shape, *arrays, version="2.15.0"):
    name = entry["config"]["name"]
    path = tmp_path / "m.h5"
    return write(path, sequential([entry], shape), {name: arrays}, version=version)


def _conv(**more):
    config = {"filters": 2, "kernel_size": [3], "use_bias": False, **more}
    return layer("Conv1D", "c", **config)


def _timed(class_name, **config):
    return layer("TimeDistributed", "t", layer={"class_name": class_name, "config": config})


KERNEL = draw((3, 4, 2))[0]


@pytest.mark.parametrize(
    ("entry", "shape", "arrays", "match"),
    [
        (_conv(), (5, 3), [KERNEL], "4 channels|3 channels enter"),
        (_conv(filters=5), (5, 4), [KERNEL], "'filters' is 5"),
        (_conv(groups=3), (5, 4), [KERNEL], "groups: got 3"),
        (_conv(groups=0), (5, 4), [KERNEL], "groups: got 0"),
        (_conv(strides=[0]), (5, 4), [KERNEL], "strides"),
        (_conv(padding="wrap"), (5, 4), [KERNEL], "padding"),
        (_conv(), (2, 4), [KERNEL], "m.h5"),
        (_conv(use_bias=True), (5, 4), [KERNEL, KERNEL[0, 0, :1]], r"got shape \(1,\)"),
        (layer("AveragePooling1D", "p"), (5, 4), [], "pool_size: got nothing"),
        (layer("MaxPooling1D", "p", pool_size=9), (5, 4), [], "m.h5"),
        (layer("ZeroPadding2D", "p", padding=[[1, 2, 3], 4]), (5, 4, 1), [], "widths of 2"),
        (layer("Cropping1D", "p", cropping=[3, 3]), (5, 4), [], "m.h5"),
        (
            layer("EinsumDense", "e", equation="ab,bc->ac", output_shape=5),
            (3,),
            [draw((3, 4))[0]],
            r"output_shape: got \[5\]",
        ),
        (
            layer("MultiHeadAttention", "a", **HEADS),
            (3, 2),
            draw((2, 1, 2), (2, 1, 2), (2, 2, 1), (1, 2, 2)),
            r"got shape \(2, 2, 1\)",
        ),
    ],
)
def test_contradictions_are_damage(tmp_path, entry, shape, arrays, match):
    path = _one(tmp_path, entry, shape, *arrays)
    with pytest.raises(FormatError, match=match):
        formats.load(path)


@pytest.mark.parametrize(
    ("entry", "shape", "arrays", "match"),
    [
        (_conv(), (None, 4), [KERNEL], r"input of open length \(\?, 4\)"),
        (_conv(), (4,), [KERNEL], r"on an input of shape \(4,\)"),
        (_conv(), (5, 4), [KERNEL.astype(np.int8)], "quantised, kernel of int8"),
        (layer("UpSampling1D", "u", size=2), (4,), [], "on an input of shape"),
        (_timed("Activation", activation="tanh"), (), [], r"on an input of shape \(\)"),
        (layer("UpSampling2D", "u", interpolation="bicubic"), (2, 2, 1), [], "'bicubic'"),
        (
            layer("LayerNormalization", "n", rms_scaling=True),
            (4,),
            draw(4, 4),
            "rms_scaling",
        ),
        (
            layer("LayerNormalization", "n", axis=[2, 1]),
            (3, 4),
            draw((4, 3), (4, 3)),
            "not ascending",
        ),
        (
            layer("MultiHeadAttention", "a", attention_axes=[2], **HEADS),
            (3, 2),
            draw((2, 1, 2), (2, 1, 2), (2, 1, 2), (1, 2, 2)),
            "attention_axes",
        ),
        (
            layer("MultiHeadAttention", "a", **HEADS),
            (2, 3, 2),
            draw((2, 1, 2), (2, 1, 2), (2, 1, 2), (1, 2, 2)),
            "on an input of shape",
        ),
        (_timed("LSTM", units=2), (3, 4), [], "around 'LSTM'"),
        (_timed("Add"), (3, 4), [], "around 'Add'"),
        (_timed("GlobalMaxPooling1D"), (2, 3, 4), [], "around global_max_pooling"),
        (
            _timed("MaxPooling2D", pool_size=2, data_format="channels_first"),
            (2, 1, 4, 4),
            [],
            "channels_first",
        ),
        (_timed("MaxPooling3D", pool_size=1), (2, 1, 4, 4, 1), [], "windows on 3 axes"),
    ],
)
def test_variants_are_refused_by_name(tmp_path, entry, shape, arrays, match):
    path = _one(tmp_path, entry, shape, *arrays)
    with pytest.raises(UnsupportedLayerError, match=match):
        formats.load(path)
    assert formats.describe(path).layers[0].problem


def test_orders_of_axes_that_keras_1_did_not_keep(tmp_path):
    entries = [
        layer("MaxPooling2D", "a", pool_size=[1, 1], dim_ordering="th"),
        layer("MaxPooling2D", "b", pool_size=[1, 1], dim_ordering="tf"),
        layer("ZeroPadding2D", "c", padding=[1, 1]),
    ]
    weights = {entry["config"]["name"]: [] for entry in entries}
    for kept, order in (
        (entries, None),
        (entries[1:], (4, 5, 4)),
        (entries[::2], (2, 5, 6)),
    ):
        path = write(
            tmp_path / "m.h5", sequential(kept, (2, 3, 4)), weights, version="1.2.2"
        )
        if order is None:
            with pytest.raises(UnsupportedLayerError, match="layers have th and tf"):
                formats.load(path)
        else:
            assert formats.load(path).graph.output_shape == order


@pytest.mark.parametrize("stated", [None, [None, 3], [None, None, None, 2]])
def test_deconvolutions_state_their_output(tmp_path, stated):
    entry = layer(
        "Deconvolution2D",
        "d",
        nb_filter=2,
        nb_row=2,
        nb_col=2,
        bias=False,
        dim_ordering="tf",
        output_shape=stated,
    )
    path = _one(tmp_path, entry, (3, 3, 1), draw((2, 2, 1, 2))[0], version="1.2.2")
    with pytest.raises(NninvertError, match="output_shape"):
        formats.load(path)


def test_root_mean_squares_in_float64(tmp_path, rng):
    (scale,) = draw(4)
    entry = layer("RMSNormalization", "n", epsilon=0.01)
    net = formats.load(_one(tmp_path, entry, (3, 4), scale, version="3.9.0"))
    x = rng.standard_normal((5, 3, 4))
    expected = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 0.01) * scale
    np.testing.assert_allclose(forward(net, x), expected.reshape(5, -1), rtol=1e-14)


@pytest.mark.parametrize(("version", "floor"), [("3.8.0", 1e-12), ("2.15.0", 1e-6)])
def test_lengths_near_zero_are_bounded(tmp_path, version, floor):
    net = formats.load(
        _one(tmp_path, layer("UnitNormalization", "u"), (2,), version=version)
    )
    tiny = np.array([[0.0, 1e-13]])
    np.testing.assert_allclose(net.forward(tiny), tiny / floor, rtol=1e-12)


def test_glu_halves_the_units(tmp_path, rng):
    kernel, bias = draw((3, 4), (4,))
    entry = dense("d", 4, "glu")
    net = formats.load(_one(tmp_path, entry, (3,), kernel, bias, version="3.8.0"))
    x = rng.standard_normal((5, 3))
    a, b = np.split(x @ kernel.astype(float) + bias, 2, axis=1)
    np.testing.assert_allclose(net.forward(x), a / (1 + np.exp(-b)), rtol=1e-12)


@pytest.mark.parametrize(("version", "said"), [("3.8.0", True), ("2.15.0", False)])
def test_averages_at_the_edge_depend_on_the_backend(tmp_path, version, said):
    entry = layer("AveragePooling1D", "p", pool_size=2, padding="same")
    net = formats.load(_one(tmp_path, entry, (3, 1), version=version))
    assert any("AveragePooling" in note for note in net.source.notes) is said
