"""Averages over windows, over parts of about equal size, or over all there is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from nninvert.layers._axiswise import AxiswiseLayer, times
from nninvert.layers._base import Shape, Weights
from nninvert.layers.pool_kinds import AdaptiveWindows, WholeGrid
from nninvert.layers.pool_windows import PoolAxis, PoolOptions
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Padding,
    split_shape,
)
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.orthogonal import gathering


class AveragingLayer(AxiswiseLayer):
    """Averages of windows, which are the product of windows along each axis."""

    input_shape: Shape
    data_format: str

    @property
    @abstractmethod
    def windows(self) -> tuple[PoolAxis, ...]:
        """The windows along each spatial axis."""

    def average(self, axis: PoolAxis) -> LinearMap:
        """The averages along one axis, over the cells that are there."""
        return gathering(axis.places, 1.0 / axis.real[:, None], axis.size)

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """Averages along the spatial axes; channels stay."""
        averages = tuple(self.average(axis) for axis in self.windows)
        channels = IdentityMap(split_shape(self.input_shape, self.data_format)[1])
        if self.data_format == CHANNELS_FIRST:
            return (channels, *averages)
        return (*averages, channels)

    @property
    def what_it_does(self) -> str:
        """The size of the windows, or of the largest."""
        sizes = tuple(axis.places.shape[1] for axis in self.windows)
        return f"averages {times(sizes)} cells to one"


class AveragePooling(AveragingLayer):
    """Averages over windows along one to three spatial axes.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    pool_size : int or sequence of int
    strides : int, sequence of int or None, default None
        None: as large as the windows.
    padding : str or sequence, default "valid"
        "valid"; "same", by TensorFlow's rule; or for each axis (before, after), or one
        number for both.
    dilation : int or sequence of int, default 1
    ceil_mode : bool, default False
        Add a window that begins inside but reaches beyond the end, as torch does.
    count_padding : bool, default False
        Divide by the cells of the window that lie on the padded grid (torch's and ONNX's
        ``count_include_pad``), not only by those on the grid itself, as Keras does.
    data_format : str, default "channels_last"
        Or "channels_first".

    Raises
    ------
    ShapeError
        If the windows do not fit.
    """

    kind = "average_pooling"

    def __init__(
        self,
        input_shape: Shape,
        pool_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        count_padding: bool = False,
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, _ = split_shape(input_shape, data_format)
        self.input_shape, self.data_format = input_shape, data_format
        self.options = PoolOptions(pool_size, strides, dilation, padding, ceil_mode)
        self.count_padding = count_padding
        self._windows = self.options.axes(sizes)

    @property
    def windows(self) -> tuple[PoolAxis, ...]:
        """As the options say."""
        return self._windows

    def average(self, axis: PoolAxis) -> LinearMap:
        """The averages along one axis; cells of the padding count as zeros, or not."""
        cells = axis.covered if self.count_padding else axis.real
        return gathering(axis.places, 1.0 / cells[:, None], axis.size)

    def config(self) -> dict[str, Any]:
        """The windows, what is counted and the data format."""
        return {
            **self.options.config(),
            "count_padding": self.count_padding,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class AdaptiveAveragePooling(AdaptiveWindows, AveragingLayer):
    """Averages over a given number of windows of about equal size."""

    kind = "adaptive_average_pooling"


class GlobalAveragePooling(WholeGrid, AveragingLayer):
    """The average of each channel."""

    kind = "global_average_pooling"
