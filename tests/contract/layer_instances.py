"""Instances of every kind of layer, several of each, on one and more axes."""

import numpy as np
from problems import conditioned, dense

from nninvert.layers import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    Add,
    Average,
    AveragePooling,
    BatchNormalization,
    Concatenate,
    Contraction,
    Convolution,
    Cropping,
    Dense,
    DepthToSpace,
    Divide,
    EinsumDense,
    Elementwise,
    Gated,
    GlobalAveragePooling,
    GlobalMaxPooling,
    Graph,
    Identity,
    Layer,
    Maximum,
    MaxPooling,
    Minimum,
    Multiply,
    Node,
    Normalization,
    Padding,
    Permute,
    RepeatVector,
    Rescaling,
    Reshape,
    Slice,
    SpaceToDepth,
    Subtract,
    Take,
    Tile,
    TransposedConvolution,
    UpSampling,
)
from nninvert.layers.activations import activation_from_text
from nninvert.layers.attention import MultiHeadAttention
from nninvert.layers.centred import GroupNormalization, LayerNormalization
from nninvert.layers.prelu import PReLU
from nninvert.layers.rms_normalization import RMSNormalization
from nninvert.layers.softmax import LogSoftmax, Softmax
from nninvert.layers.unit_normalization import UnitNormalization
from nninvert.layers.unit_scaling import UnitScaling
from nninvert.linalg.stored import ArrayMatrix

_random = np.random.default_rng(11)


def _normal(*shape: int, dtype: type = np.float64) -> np.ndarray:
    return _random.standard_normal(shape).astype(dtype)


def _positive(*shape: int) -> np.ndarray:
    return _random.uniform(0.5, 2.0, size=shape).astype(np.float32)


def _dense(shape: tuple[int, ...], m: int, bias: bool = True, dtype: type = np.float64):
    n = shape[-1]
    matrix = conditioned(n, 20.0, _random) if m == n else _normal(m, n)
    stored = ArrayMatrix(matrix.astype(dtype))
    return Dense(shape, stored, _normal(m, dtype=dtype) if bias else None)


def _activation(name: str, *shape: int) -> Elementwise:
    return Elementwise(shape, activation_from_text(name))


def graph(*layers: Layer) -> Graph:
    """A chain of layers as one."""
    nodes = [Node(layer, str(k), f"l{k}", "L") for k, layer in enumerate(layers)]
    return Graph(layers[0].input_shape, nodes)


