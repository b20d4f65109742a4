"""What a method of inversion is: a problem in, an attempt out, no claim of success."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Preimage
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Attempt:
    """What a method found for each row. Whether that is success, the driver decides.

    Attributes
    ----------
    x : float64 array, shape (rows, n_in)
        Inside the bounds if the method honours them; NaN in a row where nothing finite
        was found.
    stopped : bool array, shape (rows,)
        The search ended by its step limit, the time limit or an interrupt.
    reason : tuple of str
        Per row, what the method can say about it; may be "".
    preimage : Preimage or None
        What pulling the targets back told, for layerwise methods.
    """

    x: Float64
    stopped: NDArray[np.bool_]
    reason: tuple[str, ...]
    preimage: Preimage | None = None


class Method(ABC):
    """A way to invert.

    Attributes
    ----------
    name : str
        For ``--method``, plans and reports.
    summary : str
        One line for ``--help`` and the README's table.
    searches : bool
        Whether an attempt that was not stopped is a local least-squares point.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    searches: ClassVar[bool] = False

    @abstractmethod
    def obstacle(self, problem: Problem) -> str:
        """Say why the method cannot be used on this problem; "" where it can."""

    @abstractmethod
    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Search an x for each row.

        Parameters
        ----------
        problem : Problem
        start : float64 array, shape (rows, n_in), or None
            What earlier methods found, to start from.
        """
