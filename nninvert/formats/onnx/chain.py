"""Layers one after another, each for the shape that the one before gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import UnsupportedLayerError
from nninvert.layers import (
    Dense,
    Elementwise,
    Identity,
    Layer,
    Permute,
    Rescaling,
    Reshape,
    Tile,
    size_of,
)
from nninvert.layers.activations import Activation
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

Shape = tuple[int, ...]

MAX_UNITS = 1 << 24
"""Numbers of one row of a signal."""


def require_room(shape: Shape) -> None:
    """Refuse signals of more numbers than any network has.

    Raises
    ------
    UnsupportedLayerError
    """
    if size_of(shape) > MAX_UNITS:
        raise UnsupportedLayerError(
            "",
            got=f"{size_of(shape):,} numbers in a row",
            expected=f"at most {MAX_UNITS:,}",
        )


class Chain:
    """What an operator becomes.

    All methods hand back the chain itself, so that they can be written in a row.
    """

    def __init__(self, shape: Shape) -> None:
        self.start = self.shape = shape
        self._layers: list[Layer] = []

    @property
    def layers(self) -> list[Layer]:
        """At least one layer."""
        return self._layers or [Identity(self.start)]

    def then(self, layer: Layer) -> Chain:
        """Add a layer of any kind."""
        self._layers.append(layer)
        self.shape = layer.output_shape
        return self

    def dense(self, matrix: StoredMatrix, bias: NDArray[np.generic] | None) -> Chain:
        """Add A (n_out, n_in) on the last axis."""
        return self.then(Dense(self.shape, matrix, bias))

    def affine(self, scale: object, offset: object) -> Chain:
        """Add a scale and a shift, arrays or numbers that broadcast."""
        factors, shifts = np.asarray(scale), np.asarray(offset)
        if not (factors == 1.0).all() or shifts.any():
            self.then(Rescaling(self.shape, factors, shifts))
        return self

    def activation(self, activation: Activation) -> Chain:
        """Add an activation."""
        return self.then(Elementwise(self.shape, activation))

    def reshape(self, shape: Shape) -> Chain:
        """Add another shape for the same numbers."""
        return self if shape == self.shape else self.then(Reshape(self.shape, shape))

    def stretch(self, shape: Shape) -> Chain:
        """Repeat axes of length 1, as NumPy broadcasts."""
        lead = len(shape) - len(self.shape)
        self.reshape((*(1,) * lead, *self.shape))
        pairs = zip(self.shape, shape, strict=True)
        counts = [want if have == 1 else 1 for have, want in pairs]
        return self if self.shape == shape else self.repeat(counts)

    def repeat(self, counts: Sequence[int]) -> Chain:
        """Put everything behind itself, so many times along each axis."""
        require_room(tuple(n * k for n, k in zip(self.shape, counts, strict=True)))
        return self.then(Tile(self.shape, counts))

    def permute(self, axes: Sequence[int]) -> Chain:
        """Put the axes into another order: the new axis i is the old one axes[i]."""
        if list(axes) == list(range(len(self.shape))):
            return self
        return self.then(Permute(self.shape, tuple(axes)))

    def combine(self, axes: Sequence[int], weights: NDArray[np.float64]) -> Chain:
        """Replace the numbers along `axes` by weighted sums, which stand last.

        `weights` is (sums, numbers along the axes).
        """
        others = [k for k in range(len(self.shape)) if k not in axes]
        kept = tuple(self.shape[k] for k in others)
        count = size_of(tuple(self.shape[k] for k in axes))
        self.permute([*others, *axes]).reshape((*kept, count))
        return self.dense(ArrayMatrix(weights), None)

    def refuse_empty(self) -> Chain:
        """Refuse what has no numbers.

        Raises
        ------
        UnsupportedLayerError
        """
        if not size_of(self.shape):
            raise UnsupportedLayerError("", got=f"an empty result, {self.shape}")
        return self
