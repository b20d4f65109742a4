"""How named parts with shapes of their own lie in one flat vector.

Methods, bounds and files see flat rows (batch, n); layers see (batch, *shape). A
`Layout` stands at the boundary. A network with one input has a layout of one part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One named array of a layout."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Parts in order, each in row-major order, one after the other."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Length n of the flat vector."""
        return sum(part.size for part in self.parts)

    @property
    def named_shapes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Name and shape of each part where there are several; else ()."""
        if len(self.parts) == 1:
            return ()
        return tuple((part.name, part.shape) for part in self.parts)

    @property
    def number_names(self) -> tuple[str, ...] | None:
        """``part[i]`` for each number where there are several parts; else None."""
        if len(self.parts) == 1:
            return None
        return tuple(f"{part.name}[{k}]" for part in self.parts for k in range(part.size))

    @property
    def offsets(self) -> dict[str, slice]:
        """Where each part lies."""
        places, start = {}, 0
        for part in self.parts:
            places[part.name] = slice(start, start + part.size)
            start += part.size
        return places

    def pack(self, arrays: Mapping[str, Float64]) -> Float64:
        """Join arrays (batch, *shape), one for each part, into (batch, n)."""
        rows = []
        for part in self.parts:
            array = arrays[part.name]
            if array.shape[1:] != part.shape:
                raise ShapeError(
                    part.name,
                    got=f"shape {array.shape}",
                    expected=f"(rows, {', '.join(map(str, part.shape))})",
                )
            rows.append(array.reshape(array.shape[0], -1))
        return np.concatenate(rows, axis=1)

    def unpack(self, flat: Float64) -> dict[str, Float64]:
        """Split (batch, n) into arrays (batch, *shape); views."""
        batch = flat.shape[0]
        return {
            part.name: flat[:, self.offsets[part.name]].reshape(batch, *part.shape)
            for part in self.parts
        }


def names_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names that occur once: the second "y" becomes "y_1"."""
    found: dict[str, None] = {}
    for name in names:
        made, count = name, 0
        while made in found:
            count += 1
            made = f"{name}_{count}"
        found[made] = None
    return tuple(found)
