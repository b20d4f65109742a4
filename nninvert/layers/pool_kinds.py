"""Windows that are given by their number, and the one window over all there is.

What average and max pooling of these kinds share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from nninvert.layers._base import Layer, Shape, Weights
from nninvert.layers.pool_windows import PoolAxis, adaptive_axes, whole_axes
from nninvert.layers.window_geometry import (
    CHANNELS_LAST,
    per_axis,
    split_shape,
    with_channels,
)


class AdaptiveWindows(Layer):
    """A given number of windows of about equal size.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    output_size : int or sequence of int
        Windows along each spatial axis.
    data_format : str, default "channels_last"
        Or "channels_first".
    """

    def __init__(
        self,
        input_shape: Shape,
        output_size: int | Sequence[int],
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, _ = split_shape(input_shape, data_format)
        self.input_shape, self.data_format = input_shape, data_format
        self.output_size = per_axis(output_size, len(sizes), "output_size")
        self._windows = adaptive_axes(sizes, self.output_size)

    @property
    def windows(self) -> tuple[PoolAxis, ...]:
        """Those that divide each axis."""
        return self._windows

    def config(self) -> dict[str, Any]:
        """Size and data format."""
        return {"output_size": list(self.output_size), "data_format": self.data_format}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class WholeGrid(Layer):
    """One window over all cells.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    keepdims : bool, default False
        Whether the spatial axes stay, with a size of 1.
    data_format : str, default "channels_last"
        Or "channels_first".
    """

    def __init__(
        self,
        input_shape: Shape,
        keepdims: bool = False,
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, _ = split_shape(input_shape, data_format)
        self.input_shape, self.data_format = input_shape, data_format
        self.keepdims = keepdims
        self._windows = whole_axes(sizes)

    @property
    def windows(self) -> tuple[PoolAxis, ...]:
        """One over all cells."""
        return self._windows

    @property
    def output_shape(self) -> Shape:
        """The channels alone, or with axes of size 1."""
        sizes, channels = split_shape(self.input_shape, self.data_format)
        if not self.keepdims:
            return (channels,)
        return with_channels((1,) * len(sizes), channels, self.data_format)

    def config(self) -> dict[str, Any]:
        """Whether axes stay, and the data format."""
        return {"keepdims": self.keepdims, "data_format": self.data_format}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)
