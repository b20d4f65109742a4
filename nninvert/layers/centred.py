"""Layer and group normalisation: the mean of each group is subtracted, and lost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.layers._ball import Box
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers._groups import Groups
from nninvert.layers.activations import Interval
from nninvert.layers.mean_square import MeanSquareLayer, epsilon_and_axes
from nninvert.linalg.map import LinearMap


class CentredLayer(MeanSquareLayer):
    """``y = (x - mean) / sqrt(variance + epsilon)`` in each group, population variance.

    Only the mean is lost: on units with mean zero it is one-to-one. The linear layer
    before is inverted together with it, so that the mean is solved for.
    """

    @property
    def seen(self) -> LinearMap:
        """All but the mean of each group."""
        return self.groups.centring

    def _counted(self, units: Float64) -> Float64:
        # Twice: the first mean is rounded relative to the units, not to what is left.
        for _ in range(2):
            mean: Float64 = np.mean(units, axis=-1, keepdims=True)
            units = units - mean
        return units

    def _met(self, box: Box) -> tuple[Float64, NDArray[np.bool_]]:
        return box.centred()

    def _smallest(self, box: Box) -> Float64:
        return box.smallest_centred()

    @property
    def _range(self) -> Interval:
        # One unit is far out while all others are equal.
        end = math.sqrt(self.groups.size - 1)
        is_open = self.groups.size > 1
        return Interval(-end, end, lower_open=is_open, upper_open=is_open)

    def _why_lossy(self) -> str:
        count, size = self.groups.count, self.groups.size
        if count == 1:
            return f"subtracts the mean of its {size} inputs: 1 direction of x is lost"
        return (
            f"subtracts from each of {count} groups of {size} inputs their mean: {count} "
            "directions of x are lost"
        )


class LayerNormalization(CentredLayer):
    """``y = (x - mean) / sqrt(variance + epsilon)`` along axes.

    gamma and beta are a `Rescaling` behind it: see `scaling.per_axis_rescaling`. Of
    torch's normalized_shape the axes are the last ones, as many as it has lengths.

    Parameters
    ----------
    input_shape : tuple of int
    axes : tuple of int
        Axes of `input_shape`, not counting the batch, along which mean and variance are
        taken; negative ones count from the end.
    epsilon : float
        Above 0.
    """

    kind = "layer_normalization"

    def __init__(self, input_shape: Shape, axes: tuple[int, ...], epsilon: float) -> None:
        super().__init__(Groups.along(input_shape, axes), epsilon)

    def config(self) -> dict[str, Any]:
        """Axes and epsilon."""
        return {"axes": list(self.groups.axes), "epsilon": self.epsilon}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """There are no weights."""
        return cls(input_shape, *epsilon_and_axes(config))


class GroupNormalization(CentredLayer):
    """``y = (x - mean) / sqrt(variance + epsilon)`` over groups of channels.

    A group is made of neighbouring channels at all places. With as many groups as there
    are channels this is instance normalisation. gamma and beta, one for each channel, are
    a `Rescaling` behind it: see `scaling.per_axis_rescaling`.

    Parameters
    ----------
    input_shape : tuple of int
    groups : int
        Divides the number of channels.
    axis : int
        That of the channels in `input_shape`, not counting the batch: -1 for Keras'
        channels_last, 0 for channels_first, torch and ONNX.
    epsilon : float
        Above 0.
    """

    kind = "group_normalization"

    def __init__(self, input_shape: Shape, groups: int, axis: int, epsilon: float) -> None:
        super().__init__(Groups.of_channels(input_shape, groups, axis), epsilon)
        self.axis = axis % len(input_shape)
        self.group_count = groups

    def config(self) -> dict[str, Any]:
        """Groups, axis and epsilon."""
        return {"groups": self.group_count, "axis": self.axis, "epsilon": self.epsilon}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """There are no weights."""
        return cls(input_shape, config["groups"], config["axis"], config["epsilon"])
