"""Bases for layers that users write themselves, for `nninvert.load(path, layers=...)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from nninvert.context import Context
from nninvert.errors import UsageError
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._linear import LinearLayer
from nninvert.layers._searched import least_squares_step, searched_preimage
from nninvert.linalg.box import Box


class _Unregistered(Layer):
    """A layer that is in no registry, so that it is not written to nninvert's own files."""

    kind = "user"

    def config(self) -> dict[str, Any]:
        """Nothing: the layer is not rebuilt from it."""
        return {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Refuse: only the function that made the layer can make it again."""
        raise UsageError(
            "kind",
            got=repr(cls.kind),
            expected="a layer of nninvert's own",
            because=f"{cls.__name__} is made by the function given as layers=",
        )


class AffineLayer(_Unregistered, LinearLayer):
    """A user's layer y = A x + b: it is solved, and its condition number known.

    A subclass sets `input_shape` and gives `output_shape` and `linear_part`, the map A
    on flattened arrays, for example ``DenseMap(ArrayMatrix(a))``, and b or None.
    """


class SearchedLayer(_Unregistered):
    """A user's layer that is known by its values and slopes alone.

    A subclass sets `input_shape` and gives `output_shape`, `forward` and `linearize`,
    which may return a `DenseLinearization`. The layer has to be continuous, and
    differentiable but for kinks. Preimages are searched for by least squares from several
    starts, and nothing is claimed about other ones. A subclass that knows better overrides
    `facts` and `preimage`; what it says there is believed.
    """

    @property
    def facts(self) -> Facts:
        """Of widths only."""
        n, m = size_of(self.input_shape), size_of(self.output_shape)
        lost = max(n - m, 0)
        reason = f"a layer of the user's ({type(self).__name__}): it is only searched"
        if lost:
            reason = f"maps {n} numbers to {m}: at least {lost} directions of x are lost"
        return Facts(
            one_to_one=False if lost else None,
            onto=False if m > n else None,
            image=None,
            lost=lost,
            reason=reason,
        )

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Least squares from several starts; see `searched_preimage`."""
        return searched_preimage(self, y, radius, context, inside)


class DenseLinearization(Linearization):
    """A linearisation from the whole Jacobian of each row, for layers of small size.

    Parameters
    ----------
    layer : Layer
    y : float64 array, shape (batch, *output_shape)
    jacobian : float64 array, shape (batch, m, n)
        Of the flattened y by the flattened x.
    """

    def __init__(self, layer: Layer, y: Float64, jacobian: Float64) -> None:
        self._layer, self.y, self._jacobian = layer, y, jacobian

    def jvp(self, dx: Float64) -> Float64:
        """J dx."""
        return self._forwards(self._jacobian, dx)

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy."""
        shape = self._layer.output_shape
        flat = dy.reshape(*dy.shape[: dy.ndim - len(shape)], -1)
        found: Float64 = np.einsum("bmn,...bm->...bn", self._jacobian, flat)
        shape = (*flat.shape[:-1], *self._layer.input_shape)
        return np.reshape(found, shape)

    def magnitude(self, dx: Float64) -> Float64:
        """|J| |dx|."""
        return self._forwards(np.abs(self._jacobian), np.abs(dx))

    def _forwards(self, jacobian: Float64, dx: Float64) -> Float64:
        shape = self._layer.input_shape
        flat = dx.reshape(*dx.shape[: dx.ndim - len(shape)], -1)
        found: Float64 = np.einsum("bmn,...bn->...bm", jacobian, flat)
        shape = (*flat.shape[:-1], *self._layer.output_shape)
        return np.reshape(found, shape)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """J^+ dy."""
        return least_squares_step(self._layer, self, dy)
