"""How named parts with shapes of their own lie in one flat vector.

Methods, bounds and files see flat rows (batch, n); layers see (batch, *shape). A
`Layout` stands at the boundary. A network with one input has a layout of one part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError

Float64 = NDArray[np.float64]

_PLACE = re.compile(r"\[([0-9]{1,12}(?: ?, ?[0-9]{1,12})*)\]")


@dataclass(frozen=True)
class Part:
    """One named array of a layout."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def number_names(self) -> tuple[str, ...]:
        """``name[i]`` for each number; ``name`` for the only one."""
        # A name that ends so could be that of a number of another part.
        if self.size == 1 and not self.name.endswith("]"):
            return (self.name,)
        return tuple(f"{self.name}[{k}]" for k in range(self.size))

    def number(self, name: str) -> int | None:
        """The number that ``name[3]`` or, by its axes, ``name[1,2]`` means; else None."""
        inside = _PLACE.fullmatch(name.removeprefix(self.name))
        if inside is None or not name.startswith(self.name):
            return None
        place = [int(k) for k in inside[1].split(",")]
        shape = (self.size,) if len(place) == 1 else self.shape
        if len(place) != len(shape) or any(
            k >= n for k, n in zip(place, shape, strict=True)
        ):
            return None
        return int(np.ravel_multi_index(place, shape))


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
        """What each number is called where there are several parts; else None.

        ``part[i]``, i in the order of the flat row; of a part of one number, ``part``.
        """
        if len(self.parts) == 1:
            return None
        return tuple(name for part in self.parts for name in part.number_names)

    def numbers(self, name: str) -> range | None:
        """Which numbers of the flat row ``part``, ``part[3]`` or ``part[1,2]`` means.

        Returns
        -------
        range or None
            None where there is no such part, or number of it, or only one part.
        """
        start = 0
        for part in self.parts if len(self.parts) > 1 else ():
            if name == part.name:
                return range(start, start + part.size)
            found = part.number(name)
            if found is not None:
                return range(start + found, start + found + 1)
            start += part.size
        return None

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


def part_names(names: Sequence[str]) -> tuple[str, ...]:
    """What a file calls its inputs, or outputs, as names of parts.

    They can be names in an archive, where no path begins at the root or leads upwards,
    and each occurs once: "/fc/out" becomes "fc/out", the second "y" becomes "y_1".
    """
    found: dict[str, None] = {}
    for name in names:
        words = name.replace("\\", "/").split("/")
        first = "/".join(word for word in words if word not in ("", ".", "..")) or "part"
        made, count = first, 0
        while made in found:
            count += 1
            made = f"{first}_{count}"
        found[made] = None
    return tuple(found)
