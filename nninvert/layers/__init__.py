"""The layers a network is made of, and the registry that names them."""

from nninvert.errors import UnsupportedLayerError
from nninvert.layers._base import (
    Facts,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._linear import LinearLayer
from nninvert.layers.affine_run import AffineRun
from nninvert.layers.attention import MultiHeadAttention
from nninvert.layers.average_pooling import (
    AdaptiveAveragePooling,
    AveragePooling,
    GlobalAveragePooling,
)
from nninvert.layers.block import Block, LinearBlock
from nninvert.layers.centred import GroupNormalization, LayerNormalization
from nninvert.layers.contraction import Contraction
from nninvert.layers.convolution import Convolution
from nninvert.layers.dense import Dense
from nninvert.layers.depth_space import DepthToSpace, SpaceToDepth
from nninvert.layers.einsum_dense import EinsumDense
from nninvert.layers.elementwise import Elementwise
from nninvert.layers.gated import Gated
from nninvert.layers.graph import Graph, Segment
from nninvert.layers.grid_edges import Cropping, Padding
from nninvert.layers.max_pooling import AdaptiveMaxPooling, GlobalMaxPooling, MaxPooling
from nninvert.layers.merge import Add, Average, Combination, Concatenate, Subtract
from nninvert.layers.prelu import PReLU
from nninvert.layers.products import (
    Divide,
    Maximum,
    Minimum,
    Multiply,
    NumberByNumber,
)
from nninvert.layers.repetition import RepeatVector, Tile
from nninvert.layers.reshape import Identity, Permute, Reshape
from nninvert.layers.rms_normalization import RMSNormalization
from nninvert.layers.scaling import (
    BatchNormalization,
    DiagonalLayer,
    Normalization,
    Rescaling,
    per_axis_rescaling,
)
from nninvert.layers.select import Slice, Take
from nninvert.layers.softmax import LogSoftmax, Softmax
from nninvert.layers.transposed_convolution import TransposedConvolution
from nninvert.layers.unit_normalization import UnitNormalization
from nninvert.layers.unit_scaling import UnitScaling
from nninvert.layers.upsampling import UpSampling
from nninvert.layers.user import AffineLayer, DenseLinearization, SearchedLayer
from nninvert.layers.wiring import Node

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
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
        GroupNormalization,
        Identity,
        LayerNormalization,
        LogSoftmax,
        MaxPooling,
        Maximum,
        Minimum,
        MultiHeadAttention,
        Multiply,
        Normalization,
        PReLU,
        Padding,
        Permute,
        RMSNormalization,
        RepeatVector,
        Rescaling,
        Reshape,
        Slice,
        Softmax,
        SpaceToDepth,
        Subtract,
        Take,
        Tile,
        TransposedConvolution,
        UnitNormalization,
        UnitScaling,
        UpSampling,
    )
}


def layer_class(kind: str, place: tuple[int | str, str]) -> type[Layer]:
    """Look a kind up; `place` (index, name) is for the message."""
    if kind not in LAYERS:
        raise UnsupportedLayerError(
            "kind",
            got=repr(kind),
            expected="one of " + ", ".join(sorted(LAYERS)),
            layer=place,
        )
    return LAYERS[kind]


__all__ = [
    "LAYERS",
    "AdaptiveAveragePooling",
    "AdaptiveMaxPooling",
    "Add",
    "AffineLayer",
    "AffineRun",
    "Average",
    "AveragePooling",
    "BatchNormalization",
    "Block",
    "Combination",
    "Concatenate",
    "Contraction",
    "Convolution",
    "Cropping",
    "Dense",
    "DenseLinearization",
    "DepthToSpace",
    "DiagonalLayer",
    "Divide",
    "EinsumDense",
    "Elementwise",
    "Facts",
    "Gated",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "Graph",
    "GroupNormalization",
    "Identity",
    "Layer",
    "LayerNormalization",
    "LinearBlock",
    "LinearLayer",
    "Linearization",
    "LogSoftmax",
    "MaxPooling",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Node",
    "Normalization",
    "NumberByNumber",
    "PReLU",
    "Padding",
    "Permute",
    "Preimage",
    "RMSNormalization",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SearchedLayer",
    "Segment",
    "Shape",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Subtract",
    "Take",
    "Tile",
    "TransposedConvolution",
    "UnitNormalization",
    "UnitScaling",
    "UpSampling",
    "Weights",
    "layer_class",
    "per_axis_rescaling",
    "size_of",
]
