"""Layers that scale and shift every unit by itself, in inference mode.

BatchNormalization, Normalization and Rescaling are one affine map with a diagonal matrix;
they differ in how scale and shift are stored.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from operator import index
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.errors import DataError, ShapeError
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers._linear import LinearLayer
from nninvert.linalg.map import DiagonalMap, LinearMap

KERAS_EPSILON = 1e-7
"""Keras' backend epsilon, the floor of Normalization's standard deviation."""


class DiagonalLayer(LinearLayer):
    """``y = scale * x + shift`` with arrays that broadcast to the input shape."""

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @abstractmethod
    def scale_and_shift(self) -> tuple[Float64, Float64]:
        """Arrays that broadcast against (*input_shape)."""

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The diagonal and the shift, flattened."""
        scale, shift = self.scale_and_shift()
        diagonal = np.ascontiguousarray(np.broadcast_to(scale, self.input_shape))
        bias = np.broadcast_to(shift, self.input_shape).ravel()
        return DiagonalMap(diagonal.ravel(), self.stored_eps), bias

    @property
    def centre(self) -> Float64:
        """The input that stands for a typical one, shape (*input_shape).

        What is mapped to zero, and zero where a unit is multiplied by zero; layers that
        hold the mean of their inputs say that instead.
        """
        scale, shift = np.broadcast_arrays(*self.scale_and_shift())
        found = np.zeros(scale.shape)
        np.divide(-shift, scale, out=found, where=scale != 0.0)
        return np.broadcast_to(found, self.input_shape)

    @property
    def deviation(self) -> Float64:
        """One unit of each input, shape (*input_shape): what is mapped to a step of 1.

        1 where a unit is multiplied by zero, or by what has no finite reciprocal. Layers
        that hold the deviation of their inputs say that instead.
        """
        scale = np.abs(self.scale_and_shift()[0])
        found = np.ones(scale.shape)
        np.divide(1.0, scale, out=found, where=scale >= np.finfo(np.float64).tiny)
        return np.broadcast_to(found, self.input_shape)

    @property
    def stored_eps(self) -> float:
        """Spacing at 1 of the stored parameters."""
        types = [w.dtype for w in self.weights().values()]
        return max([tolerances.stored_eps(t) for t in types], default=tolerances.EPS64)


def along_axes(
    values: NDArray[np.generic], axes: tuple[int, ...], shape: Shape, field: str
) -> Float64:
    """Reshape a parameter array so that it broadcasts along `axes` of `shape`."""
    wanted = tuple(shape[axis] for axis in axes)
    if values.size != int(np.prod(wanted)):
        raise ShapeError(
            field,
            got=f"shape {values.shape}",
            expected=f"{wanted}, one number for each unit of axes {axes} of {shape}",
        )
    full = [shape[i] if i in axes else 1 for i in range(len(shape))]
    return values.astype(np.float64).reshape(full)


class BatchNormalization(DiagonalLayer):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, stored statistics.

    Parameters
    ----------
    input_shape : tuple of int
    parameters : mapping
        Arrays ``mean``, ``variance`` and, where the layer has them, ``gamma``, ``beta``.
    epsilon : float
    axes : tuple of int
        Axes of `input_shape` (not counting the batch) that have parameters of their own.
    """

    kind = "batch_normalization"

    def __init__(
        self,
        input_shape: Shape,
        parameters: Mapping[str, NDArray[np.generic]],
        epsilon: float,
        axes: tuple[int, ...],
    ) -> None:
        self.input_shape = input_shape
        self.parameters = dict(parameters)
        self.epsilon = epsilon
        self.axes = positive_axes(axes, input_shape)
        for name, values in self.parameters.items():
            along_axes(values, self.axes, input_shape, name)
        require_not_negative(self.parameters["variance"])
        if np.any(self.parameters["variance"].astype(np.float64) + epsilon <= 0.0):
            raise DataError(
                "epsilon",
                got=f"{epsilon:g} with a variance of 0",
                expected="their sum above 0, as it is divided by",
            )

    def scale_and_shift(self) -> tuple[Float64, Float64]:
        """Return gamma / sqrt(variance + epsilon) and beta - mean * scale."""
        arrays = {
            name: along_axes(values, self.axes, self.input_shape, name)
            for name, values in self.parameters.items()
        }
        scale = 1.0 / np.sqrt(arrays["variance"] + self.epsilon)
        scale = scale * arrays.get("gamma", 1.0)
        return scale, arrays.get("beta", 0.0) - arrays["mean"] * scale

    @property
    def centre(self) -> Float64:
        """The stored mean."""
        mean = along_axes(self.parameters["mean"], self.axes, self.input_shape, "mean")
        return np.broadcast_to(mean, self.input_shape)

    @property
    def deviation(self) -> Float64:
        """From the stored variance, whatever gamma is."""
        variance = self.parameters["variance"]
        found = along_axes(variance, self.axes, self.input_shape, "variance")
        return np.broadcast_to(np.sqrt(found + self.epsilon), self.input_shape)

    def config(self) -> dict[str, Any]:
        """Epsilon and axes."""
        return {"epsilon": self.epsilon, "axes": list(self.axes)}

    def weights(self) -> Weights:
        """The parameters as stored."""
        return self.parameters

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the arrays from `weights`."""
        arrays = {name: np.asarray(values) for name, values in weights.items()}
        return cls(input_shape, arrays, config["epsilon"], tuple(config["axes"]))


