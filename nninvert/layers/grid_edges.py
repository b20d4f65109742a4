"""Cells added at the edges of a grid, or cut off there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._axiswise import AxiswiseLayer
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers.window_geometry import CHANNELS_FIRST, padding_pairs, split_shape
from nninvert.linalg.map import LinearMap
from nninvert.linalg.orthogonal import Places, gathering

Widths = Sequence[int | Sequence[int]]
Pairs = tuple[tuple[int, int], ...]

PADDING_MODES = ("zeros", "edge", "reflect", "symmetric", "circular")


def spatial_widths(widths: Widths, input_shape: Shape, data_format: str) -> Pairs:
    """Widths for every axis of `input_shape` from those for its spatial axes.

    Parameters
    ----------
    widths : sequence
        For each spatial axis (before, after), or one number for both.
    input_shape : tuple of int
    data_format : str
        "channels_last" or "channels_first".
    """
    sizes, _ = split_shape(input_shape, data_format)
    pairs = _pairs(widths, len(sizes))
    still = ((0, 0),)
    return still + pairs if data_format == CHANNELS_FIRST else pairs + still


def _pairs(widths: Widths, rank: int) -> Pairs:
    return tuple(zip(*padding_pairs(widths, rank), strict=True))


class Padding(AxiswiseLayer):
    """Cells added before and after those of each axis: ZeroPadding and its relatives.

    Parameters
    ----------
    input_shape : tuple of int
    widths : sequence
        For every axis of `input_shape` (before, after), or one number for both;
        `spatial_widths` makes them of those for the spatial axes.
    mode : str, default "zeros"
        What is added: "zeros"; "edge", the outermost cell; "reflect", the cells from the
        second on, mirrored; "symmetric", mirrored from the first on; "circular", the cells
        from the other end.
    value : float, default 0
        What is added in place of zeros.

    Raises
    ------
    ShapeError
        For other modes, wrong widths, or more than the mode can take from the axis.
    """

    kind = "padding"

    def __init__(
        self,
        input_shape: Shape,
        widths: Widths,
        *,
        mode: str = "zeros",
        value: float = 0.0,
    ) -> None:
        if mode not in PADDING_MODES:
            raise ShapeError("mode", got=repr(mode), expected=" or ".join(PADDING_MODES))
        if value and mode != "zeros":
            raise ShapeError("value", got=f"{value:g}", expected=f"none with mode {mode!r}")
        self.input_shape = input_shape
        self.widths = _pairs(widths, len(input_shape))
        self.mode, self.value = mode, float(value)
        for size, pair in zip(input_shape, self.widths, strict=True):
            most = size - 1 if mode == "reflect" else size
            if mode not in ("zeros", "edge") and max(pair) > most:
                raise ShapeError(
                    "widths", got=f"{pair} around {size} cells", expected=f"up to {most}"
                )

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """Each cell of the larger axis from one of the smaller, or from none."""
        pairs = zip(self.input_shape, self.widths, strict=True)
        return tuple(
            gathering(self._places(size, pair), np.ones(()), size) for size, pair in pairs
        )

    def _places(self, size: int, pair: tuple[int, int]) -> Places:
        place = np.arange(-pair[0], size + pair[1])
        if self.mode == "zeros":
            place = np.where((place >= 0) & (place < size), place, -1)
        elif self.mode == "edge":
            place = np.clip(place, 0, size - 1)
        elif self.mode == "reflect":
            place = (size - 1) - np.abs((size - 1) - np.abs(place))
        elif self.mode == "symmetric":
            place = np.where(place < 0, -1 - place, place)
            place = np.where(place >= size, 2 * size - 1 - place, place)
        else:
            place = place % size
        return place[:, None]

    @property
    def offset(self) -> Float64 | None:
        """The value, wherever no cell of the input stands."""
        if not self.value:
            return None
        found = np.full(self.output_shape, self.value)
        sides = zip(self.input_shape, self.widths, strict=True)
        found[tuple(slice(before, before + size) for size, (before, _) in sides)] = 0.0
        return found.ravel()

    @property
    def what_it_does(self) -> str:
        """It adds."""
        return "adds cells at the edges"

    def config(self) -> dict[str, Any]:
        """Widths, mode and value."""
        widths = [list(pair) for pair in self.widths]
        return {"widths": widths, "mode": self.mode, "value": self.value}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class Cropping(AxiswiseLayer):
    """Cells cut off before and after those that stay.

    Parameters
    ----------
    input_shape : tuple of int
    widths : sequence
        For every axis of `input_shape` (before, after), or one number for both;
        `spatial_widths` makes them of those for the spatial axes.

    Raises
    ------
    ShapeError
        If nothing is left.
    """

    kind = "cropping"

    def __init__(self, input_shape: Shape, widths: Widths) -> None:
        self.input_shape = input_shape
        self.widths = _pairs(widths, len(input_shape))
        for size, pair in zip(input_shape, self.widths, strict=True):
            if sum(pair) >= size:
                raise ShapeError(
                    "widths",
                    got=f"{pair} of an axis of {size}",
                    expected="less than all of it",
                )

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """The cells that stay."""
        found = []
        for size, (before, after) in zip(self.input_shape, self.widths, strict=True):
            places = np.arange(before, size - after)[:, None]
            found.append(gathering(places, np.ones(()), size))
        return tuple(found)

    @property
    def what_it_does(self) -> str:
        """What is left."""
        return f"cuts {self.input_shape} down to {self.output_shape}"

    def config(self) -> dict[str, Any]:
        """The widths."""
        return {"widths": [list(pair) for pair in self.widths]}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)
