"""Larger grids: cells repeated, or values between them interpolated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._axiswise import AxiswiseLayer, times
from nninvert.layers._base import Shape, Weights
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    per_axis,
    split_shape,
)
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.orthogonal import gathering

INTERPOLATIONS = ("nearest", "linear", "linear_corners")


class UpSampling(AxiswiseLayer):
    """Every spatial axis a whole number of times as long.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    factors : int or sequence of int
        How many times as long each spatial axis becomes.
    interpolation : str, default "nearest"
        "nearest": each cell is repeated. "linear": cells are seen as intervals of which
        the value belongs to the middle (Keras' "bilinear", torch's and ONNX's without
        aligned corners). "linear_corners": the first and last cells stay where they are
        (torch's ``align_corners``).
    data_format : str, default "channels_last"
        Or "channels_first".
    """

    kind = "upsampling"

    def __init__(
        self,
        input_shape: Shape,
        factors: int | Sequence[int],
        *,
        interpolation: str = "nearest",
        data_format: str = CHANNELS_LAST,
    ) -> None:
        if interpolation not in INTERPOLATIONS:
            raise ShapeError(
                "interpolation",
                got=repr(interpolation),
                expected=" or ".join(INTERPOLATIONS),
            )
        sizes, _ = split_shape(input_shape, data_format)
        self.input_shape, self.data_format = input_shape, data_format
        self.factors = per_axis(factors, len(sizes), "factors")
        self.interpolation = interpolation

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """Repetition or interpolation along the spatial axes; channels stay."""
        sizes, channels = split_shape(self.input_shape, self.data_format)
        pairs = zip(sizes, self.factors, strict=True)
        along = tuple(self._along(size, factor) for size, factor in pairs)
        still = (IdentityMap(channels),)
        return still + along if self.data_format == CHANNELS_FIRST else along + still

    def _along(self, size: int, factor: int) -> LinearMap:
        made = np.arange(size * factor)
        if self.interpolation == "nearest":
            return gathering((made // factor)[:, None], np.ones(()), size)
        corners = made * ((size - 1) / max(made.size - 1, 1))
        middles = np.clip((made + 0.5) / factor - 0.5, 0.0, size - 1.0)
        place = middles if self.interpolation == "linear" else corners
        first = np.minimum(np.floor(place).astype(np.int64), size - 1)
        second = np.minimum(first + 1, size - 1)
        part = place - first
        weights = np.stack([1.0 - part, part], axis=1)
        return gathering(np.stack([first, second], axis=1), weights, size)

    @property
    def what_it_does(self) -> str:
        """It enlarges."""
        return f"enlarges the grid {times(self.factors)} times"

    def config(self) -> dict[str, Any]:
        """Factors, interpolation and data format."""
        return {
            "factors": list(self.factors),
            "interpolation": self.interpolation,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)
