"""Problem: what is asked, with every option turned into arrays of one shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.methods.domain import Domain
from nninvert.network import Evaluation, FlatLinearization, Network
from nninvert.tolerances import Precision

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Targets:
    """What the network is to say.

    Attributes
    ----------
    values : float64 array, shape (rows, n_out)
        Finite; where an output does not matter, any number.
    precision : Precision
        How they were stored.
    wanted : bool array, shape (rows, n_out)
        False: this output does not matter.
    """

    values: Float64
    precision: Precision
    wanted: Mask

    @classmethod
    def of_array(
        cls,
        stored: NDArray[np.generic],
        *,
        nan_is_free: bool = False,
        label: Callable[[int], str] = str,
    ) -> Targets:
        """Take targets in their stored type, shape (rows, n_out).

        Outputs are called by `label` in messages.

        Raises
        ------
        DataError
            For infinity; for NaN unless `nan_is_free`; for a row of NaN only.
        """
        values = stored.astype(np.float64)
        wanted = ~np.isnan(values)
        if wanted.all() and np.isfinite(values).all():
            return cls(values, Precision.of_stored(stored), wanted)
        _require_usable(values, wanted, nan_is_free, label)
        filled = np.where(wanted, stored, np.zeros((), dtype=stored.dtype))
        return cls(np.where(wanted, values, 0.0), Precision.of_stored(filled), wanted)

    @property
    def rows(self) -> int:
        """How many targets."""
        return int(self.values.shape[0])

    @cached_property
    def wants_all(self) -> bool:
        """Whether every output of every row matters."""
        return bool(self.wanted.all())

    def missed_by(self, fitted: Float64, part: slice) -> Float64:
        """|f(x) - y| of consecutive rows, 0 where an output does not matter.

        Parameters
        ----------
        fitted : float64 array, shape (rows of the part, n_out)
        part : slice
            Which rows they are.
        """
        error = fitted - self.values[part]
        np.abs(error, out=error)
        if not self.wants_all:
            error[~self.wanted[part]] = 0.0
        return error

    def take(self, chosen: NDArray[np.generic]) -> Targets:
        """Some of the rows."""
        return Targets(
            self.values[chosen], self.precision.rows(chosen), self.wanted[chosen]
        )


def _require_usable(
    values: Float64, wanted: Mask, nan_is_free: bool, label: Callable[[int], str]
) -> None:
    infinite = np.argwhere(np.isinf(values))
    if infinite.size:
        row, column = (int(k) for k in infinite[0])
        raise DataError(
            f"y > row {row} > output {label(column)}",
            got=f"{values[row, column]} ({len(infinite)} infinite values in all)",
            expected="finite targets",
            next_step="If this output does not matter: NaN there, and --nan-is-free.",
        )
    missing = np.argwhere(~wanted)
    if missing.size and not nan_is_free:
        row, column = (int(k) for k in missing[0])
        raise DataError(
            f"y > row {row} > output {label(column)}",
            got=f"NaN ({len(missing)} in all)",
            expected="a number",
            next_step="If this output does not matter: --nan-is-free.",
        )
    empty = np.flatnonzero(~wanted.any(axis=1))
    if empty.size:
        raise DataError(
            f"y > row {int(empty[0])}",
            got="NaN only",
            expected="at least one output that matters",
        )


@dataclass(frozen=True)
class Problem:
    """Find x with f(x) = y, or within a tolerance of it, for each row.

    Attributes
    ----------
    network : Network
    targets : Targets
    domain : Domain
    within : float64 array, shape (rows, n_out), or None
        Absolute tolerance of each output; None: the default one of `Precision`.
    near : float64 array, shape (rows, n_in)
        Of several x the one nearest to this is wanted. It need not be allowed itself: see
        `begin`.
    near_is_given : bool
        Whether the user said so; otherwise it is the default.
    context : Context
    unreachable : bool array, shape (rows,), or None
        Rows that are proved to be out of reach: only the nearest output is wanted, and
        what leads there quickly. None: nothing is known.
    notes : tuple of str, default ()
        What had to be changed to make sense of the question; for the result's notes.
    """

    network: Network
    targets: Targets
    domain: Domain
    within: Float64 | None
    near: Float64
    near_is_given: bool
    context: Context = field(default_factory=Context)
    unreachable: Mask | None = None
    notes: tuple[str, ...] = ()
    _last: list[tuple[Float64, Evaluation]] = field(
        init=False, repr=False, compare=False, default_factory=list
    )

    def __post_init__(self) -> None:
        rows, n_out = self.targets.values.shape
        if n_out != self.network.n_out:
            raise ShapeError(
                "width",
                got=f"{n_out} numbers in a row",
                expected=f"{self.network.n_out}, the network's outputs",
            )
        if self.near.shape != (rows, self.network.n_in):
            raise ShapeError(
                "near",
                got=f"shape {self.near.shape}",
                expected=f"({rows}, {self.network.n_in})",
            )

    @property
    def rows(self) -> int:
        """How many targets."""
        return self.targets.rows

    @cached_property
    def unit(self) -> Float64:
        """The unit of each input in which distances are measured; see `input_scale`."""
        return input_scale(self.network)

    @cached_property
    def begin(self) -> Float64:
        """`near`, moved to the nearest allowed inputs (whole or not) where it is outside.

        Searches start there and look around it; distances are measured from `near`. Rows
        share one where `near` is the same for all.
        """
        first = self.near[:1]
        if self.rows < 2 or not np.array_equal(
            np.broadcast_to(first, self.near.shape), self.near
        ):
            return self.domain.project(self.near)
        return np.broadcast_to(self.domain.project(first), self.near.shape)

    def take(self, chosen: NDArray[np.generic]) -> Problem:
        """The same question for some of the rows; itself for all of them in order."""
        if np.array_equal(chosen, np.arange(self.rows)):
            return self
        return replace(
            self,
            targets=self.targets.take(chosen),
            within=None if self.within is None else self.within[chosen],
            near=self.near[chosen],
            unreachable=None if self.unreachable is None else self.unreachable[chosen],
        )

    def evaluated(self, x: Float64) -> tuple[Float64, Float64]:
        """f(x) by the plain forward pass, and the terms; see `forward_with_terms`.

        The last x is remembered: what a method looked at last is judged next, and a pass
        over large weights is dear.
        """
        if not self._remembers(x):
            with np.errstate(over="ignore", invalid="ignore"):
                if self.is_large:
                    found = self.network.evaluate(x)
                else:
                    found = Evaluation(*self.network.forward_with_terms(x), None)
            self._last[:] = [(x.copy(), found)]
        _, found = self._last[0]
        return found.y, found.terms

    def linearized(self, x: Float64) -> FlatLinearization:
        """The linearisation at x: that of the last evaluation if it was made there."""
        near = self._last[0][1].near if self._remembers(x) else None
        return self.network.linearize(x) if near is None else near

    def _remembers(self, x: Float64) -> bool:
        return bool(self._last) and np.array_equal(self._last[0][0], x)

    @cached_property
    def is_large(self) -> bool:
        """Whether what a pass over the weights tells is worth keeping."""
        return self.network.parameters >= tolerances.LARGE_NETWORK

    def tolerance(self, terms: Float64, part: slice = slice(None)) -> Float64:
        """tol_i of each output, shape (rows, n_out).

        Parameters
        ----------
        terms : float64 array, shape (rows of the part, n_out)
            As in `Precision`.
        part : slice, default all of them
            Which rows they are.
        """
        if self.within is not None:
            return self.within[part]
        targets = self.targets
        return targets.precision.rows(part).tolerance(targets.values[part], terms)
