"""Dense: ``y = x K + b`` on the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._base import Float64, Shape, Weights, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.linalg.map import DenseMap, LinearMap, RepeatedMap
from nninvert.linalg.sparse import SparseMap, SparseMatrix
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix


class Dense(LinearLayer):
    """A fully connected layer without its activation.

    Parameters
    ----------
    input_shape : tuple of int
        Ends in n_in; leading axes are repeated over.
    matrix : StoredMatrix, shape (n_out, n_in)
        A = K^T. A Keras kernel (n_in, n_out) enters as its transpose.
    bias : array, shape (n_out,), or None
        In its stored type.
    """

    kind = "dense"

    def __init__(
        self,
        input_shape: Shape,
        matrix: StoredMatrix,
        bias: NDArray[np.generic] | None,
    ) -> None:
        n_out, n_in = matrix.shape
        if not input_shape or input_shape[-1] != n_in:
            raise ShapeError(
                "kernel",
                got=f"kernel for {n_in} inputs, {n_out} outputs",
                expected=f"one for inputs of shape {input_shape}",
                because="the last axis of the input must match",
            )
        if bias is not None and bias.shape != (n_out,):
            raise ShapeError("bias", got=f"shape {bias.shape}", expected=f"({n_out},)")
        self.input_shape = input_shape
        self.matrix = matrix
        self.bias = bias

    @property
    def output_shape(self) -> Shape:
        """The input's, with the last axis replaced by n_out."""
        return (*self.input_shape[:-1], self.matrix.shape[0])

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The matrix, once for each leading index, and the bias."""
        repeats = size_of(self.input_shape[:-1])
        linear_map: LinearMap
        if isinstance(self.matrix, SparseMatrix):
            linear_map = SparseMap(self.matrix)
        else:
            linear_map = DenseMap(self.matrix)
        bias = None if self.bias is None else self.bias.astype(np.float64)
        if repeats > 1:
            linear_map = RepeatedMap(linear_map, repeats)
            bias = None if bias is None else np.tile(bias, repeats)
        return linear_map, bias

    def config(self) -> dict[str, Any]:
        """Nothing beside the weights."""
        return {}

    def weights(self) -> Weights:
        """``kernel`` (n_in, n_out) and ``bias``, in their stored types."""
        found: dict[str, StoredMatrix | NDArray[np.generic]] = {
            "kernel": self.matrix.transposed
        }
        if self.bias is not None:
            found["bias"] = self.bias
        return found

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take kernel and bias from `weights`."""
        kernel, bias = weights["kernel"], weights.get("bias")
        if not isinstance(kernel, StoredMatrix):
            kernel = ArrayMatrix(kernel)
        if isinstance(bias, StoredMatrix):
            raise ShapeError("bias", got="a matrix", expected="a vector")
        return cls(input_shape, kernel.transposed, bias)