def _centred(*shape: int) -> np.ndarray:
    """A kernel that is mostly its middle tap, which makes the layer well conditioned."""
    kernel = 0.2 * _normal(*shape)
    middle = tuple(k // 2 for k in shape[:-2])
    kernel[middle] += 2.0 * np.eye(*shape[-2:])
    return kernel


def _convolution(shape: tuple[int, ...], kernel: np.ndarray, **options) -> Convolution:
    return Convolution(shape, kernel, _normal(kernel.shape[-1]), **options)


def _transposed(shape: tuple[int, ...], kernel: np.ndarray, **options):
    return TransposedConvolution(shape, kernel, **options)


def _attention(
    shape: tuple[int, int],
    *,
    heads: int,
    d: int,
    width: int,
    made: int,
    bias: bool,
    causal: bool = False,
) -> MultiHeadAttention:
    arrays = {
        "query": 0.5 * _normal(shape[1], heads, d),
        "key": 0.5 * _normal(shape[1], heads, d),
        "value": _normal(shape[1], heads, width),
        "output": _normal(heads, width, made),
    }
    if bias:
        for part in ("query", "key", "value"):
            arrays[f"{part}_bias"] = _normal(*arrays[part].shape[1:], dtype=np.float32)
        arrays["output_bias"] = _normal(made)
    return MultiHeadAttention(shape, arrays, causal)


def _batch_normalization(shape: tuple[int, ...], axes: tuple[int, ...], *names: str):
    size = tuple(shape[axis] for axis in axes)
    arrays = {
        "mean": _normal(*size, dtype=np.float32),
        "variance": _positive(*size),
        "gamma": _positive(*size) * np.float32(-1.0),
        "beta": _normal(*size, dtype=np.float32),
    }
    kept = {name: arrays[name] for name in ("mean", "variance", *names)}
    return BatchNormalization(shape, kept, 1e-3, axes)


INSTANCES: dict[str, list[Layer]] = {
    "batch_normalization": [
        _batch_normalization((4,), (0,), "gamma", "beta"),
        _batch_normalization((3, 4), (-1,), "gamma"),
        _batch_normalization((3, 4), (0,), "beta"),
    ],
    "convolution": [
        _convolution((5, 2), _centred(3, 2, 2), padding="same"),
        _convolution((5, 2), _centred(3, 2, 2), padding=[(1, 1)], padding_mode="circular"),
        _convolution((6, 2), _normal(2, 2, 3), padding="causal", dilation=2),
        _convolution((3, 3, 2), conditioned(2, 5.0, _random)[None, None]),
        _convolution((4, 4, 2), _normal(2, 2, 2, 8), strides=2),
        _convolution((4, 4, 2), _normal(3, 3, 2, 2), strides=2, padding="same"),
        _convolution((5, 4, 1), _normal(1, 1, 1, 2), strides=2),
        _convolution(
            (4, 3, 3),
            _centred(3, 3, 1, 4),
            groups=4,
            padding="same",
            data_format="channels_first",
        ),
        _convolution((2, 2, 2, 1), _normal(2, 2, 2, 1, 2), padding=[1, 0, (0, 1)]),
    ],
    "dense": [
        _dense((5,), 5),
        _dense((5,), 3),
        _dense((3,), 5),
        _dense((2, 3), 3, dtype=np.float32),
        _dense((2, 2, 3), 4, bias=False),
        dense(np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 1.0]), np.ones(3)),
        dense(np.array([[3]], dtype=np.int8)),
    ],
    "elementwise": [
        _activation("tanh", 4),
        _activation("sigmoid", 2, 3),
        _activation("leaky_relu:0.1", 2, 3),
        _activation("relu", 4),
        _activation("silu", 4),
        _activation("hard_tanh", 4),
        _activation("thresholded_relu", 4),
        _activation("softplus", 4),
        _activation("elu", 4),
        _activation("tanh_shrink", 4),
    ],
    "graph": [
        graph(_dense((4,), 4), _activation("tanh", 4), _dense((4,), 4)),
        graph(_dense((3,), 6), _activation("relu", 6), _dense((6,), 2)),
        graph(_dense((4,), 8), _dense((8,), 4), _activation("sigmoid", 4)),
        graph(Reshape((2, 3), (6,)), graph(_dense((6,), 6), _activation("elu", 6))),
        graph(_activation("exponential", 3), _activation("relu", 3)),
    ],
    "group_normalization": [
        GroupNormalization((4,), 2, -1, 1e-3),
        GroupNormalization((2, 3, 4), 2, -1, 1e-3),
        GroupNormalization((4, 3), 4, 0, 1e-5),
    ],
    "identity": [Identity((4,)), Identity((2, 3))],
    "layer_normalization": [
        LayerNormalization((4,), (0,), 1e-3),
        LayerNormalization((3, 4), (-1,), 1e-5),
        LayerNormalization((3, 2, 2), (0, 2), 1.0),
    ],
    "log_softmax": [LogSoftmax((4,), 0), LogSoftmax((2, 3), -1)],
    "multi_head_attention": [
        _attention((2, 3), heads=2, d=2, width=2, made=3, bias=True),
        _attention((3, 2), heads=1, d=3, width=2, made=2, bias=False, causal=True),
        _attention((2, 3), heads=2, d=1, width=3, made=2, bias=True),
    ],
    "normalization": [
        Normalization((4,), _normal(4), _positive(4), (0,), invert=False),
        Normalization((2, 4), _normal(4), _positive(4), (-1,), invert=True),
        Normalization((2, 4), _normal(1), _positive(1), (), invert=False),
    ],
    "permute": [Permute((2, 3), (1, 0)), Permute((2, 3, 4), (2, 0, 1))],
    "prelu": [
        PReLU((4,), _positive(4)),
        PReLU((2, 3), np.array([0.5, 0.0, -0.5])),
    ],
    "rescaling": [
        Rescaling((4,), np.array(2.0), np.array(-1.0)),
        Rescaling((2, 3), _normal(3), _normal(2, 1)),
    ],
    "reshape": [Reshape((2, 3), (6,)), Reshape((6,), (-1, 2)), Reshape((4,), (4,))],
    "rms_normalization": [
        RMSNormalization((4,), (0,), 1e-2),
        RMSNormalization((3, 4), (-1,), 1e-3),
        RMSNormalization((3, 2, 2), (0, 2), 1.0),
    ],
    "softmax": [Softmax((4,), 0), Softmax((2, 3), -1)],
    "unit_normalization": [
        UnitNormalization((4,), (0,), 1e-12),
        UnitNormalization((2, 3), (-1,), 1e-6),
        UnitNormalization((2, 3), (0, 1), 2.0),
    ],
    "unit_scaling": [
        UnitScaling((3,), 100.0 * _normal(3), _positive(3), _normal(3)),
        UnitScaling((2, 2), _normal(2, 2), -_positive(2, 2), _normal(2, 2)),
    ],
    "transposed_convolution": [
        _transposed((4, 2), _centred(3, 2, 2), padding="same"),
        _transposed((2, 3), _normal(2, 4, 3), strides=2),
        _transposed((2, 2, 4), _normal(2, 2, 1, 4), strides=2),
        _transposed(
            (2, 3, 2),
            _normal(3, 2, 2, 2),
            strides=(2, 1),
            padding=(1, 0),
            output_padding=(1, 0),
            data_format="channels_first",
        ),
    ],
    "adaptive_average_pooling": [
        AdaptiveAveragePooling((5, 7, 2), (2, 3)),
        AdaptiveAveragePooling((2, 6), 2, "channels_first"),
    ],
    "average_pooling": [
        AveragePooling((4, 6, 2), 2),
        AveragePooling((7, 2), 3, strides=2),
        AveragePooling((5, 4, 2), (2, 3), strides=1, padding="same"),
        AveragePooling(
            (2, 5, 7),
            3,
            strides=2,
            padding=[1, (1, 0)],
            ceil_mode=True,
            count_padding=True,
            data_format="channels_first",
        ),
        AveragePooling((2, 4, 2, 1), 2, padding="same"),
    ],
    "cropping": [Cropping((3, 4), [(1, 1), (0, 2)]), Cropping((5,), [(0, 0)])],
    "depth_to_space": [
        DepthToSpace((2, 3, 8), 2),
        DepthToSpace((8, 2, 3), 2, "CRD", "channels_first"),
    ],
    "global_average_pooling": [
        GlobalAveragePooling((3, 4, 2)),
        GlobalAveragePooling((3, 4), True, "channels_first"),
    ],
    "padding": [
        Padding((3, 4), [(1, 2), 0], value=2.0),
        Padding((2, 3, 2), [(1, 0), (0, 2), 0]),
        *(
            Padding((3, 4), [(1, 2), (2, 0)], mode=mode)
            for mode in ("edge", "reflect", "symmetric", "circular")
        ),
    ],
    "repeat_vector": [RepeatVector((3,), 4), RepeatVector((2, 3), 1)],
    "space_to_depth": [
        SpaceToDepth((4, 2, 3), 2),
        SpaceToDepth((2, 2, 6), 2, "CRD", "channels_first"),
    ],
    "tile": [Tile((2, 3), (2, 1)), Tile((3,), (2,))],
    "upsampling": [
        UpSampling((3, 2, 2), (2, 3)),
        UpSampling((2, 3), 2, data_format="channels_first"),
        UpSampling((3, 2, 2), (2, 3), interpolation="linear"),
        UpSampling((3, 2, 2), (2, 3), interpolation="linear_corners"),
    ],
    "adaptive_max_pooling": [
        AdaptiveMaxPooling((5, 7, 2), (2, 3)),
        AdaptiveMaxPooling((2, 3), 4, "channels_first"),
    ],
    "global_max_pooling": [
        GlobalMaxPooling((3, 4, 2)),
        GlobalMaxPooling((3, 4), True, "channels_first"),
    ],
    "max_pooling": [
        MaxPooling((4, 6, 2), 2),
        MaxPooling((5, 4, 2), (2, 3), strides=1, padding="same"),
        MaxPooling(
            (2, 5, 7),
            3,
            strides=2,
            padding=[1, (1, 0)],
            ceil_mode=True,
            data_format="channels_first",
        ),
        MaxPooling((7, 1), 3, strides=2, dilation=2),
        MaxPooling((2, 1), 2, strides=1, padding=[1]),
        MaxPooling((4, 4, 2), 1, strides=2),
    ],
    "einsum_dense": [
        EinsumDense((2, 3), "abc,cd->abd", conditioned(3, 5.0, _random), _normal(3)),
        EinsumDense((3, 2), "abc,bd->adc", _normal(3, 2), _normal(2, 1)),
        EinsumDense((2, 3), "...x,xyz->...yz", _normal(3, 2, 2)),
        EinsumDense((2, 3, 2), "abcd,cde->abe", _normal(3, 2, 4)),
        EinsumDense((2, 3), "abc,bcd->abd", _normal(2, 3, 3)),
        EinsumDense((2, 3), "abc,cd->ad", _normal(3, 2)),
    ],
    "add": [Add([(4,), (4,)]), Add([(2, 3), (3,), (2, 1)])],
    "average": [Average([(3,), (3,), (3,)]), Average([(2, 2), (2, 2)])],
    "concatenate": [Concatenate([(2,), (3,)]), Concatenate([(2, 2), (2, 1)], axis=1)],
    "contraction": [
        Contraction([(2, 3), (3, 2)], "ij,jk->ik"),
        Contraction([(2, 2, 3), (3, 2)], "hij,jh->ih"),
        Contraction([(2, 1), (3, 2)], "ij,ki->kji"),
    ],
    "divide": [Divide([(3,), (3,)]), Divide([(2, 3), (3,)])],
    "maximum": [Maximum([(3,), (3,), (3,)]), Maximum([(2, 3), (3,)])],
    "minimum": [Minimum([(3,), (3,)]), Minimum([(2, 1), (3,)])],
    "multiply": [Multiply([(3,), (3,), (3,)]), Multiply([(2, 3), (3,)])],
    "slice": [
        Slice((6,), [(1, 5, 2)]),
        Slice((4, 3), [(None, None, -1), (0, 2, None)]),
        Slice((2, 2), [(None, None, None), (-1, None, None)]),
    ],
    "subtract": [Subtract([(4,), (4,)]), Subtract([(2, 3), (3,)])],
    "take": [Take((5,), [4, 0, -3]), Take((3, 2), [1, 1, 0], axis=0), Take((2, 3), [2])],
    "gated": [
        Gated((4,), activation_from_text("sigmoid")),
        Gated((4, 3), activation_from_text("gelu"), axis=0),
        Gated((3, 4), activation_from_text("silu"), gate=0),
        Gated((2, 2), activation_from_text("relu")),
        Gated((6,), activation_from_text("linear")),
    ],
}


def inputs_for(layer: Layer, rows: int = 8) -> np.ndarray:
    """Standard normal inputs, moved off the kinks at which derivatives jump."""
    x = np.random.default_rng(5).standard_normal((rows, *layer.input_shape))
    return np.where(np.abs(x) < 0.05, x + 0.1, x)
