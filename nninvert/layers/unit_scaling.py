"""From the units that people measure in to those that a network was trained in, or back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import DataError, ShapeError
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers.scaling import DiagonalLayer

_NAMES = ("centre", "scale", "value")


class UnitScaling(DiagonalLayer):
    """``y = scale (x - centre) + value``, with a typical input for the centre.

    Differences from the centre are taken first: what is measured as 101325.02 loses no
    digits to its offset.

    Parameters
    ----------
    input_shape : tuple of int
    centre, scale, value : arrays, shape (*input_shape)
        A typical x, what a step of 1 is multiplied by, and what y is at the centre.

    Raises
    ------
    ShapeError
        If one of them has another shape.
    DataError
        If a scale is zero.
    """

    kind = "unit_scaling"

    def __init__(
        self,
        input_shape: Shape,
        centre: NDArray[np.generic],
        scale: NDArray[np.generic],
        value: NDArray[np.generic],
    ) -> None:
        self.input_shape = input_shape
        self._arrays = dict(zip(_NAMES, (centre, scale, value), strict=True))
        for name, values in self._arrays.items():
            if values.shape != input_shape:
                raise ShapeError(name, got=str(values.shape), expected=str(input_shape))
        if not scale.all():
            raise DataError("scale", got="0", expected="numbers other than 0")
        self._centre, self._scale, self._value = (
            self._arrays[name].astype(np.float64) for name in _NAMES
        )

    def forward(self, x: Float64) -> Float64:
        """Less the centre, then scaled."""
        return self._scale * (x - self._centre) + self._value

    def scale_and_shift(self) -> tuple[Float64, Float64]:
        """The scale, and what 0 becomes."""
        return self._scale, self._value - self._scale * self._centre

    @property
    def centre(self) -> Float64:
        """As given."""
        return self._centre

    def inverse(self) -> UnitScaling:
        """The way back: ``x = (y - value) / scale + centre``."""
        return UnitScaling(self.input_shape, self._value, 1.0 / self._scale, self._centre)

    def config(self) -> dict[str, Any]:
        """Nothing beside the arrays."""
        return {}

    def weights(self) -> Weights:
        """Centre, scale and value."""
        return self._arrays

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the arrays from `weights`."""
        centre, scale, value = (np.asarray(weights[name]) for name in _NAMES)
        return cls(input_shape, centre, scale, value)
