"""The operators that are read, by domain and name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nninvert.errors import FormatError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.operators import (
    activations,
    affine,
    attending,
    choosing,
    elementary,
    grids,
    learners,
    merging,
    normalising,
    parts,
    products,
    reducing,
    shapes,
    windows,
)
from nninvert.layers import Layer

Operator = Callable[[Call], list[Layer]]

OPERATORS: dict[tuple[str, str], Operator] = {
    **{
        ("", name): operator
        for name, operator in {
            "Abs": activations.absolute,
            "Add": elementary.add,
            "Attention": attending.attention,
            "AveragePool": grids.average_pool,
            "BatchNormalization": affine.batch_normalization,
            "Cast": shapes.cast,
            "CastLike": shapes.identity,
            "Celu": activations.celu,
            "Clip": activations.clip,
            "Concat": merging.concatenate,
            "Conv": windows.convolution,
            "ConvTranspose": windows.transposed_convolution,
            "DepthToSpace": grids.depth_to_space,
            "Div": elementary.divide,
            "Dropout": shapes.dropout,
            "Einsum": products.einsum,
            "Elu": activations.elu,
            "Exp": activations.named("exponential"),
            "Expand": grids.expand,
            "Flatten": shapes.flatten,
            "Gather": parts.gather,
            "Gelu": activations.gelu,
            "Gemm": affine.gemm,
            "GlobalAveragePool": grids.global_average,
            "GlobalMaxPool": grids.global_max,
            "GroupNormalization": normalising.group_normalization,
            "HardSigmoid": activations.hard_sigmoid,
            "HardSwish": activations.named("hard_silu"),
            "Identity": shapes.identity,
            "InstanceNormalization": normalising.instance_normalization,
            "LayerNormalization": normalising.layer_normalization,
            "LeakyRelu": activations.leaky_relu,
            "LogSoftmax": activations.log_softmax,
            "LpNormalization": normalising.lp_normalization,
            "MatMul": affine.matmul,
            "MaxPool": grids.max_pool,
            "Max": elementary.maximum,
            "Mean": merging.average,
            "Min": elementary.minimum,
            "Mish": activations.named("mish"),
            "Mul": elementary.multiply,
            "Neg": elementary.negative,
            "PRelu": activations.prelu,
            "Pad": grids.pad,
            "Pow": merging.power,
            "RMSNormalization": normalising.rms_normalization,
            "ReduceMax": reducing.extreme(1.0),
            "ReduceMean": reducing.added(mean=True),
            "ReduceMin": reducing.extreme(-1.0),
            "ReduceProd": reducing.product,
            "ReduceSum": reducing.added(mean=False),
            "ReduceSumSquare": reducing.sum_of_squares,
            "Relu": activations.named("relu"),
            "Reshape": shapes.reshape,
            "Resize": grids.resize,
            "Selu": activations.selu,
            "Shrink": activations.shrink,
            "Sigmoid": activations.named("sigmoid"),
            "Slice": parts.slice_,
            "Softmax": activations.softmax,
            "Softplus": activations.named("softplus"),
            "Softsign": activations.named("softsign"),
            "SpaceToDepth": grids.space_to_depth,
            "Squeeze": shapes.squeeze,
            "Sum": merging.total,
            "Sub": elementary.subtract,
            "Swish": activations.swish,
            "Tanh": activations.named("tanh"),
            "ThresholdedRelu": activations.thresholded_relu,
            "Tile": grids.tile,
            "Transpose": shapes.transpose,
            "Unsqueeze": shapes.unsqueeze,
            "Upsample": grids.resize,
            "Where": choosing.where,
        }.items()
    },
    ("ai.onnx.ml", "ArrayFeatureExtractor"): parts.feature_extractor,
    ("ai.onnx.ml", "LinearClassifier"): learners.linear_classifier,
    ("ai.onnx.ml", "LinearRegressor"): learners.linear_regressor,
    ("ai.onnx.ml", "Normalizer"): normalising.normalizer,
    ("ai.onnx.ml", "Scaler"): learners.scaler,
    ("ai.onnx.ml", "ZipMap"): shapes.identity,
}
"""What each becomes: layers in a row, for its only signal or for all of them packed."""

SEVERAL: dict[tuple[str, str], Callable[[Call], list[list[Layer]]]] = {
    ("", "Split"): parts.split,
}
"""Operators with several outputs: layers for each."""

_NUMBERS_AT: dict[tuple[str, str], int] = {("ai.onnx.ml", "LinearClassifier"): 1}
"""Which output holds what the operator becomes, where it is not the first."""


def numbers_of(key: tuple[str, str], outputs: Sequence[str]) -> str:
    """The name of the output that holds what the operator becomes."""
    place = _NUMBERS_AT.get(key, 0)
    if place >= len(outputs):
        raise FormatError("outputs", got=str(len(outputs)), expected=f"{place + 1} or more")
    return outputs[place]
