"""From bounds, fixed inputs, whole numbers and inequalities to the inputs allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nninvert.analysis.bounds.conflicts import Conflict
from nninvert.errors import UsageError, shortlist
from nninvert.methods.conflict import find_conflict, without_whole_numbers
from nninvert.methods.domain import Constraints, Domain

Float64 = NDArray[np.float64]


def allowed_inputs(
    n_in: int,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fix: Mapping[int, float] | None = None,
    integer: Sequence[int] | None = None,
    constraints: Constraints | None = None,
    label: Callable[[int], str] = str,
) -> Domain:
    """Join everything that limits x, and refuse what leaves nothing.

    Parameters
    ----------
    n_in : int
    lower, upper : float or array, shape (n_in,), default None
        None: open.
    fix : mapping of int to float, default None
        Inputs held at a value.
    integer : sequence of int, default None
        Inputs that must be whole numbers; their bounds are narrowed to such.
    constraints : Constraints, default None
    label : function of int to str, default str
        What an input is called in messages.

    Raises
    ------
    UsageError
        If a lower bound exceeds its upper one, a fixed value lies outside, no whole number
        lies between bounds, or inequalities conflict: with a smallest set of those that
        do.
    """
    domain = make_bounds(n_in, lower, upper, fix, label)
    if integer is not None:
        domain = _with_whole_numbers(domain, integer, label)
    if constraints is not None:
        _require_fitting(constraints, n_in)
        domain = replace(domain, constraints=constraints)
        conflict = find_conflict(domain)
        if conflict is not None:
            why = _because(domain, conflict, label)
            raise _conflicting(domain, conflict.constraints, why)
        rows = without_whole_numbers(domain)
        if rows:
            why = "whole numbers are asked for (the solver's word, true to 1e-6)"
            raise _conflicting(domain, rows, why)
    return domain


def make_bounds(
    n_in: int,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fix: Mapping[int, float] | None = None,
    label: Callable[[int], str] = str,
) -> Domain:
    """Join bounds and fixed inputs; `label` says what an input is called in messages.

    Raises
    ------
    UsageError
        If a lower bound exceeds its upper one, or a fixed value lies outside.
    """
    nothing = Domain.unlimited(n_in)
    low = nothing.lower if lower is None else _per_input(lower, n_in, "--lower")
    high = nothing.upper if upper is None else _per_input(upper, n_in, "--upper")
    for option, hopeless in (("--lower", low == np.inf), ("--upper", high == -np.inf)):
        if hopeless.any():
            raise UsageError(
                option,
                got=f"{'inf' if option == '--lower' else '-inf'} for input "
                f"{label(int(np.flatnonzero(hopeless)[0]))}",
                expected="a bound that leaves room for a number",
            )
    crossed = np.flatnonzero(low > high)
    if crossed.size:
        i = int(crossed[0])
        raise UsageError(
            f"--lower, --upper > input {label(i)}",
            got=f"lower {low[i]:g} above upper {high[i]:g}",
            expected="lower <= upper",
        )
    for i, value in (fix or {}).items():
        if not 0 <= i < n_in:
            raise UsageError("--fix", got=f"input {i}", expected=f"0 to {n_in - 1}")
        if not np.isfinite(value) or not low[i] <= value <= high[i]:
            raise UsageError(
                f"--fix > input {label(i)}",
                got=f"{value:g}",
                expected=f"a value within its bounds [{low[i]:g}, {high[i]:g}]",
            )
        low[i] = high[i] = value
    return Domain.box(low, high)


def _per_input(values: ArrayLike, n_in: int, option: str) -> Float64:
    try:
        array = np.asarray(values, dtype=np.float64).squeeze()
    except (TypeError, ValueError):
        raise UsageError(option, got=f"{values!r:.60}", expected="numbers") from None
    if array.ndim > 1 or array.size not in (1, n_in):
        raise UsageError(
            option, got=f"shape {array.shape}", expected=f"one number, or {n_in} of them"
        )
    if np.isnan(array).any():
        raise UsageError(option, got="NaN", expected="numbers; inf where there is no bound")
    return np.array(np.broadcast_to(array, (n_in,)))


def _with_whole_numbers(
    domain: Domain, integer: Sequence[int], label: Callable[[int], str]
) -> Domain:
    n_in = domain.lower.size
    for i in integer:
        if not 0 <= i < n_in:
            raise UsageError("--integer", got=f"input {i}", expected=f"0 to {n_in - 1}")
    whole = np.zeros(n_in, dtype=np.bool_)
    whole[list(integer)] = True
    # Adding zero turns -0.0, which would be written as -0, into 0.0.
    low = np.where(whole, np.ceil(domain.lower) + 0.0, domain.lower)
    high = np.where(whole, np.floor(domain.upper) + 0.0, domain.upper)
    empty = np.flatnonzero(low > high)
    if empty.size:
        i = int(empty[0])
        first, last = domain.lower[i], domain.upper[i]
        raise UsageError(
            f"--integer > input {label(i)}",
            got=f"the fixed value {first:g}"
            if first == last
            else f"the bounds [{first:g}, {last:g}]",
            expected="a whole number"
            if first == last
            else "a whole number between its bounds",
        )
    return replace(domain, lower=low, upper=high, integer=whole)


def _require_fitting(constraints: Constraints, n_in: int) -> None:
    rows, columns = constraints.matrix.shape
    if columns != n_in or constraints.limit.shape != (rows,):
        raise UsageError(
            "--constraints",
            got=f"a matrix of shape {constraints.matrix.shape} and "
            f"{constraints.limit.size} limits",
            expected=f"{n_in} columns, one for each input, and a limit for each row",
        )
    if not (np.isfinite(constraints.matrix).all() and np.isfinite(constraints.limit).all()):
        raise UsageError("--constraints", got="NaN or infinity", expected="finite numbers")


def _because(domain: Domain, conflict: Conflict, label: Callable[[int], str]) -> str:
    if conflict.alone:
        return "that holds whatever the bounds are"
    shown = [
        f"input {label(i)} in [{domain.lower[i]:g}, {domain.upper[i]:g}]"
        for i in conflict.inputs
    ]
    return f"the bounds count, too: {shortlist(shown, 6)}"


def _conflicting(domain: Domain, rows: tuple[int, ...], because: str) -> UsageError:
    """The error that names what cannot hold together."""
    # Both sides of an equation have its name.
    names = list(dict.fromkeys(domain.constraints.names[k] for k in rows))
    several = len(names) > 1
    return UsageError(
        "--constraints",
        got=shortlist([f"'{name}'" for name in names])
        + ", which no input can keep"
        + (" at once" if several else ""),
        expected="constraints that leave some input",
        because=because,
        next_step="Without any one of these the others can be kept" if several else "",
    )
