"""Blocks of cells moved into channels, and channels back into blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from operator import index
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers._linear import LinearLayer
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    split_shape,
    with_channels,
)
from nninvert.linalg.map import LinearMap, PermutationMap
from nninvert.linalg.orthogonal import Places

DEPTH_FIRST, COLUMN_ROW = "DCR", "CRD"
"""ONNX's names for the order of the channels of a block: those of its first cell together,
or those of its first channel together."""


class _BlockLayer(LinearLayer):
    """A permutation of the numbers of a grid with two spatial axes."""

    def __init__(
        self,
        input_shape: Shape,
        block: int,
        mode: str = DEPTH_FIRST,
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, _ = split_shape(input_shape, data_format)
        if len(sizes) != 2:
            raise ShapeError(
                "input shape", got=str(input_shape), expected="two spatial axes"
            )
        if mode not in (DEPTH_FIRST, COLUMN_ROW):
            raise ShapeError("mode", got=repr(mode), expected="'DCR' or 'CRD'")
        if block < 1:
            raise ShapeError("block size", got=str(block), expected="1 or more")
        self.input_shape, self.block = input_shape, index(block)
        self.mode, self.data_format = mode, data_format
        self._output_shape = self._moved_shape()

    @abstractmethod
    def _moved_shape(self) -> Shape:
        """The output shape; refuse inputs that the block does not divide."""

    @property
    def output_shape(self) -> Shape:
        """As many numbers on another grid."""
        return self._output_shape

    def _gathered(self, fine: Places) -> Places:
        """Of a grid (h, w, channels): blocks in channels, (h / b, w / b, channels b b)."""
        b = self.block
        h, w, channels = fine.shape
        parts = fine.reshape(h // b, b, w // b, b, channels)
        order = (0, 2, 1, 3, 4) if self.mode == DEPTH_FIRST else (0, 2, 4, 1, 3)
        return parts.transpose(order).reshape(h // b, w // b, channels * b * b)

    def _order(self, fine_shape: Shape) -> Places:
        """Where each number of the coarse grid stands in the fine one, flat."""
        numbers = np.arange(int(np.prod(fine_shape))).reshape(fine_shape)
        if self.data_format == CHANNELS_FIRST:
            coarse = self._gathered(np.moveaxis(numbers, 0, -1))
            return np.moveaxis(coarse, -1, 0).ravel()
        return self._gathered(numbers).ravel()

    def config(self) -> dict[str, Any]:
        """Block size, order of channels and data format."""
        return {"block": self.block, "mode": self.mode, "data_format": self.data_format}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class SpaceToDepth(_BlockLayer):
    """Blocks of cells become channels; torch's PixelUnshuffle is that with mode "CRD".

    Parameters
    ----------
    input_shape : tuple of int
        Two spatial axes, multiples of the block, and the channels before or after them.
    block : int
    mode : str, default "DCR"
        Channels of the first cell of a block come first, as in TensorFlow and ONNX;
        "CRD": those of the first channel do, as in torch.
    data_format : str, default "channels_last"
        Or "channels_first".
    """

    kind = "space_to_depth"

    def _moved_shape(self) -> Shape:
        sizes, channels = split_shape(self.input_shape, self.data_format)
        if any(size % self.block for size in sizes):
            raise ShapeError(
                "input shape", got=str(self.input_shape), expected=f"blocks of {self.block}"
            )
        small = tuple(size // self.block for size in sizes)
        return with_channels(small, channels * self.block**2, self.data_format)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """A permutation."""
        return PermutationMap(self._order(self.input_shape)), None


class DepthToSpace(_BlockLayer):
    """Channels become blocks of cells; torch's PixelShuffle is that with mode "CRD".

    Parameters
    ----------
    input_shape : tuple of int
        Two spatial axes, and the channels before or after them, a multiple of block**2.
    block : int
    mode : str, default "DCR"
        Channels of the first cell of a block come first, as in TensorFlow and ONNX;
        "CRD": those of the first channel do, as in torch.
    data_format : str, default "channels_last"
        Or "channels_first".
    """

    kind = "depth_to_space"

    def _moved_shape(self) -> Shape:
        sizes, channels = split_shape(self.input_shape, self.data_format)
        if channels % self.block**2:
            raise ShapeError(
                "input shape",
                got=str(self.input_shape),
                expected=f"a multiple of {self.block**2} channels",
            )
        large = tuple(size * self.block for size in sizes)
        return with_channels(large, channels // self.block**2, self.data_format)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The permutation of `SpaceToDepth`, backwards."""
        return PermutationMap(np.argsort(self._order(self.output_shape))), None
