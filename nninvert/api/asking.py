"""What the public functions share: from what people pass to a problem and a context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.api.named import (
    Bound,
    Fixed,
    Rows,
    Values,
    Within,
    bound_of,
    fixed_of,
    indices_of,
    tolerances_of,
    whole_rows,
)
from nninvert.arrays import LoadedArray
from nninvert.context import Context
from nninvert.errors import DataError
from nninvert.methods.problem import Problem
from nninvert.methods.question import as_rows, ask
from nninvert.network import Network


@contextmanager
def opened(context: Context | None) -> Iterator[Context]:
    """A context that was handed in, which stays open, or a new one until the end."""
    if context is not None:
        yield context
        return
    with Context() as made:
        yield made


def problem_of(
    network: Network,
    y: Values,
    context: Context,
    *,
    near: Values | None,
    within: Within | None,
    lower: Bound | None,
    upper: Bound | None,
    fix: Fixed | None,
    integer: Sequence[int | str] | None,
    **question: Any,
) -> Problem:
    """The problem of `ask`; it knows how the values were stored."""
    y = whole_rows(y, network.outputs, "y")
    problem = ask(
        network,
        stored_targets(y),
        near=None if near is None else stored(whole_rows(near, network.inputs, "near")),
        within=tolerances_of(within, network),
        lower=bound_of(lower, network, "--lower"),
        upper=bound_of(upper, network, "--upper"),
        fix=fixed_of(fix, network),
        integer=indices_of(integer, network),
        decimals=y.half_step if isinstance(y, LoadedArray) else None,
        context=context,
        **question,
    )
    context.rows = problem.rows
    return problem


def stored(values: Rows) -> NDArray[np.generic]:
    """The array in the type it came in."""
    return values.values if isinstance(values, LoadedArray) else np.asarray(values)


def stored_targets(values: Rows) -> NDArray[np.generic]:
    """The same of targets, in a type that says how precisely they are known."""
    return values.targets if isinstance(values, LoadedArray) else np.asarray(values)


def finite_rows(
    values: Rows,
    shape: tuple[int, ...],
    field: str,
    label: Callable[[int], str],
) -> NDArray[np.generic]:
    """Rows as `as_rows` gives them; NaN and infinity compare with nothing.

    Numbers of a row are called by `label` in messages.
    """
    rows = as_rows(stored(values), shape, field)
    bad = np.argwhere(~np.isfinite(rows.astype(np.float64)))
    if bad.size:
        row, column = (int(k) for k in bad[0])
        raise DataError(
            f"{field} > row {row} > column {label(column)}",
            got=f"{rows[row, column]} ({len(bad)} such values in all)",
            expected="finite numbers",
        )
    return rows
