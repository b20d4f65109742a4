"""Division of groups of units by the root of their mean square."""

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


class RMSNormalization(MeanSquareLayer):
    """``y = x / sqrt(mean(x^2) + epsilon)`` along axes: one-to-one, onto an open ball.

    The scale is a `Rescaling` behind it: see `scaling.per_axis_rescaling`.

    Parameters
    ----------
    input_shape : tuple of int
    axes : tuple of int
        Axes of `input_shape`, not counting the batch, along which the mean is taken;
        negative ones count from the end.
    epsilon : float
        Above 0.
    """

    kind = "rms_normalization"

    def __init__(self, input_shape: Shape, axes: tuple[int, ...], epsilon: float) -> None:
        super().__init__(Groups.along(input_shape, axes), epsilon)

    def _counted(self, units: Float64) -> Float64:
        return units

    def _met(self, box: Box) -> tuple[Float64, NDArray[np.bool_]]:
        return box.y.copy(), np.ones((*box.y.shape[:-1], 1), dtype=np.bool_)

    def _smallest(self, box: Box) -> Float64:
        return box.smallest()

    @property
    def _range(self) -> Interval:
        end = math.sqrt(self.groups.size)
        return Interval(-end, end, lower_open=True, upper_open=True)

    def _why_lossy(self) -> str:
        return ""

    def config(self) -> dict[str, Any]:
        """Axes and epsilon."""
        return {"axes": list(self.groups.axes), "epsilon": self.epsilon}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """There are no weights."""
        return cls(input_shape, *epsilon_and_axes(config))
