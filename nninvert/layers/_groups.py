"""Groups of units that a normalisation treats together, as rows of one array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._base import Shape, size_of
from nninvert.layers.scaling import positive_axes
from nninvert.linalg.centring import CentringMap

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Groups:
    """Which units form a group.

    Attributes
    ----------
    shape : tuple of int
        Of the units, without the batch.
    fine : tuple of int
        The same units in the same order; an axis of `shape` may be split in two.
    axes : tuple of int
        Axes of `fine` along which a group extends, ascending.
    """

    shape: Shape
    fine: Shape
    axes: tuple[int, ...]

    @classmethod
    def along(cls, shape: Shape, axes: tuple[int, ...]) -> Groups:
        """One group for each place on the other axes; negative axes count from the end.

        Raises
        ------
        ShapeError
            If there is no axis, one that `shape` does not have, or one twice.
        """
        found = tuple(sorted(positive_axes(axes, shape)))
        if not found or len(set(found)) < len(found):
            raise ShapeError("axis", got=str(axes), expected=f"different axes of {shape}")
        return cls(shape, shape, found)

    @classmethod
    def of_channels(cls, shape: Shape, groups: int, axis: int) -> Groups:
        """Neighbouring channels, as many in each of `groups`, and all other axes.

        Raises
        ------
        ShapeError
            If the channels, the units along `axis`, cannot be divided like that.
        """
        (place,) = positive_axes((axis,), shape)
        channels = shape[place]
        if groups < 1 or channels % groups:
            raise ShapeError(
                "groups", got=str(groups), expected=f"a divisor of the {channels} channels"
            )
        fine = (*shape[:place], index(groups), channels // groups, *shape[place + 1 :])
        return cls(shape, fine, tuple(k for k in range(len(fine)) if k != place))

    @property
    def size(self) -> int:
        """Units in one group."""
        return size_of(tuple(self.fine[axis] for axis in self.axes))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return size_of(self._kept_shape)

    @cached_property
    def centring(self) -> CentringMap:
        """The projection that subtracts from each group its mean."""
        return CentringMap(self.fine, self.axes)

    def gather(self, values: NDArray[T]) -> NDArray[T]:
        """Arrange (..., *shape) as (..., count, size)."""
        lead = values.shape[: values.ndim - len(self.shape)]
        order = (*range(len(lead)), *(len(lead) + axis for axis in self._order))
        fine = values.reshape(*lead, *self.fine).transpose(order)
        return fine.reshape(*lead, self.count, self.size)

    def scatter(self, grouped: NDArray[T]) -> NDArray[T]:
        """Undo `gather`."""
        lead = grouped.shape[:-2]
        back = np.argsort(self._order)
        order = (*range(len(lead)), *(len(lead) + int(axis) for axis in back))
        arranged = tuple(self.fine[axis] for axis in self._order)
        return (
            grouped.reshape(*lead, *arranged).transpose(order).reshape(*lead, *self.shape)
        )

    @cached_property
    def _kept_shape(self) -> Shape:
        return tuple(n for axis, n in enumerate(self.fine) if axis not in self.axes)

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """Axes of `fine`: first those that tell groups apart, then those inside."""
        kept = tuple(axis for axis in range(len(self.fine)) if axis not in self.axes)
        return kept + self.axes