class Normalization(DiagonalLayer):
    """``y = (x - mean) / max(sqrt(variance), 1e-7)``, or its inverse.

    Parameters
    ----------
    input_shape : tuple of int
    mean, variance : arrays
        Broadcast along `axes`.
    axes : tuple of int
        Axes with statistics of their own; () for one pair of numbers.
    invert : bool
        Undo the normalisation instead.
    """

    kind = "normalization"

    def __init__(
        self,
        input_shape: Shape,
        mean: NDArray[np.generic],
        variance: NDArray[np.generic],
        axes: tuple[int, ...],
        invert: bool,
    ) -> None:
        self.input_shape = input_shape
        self.mean, self.variance = mean, variance
        self.axes = positive_axes(axes, input_shape)
        self.invert = invert
        along_axes(mean, self.axes, input_shape, "mean")
        along_axes(variance, self.axes, input_shape, "variance")
        require_not_negative(variance)

    def scale_and_shift(self) -> tuple[Float64, Float64]:
        """1 / deviation and -mean / deviation; inverted: deviation and mean."""
        mean = along_axes(self.mean, self.axes, self.input_shape, "mean")
        variance = along_axes(self.variance, self.axes, self.input_shape, "variance")
        deviation = np.maximum(np.sqrt(variance), KERAS_EPSILON)
        if self.invert:
            return deviation, mean
        return 1.0 / deviation, -mean / deviation

    @property
    def centre(self) -> Float64:
        """The stored mean; of an inverted layer what it maps to zero."""
        if self.invert:
            return super().centre
        mean = along_axes(self.mean, self.axes, self.input_shape, "mean")
        return np.broadcast_to(mean, self.input_shape)

    def config(self) -> dict[str, Any]:
        """Axes and direction."""
        return {"axes": list(self.axes), "invert": self.invert}

    def weights(self) -> Weights:
        """Mean and variance as stored."""
        return {"mean": self.mean, "variance": self.variance}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the statistics from `weights`."""
        mean, variance = (np.asarray(weights[k]) for k in ("mean", "variance"))
        axes = tuple(config["axes"])
        return cls(input_shape, mean, variance, axes, config["invert"])


class Rescaling(DiagonalLayer):
    """``y = scale x + offset``; scale and offset broadcast against the input shape."""

    kind = "rescaling"

    def __init__(
        self,
        input_shape: Shape,
        scale: NDArray[np.generic],
        offset: NDArray[np.generic],
    ) -> None:
        self.input_shape = input_shape
        self.scale, self.offset = scale, offset
        for name, values in (("scale", scale), ("offset", offset)):
            if not _broadcasts(values.shape, input_shape):
                raise ShapeError(
                    name,
                    got=f"shape {values.shape}",
                    expected=f"one that broadcasts to {input_shape}",
                )

    def scale_and_shift(self) -> tuple[Float64, Float64]:
        """As stored."""
        return self.scale.astype(np.float64), self.offset.astype(np.float64)

    def config(self) -> dict[str, Any]:
        """Nothing beside the arrays."""
        return {}

    def weights(self) -> Weights:
        """Scale and offset."""
        return {"scale": self.scale, "offset": self.offset}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take scale and offset from `weights`."""
        scale, offset = (np.asarray(weights[k]) for k in ("scale", "offset"))
        return cls(input_shape, scale, offset)


def per_axis_rescaling(
    input_shape: Shape,
    gamma: NDArray[np.generic] | None,
    beta: NDArray[np.generic] | None,
    axes: tuple[int, ...],
) -> tuple[Rescaling, ...]:
    """Return the ``y = gamma x + beta`` that follows a normalisation; none of both: ().

    Parameters
    ----------
    input_shape : tuple of int
    gamma, beta : arrays or None
        One number for each unit of `axes`, in the order of these; None for 1 and 0.
    axes : tuple of int
        Axes of `input_shape`, ascending, not counting the batch.
    """
    if gamma is None and beta is None:
        return ()
    places = positive_axes(axes, input_shape)
    stretched = [n if k in places else 1 for k, n in enumerate(input_shape)]
    given = {"gamma": gamma, "beta": beta}
    for name, values in given.items():
        if values is not None:
            along_axes(values, places, input_shape, name)
    scale = np.ones(()) if gamma is None else gamma.reshape(stretched)
    offset = np.zeros(()) if beta is None else beta.reshape(stretched)
    return (Rescaling(input_shape, scale, offset),)


def _broadcasts(shape: Shape, wanted: Shape) -> bool:
    """Whether numpy's rules stretch `shape` to `wanted` itself."""
    ends = zip(reversed(shape), reversed(wanted), strict=False)
    return len(shape) <= len(wanted) and all(a in (1, b) for a, b in ends)


def require_not_negative(variance: NDArray[np.generic]) -> None:
    """Refuse variances below zero: their root is no number."""
    values = variance.astype(np.float64)
    if (values < 0.0).any():
        raise DataError("variance", got=f"{values.min():g}", expected="no negative values")


def positive_axes(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """Count axes from the front; refuse those that `shape` does not have."""
    rank = len(shape)
    if any(not -rank <= axis < rank for axis in axes):
        raise ShapeError("axis", got=str(axes), expected=f"axes of {shape}, from 0")
    return tuple(index(axis) % rank for axis in axes)
