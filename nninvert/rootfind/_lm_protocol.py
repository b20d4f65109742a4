"""What the batched search asks of a function of rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class RowLinearization(Protocol):
    """A function near one x of each row.

    Attributes
    ----------
    y : float64 array, shape (k, m)
    """

    y: Float64

    def jvp(self, dx: Float64) -> Float64:
        """J dx, (k, n) to (k, m)."""
        ...

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy, (k, m) to (k, n)."""
        ...

    def dense(self) -> Float64:
        """J, shape (k, m, n)."""
        ...


class RowFunction(Protocol):
    """A function that acts on each row alone; `nninvert.network.Network` is one."""

    def forward(self, x: Float64) -> Float64:
        """f, (k, n) to (k, m); not finite where it is not defined."""
        ...

    def linearize(self, x: Float64) -> RowLinearization:
        """Value and products with the Jacobians."""
        ...
