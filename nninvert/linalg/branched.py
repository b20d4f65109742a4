"""Linear maps that feed each other in more ways than one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]
Sources = tuple[int, ...]


class BranchedMap(LinearMap):
    """Maps of which each reads one or several results before it, one behind the other.

    Parameters
    ----------
    parts : sequence of LinearMap
        At least one; the last one's result is that of the whole.
    sources : sequence of tuple of int
        For each part the positions of those that it reads; -1: the input.
    n_in : int
    """

    def __init__(
        self, parts: Sequence[LinearMap], sources: Sequence[Sources], n_in: int
    ) -> None:
        self.parts, self.sources = tuple(parts), tuple(sources)
        self.shape = (self.parts[-1].shape[0], n_in)

    def apply(self, x: Float64) -> Float64:
        """Apply the parts in order."""
        return self._forward(x, [part.apply for part in self.parts])

    def adjoint(self, y: Float64) -> Float64:
        """Apply the transposes in reverse order; what several parts read gets the sum."""
        last = len(self.parts) - 1
        values = {last: y}
        for place in range(last, -1, -1):
            back = self.parts[place].adjoint(values.pop(place))
            start = 0
            for source in self.sources[place]:
                stop = start + self._width(source)
                piece = back[..., start:stop]
                values[source] = values[source] + piece if source in values else piece
                start = stop
        return values[-1]

    def magnitude(self, x: Float64) -> Float64:
        """Sum the sizes of all products on all ways; not less than |A| |x|."""
        return self._forward(np.abs(x), [part.magnitude for part in self.parts])

    def _forward(
        self, x: Float64, steps: Sequence[Callable[[Float64], Float64]]
    ) -> Float64:
        values = {-1: x}
        for place, (step, read) in enumerate(zip(steps, self.sources, strict=True)):
            given = [values[source] for source in read]
            values[place] = step(given[0] if len(given) == 1 else np.concatenate(given, -1))
        return values[len(steps) - 1]

    def _width(self, source: int) -> int:
        return self.shape[1] if source < 0 else self.parts[source].shape[0]

    @cached_property
    def terms(self) -> int:
        """Those of the parts on the way that has most."""
        most = {-1: 0}
        for place, (part, read) in enumerate(zip(self.parts, self.sources, strict=True)):
            most[place] = part.terms + max(most[source] for source in read)
        return most[len(self.parts) - 1]

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Keys of all parts, and what they read."""
        words = ["branched", str(self.shape[1])]
        for part, read in zip(self.parts, self.sources, strict=True):
            words += [str(read), *part.key]
        return tuple(words)

    @property
    def stored_eps(self) -> float:
        """The coarsest of the parts."""
        return max(part.stored_eps for part in self.parts)
