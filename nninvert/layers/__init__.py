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
from nninvert.layers.convolution import Convolution
from nninvert.layers.dense import Dense
from nninvert.layers.elementwise import Elementwise
from nninvert.layers.graph import Graph, Node, Segment
from nninvert.layers.prelu import PReLU
from nninvert.layers.reshape import Identity, Permute, Reshape
from nninvert.layers.scaling import (
    BatchNormalization,
    DiagonalLayer,
    Normalization,
    Rescaling,
)
from nninvert.layers.softmax import LogSoftmax, Softmax
from nninvert.layers.transposed_convolution import TransposedConvolution

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        BatchNormalization,
        Convolution,
        Dense,
        Elementwise,
        Graph,
        Identity,
        LogSoftmax,
        Normalization,
        PReLU,
        Permute,
        Rescaling,
        Reshape,
        Softmax,
        TransposedConvolution,
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
    "AffineRun",
    "BatchNormalization",
    "Convolution",
    "Dense",
    "DiagonalLayer",
    "Elementwise",
    "Facts",
    "Graph",
    "Identity",
    "Layer",
    "LinearLayer",
    "Linearization",
    "LogSoftmax",
    "Node",
    "Normalization",
    "PReLU",
    "Permute",
    "Preimage",
    "Rescaling",
    "Reshape",
    "Segment",
    "Shape",
    "Softmax",
    "TransposedConvolution",
    "Weights",
    "layer_class",
    "size_of",
]
