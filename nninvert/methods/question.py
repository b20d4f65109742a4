"""From what a person says to a `Problem`: shapes settled, options turned into arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nninvert.analysis.outputs import output_sizes
from nninvert.analysis.starting_point import default_near
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError, UsageError
from nninvert.methods.allowed import allowed_inputs
from nninvert.methods.domain import Constraints, Domain
from nninvert.methods.problem import Problem, Targets
from nninvert.network import Network
from nninvert.tolerances import Precision

Float64 = NDArray[np.float64]


def as_rows(
    values: NDArray[np.generic],
    shape: tuple[int, ...],
    field: str,
    single: bool | None = None,
) -> NDArray[np.generic]:
    """Bring targets or inputs to shape (rows, n), in their stored type.

    Parameters
    ----------
    values : array
        ``shape`` (one row), (rows, *shape) or (rows, n); for n = 1 a vector of k values
        is k rows.
    shape : tuple of int
        What the network takes or gives.
    field : str
        Name for messages: "y", "X".
    single : bool or None, default None
        True: the array is one row; False: its first axis counts rows; None: decide.
        Where both would do, they give the same row.

    Raises
    ------
    ShapeError
        If the array fits neither way, or not the one that `single` asks for, or is empty.
    DataError
        If the values are no real numbers.
    """
    if values.dtype.kind not in "fiu":
        raise DataError(
            field, got=f"values of type {values.dtype}", expected="real numbers"
        )
    n = int(np.prod(shape))
    one = values.shape == shape or (values.ndim == 1 and values.size == n and n != 1)
    many = values.ndim >= 1 and (
        values.shape[1:] == shape
        or (values.ndim == 2 and values.shape[1] == n)
        or (n == 1 and values.ndim == 1)
    )
    if single is not None:
        one, many = one and single, many and not single
    if not (one or many):
        turned = values.ndim == 2 and values.shape[0] == n
        raise ShapeError(
            field,
            got=f"shape {values.shape}",
            expected=f"{_shape_text(shape)} for one row, or (rows, {_inner_text(shape)})",
            next_step="It may be transposed: rows come first." if turned else "",
        )
    rows = values.reshape(-1, n) if values.size else values
    if values.size == 0 or rows.shape[0] == 0:
        raise ShapeError(field, got="no rows", expected="at least one")
    return rows


def _shape_text(shape: tuple[int, ...]) -> str:
    return str(shape)


def _inner_text(shape: tuple[int, ...]) -> str:
    n = int(np.prod(shape))
    inner = ", ".join(map(str, shape))
    return inner if len(shape) == 1 else f"{inner}) or (rows, {n}"


def ask(
    network: Network,
    y: NDArray[np.generic],
    *,
    within: float | str | Sequence[float | str] | ArrayLike | None = None,
    near: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fix: Mapping[int, float] | None = None,
    integer: Sequence[int] | None = None,
    constraints: Constraints | None = None,
    nan_is_free: bool = False,
    single: bool | None = None,
    decimals: Float64 | None = None,
    context: Context | None = None,
) -> Problem:
    """Build the problem that these options describe.

    Parameters
    ----------
    network : Network
    y : array
        Targets in their stored type; see `as_rows` for shapes.
    within : float, str, array or list of float and str, default None
        Absolute tolerance of all outputs or of each; "3%" is relative to each output's
        size (`output_sizes`). A list may hold both, one for each output.
    near : array, shape (n_in,) or (rows, n_in), default None
        Of several answers the nearest to this is wanted; None: `default_near`, moved into
        the domain. It may itself lie outside, which a note says: distances are measured
        from it, searches begin at the nearest allowed inputs.
    lower, upper : float or array, shape (n_in,), default None
        Bounds of x; None: none.
    fix : mapping of int to float, default None
        Inputs held at a value.
    integer : sequence of int, default None
        Inputs that must be whole numbers.
    constraints : Constraints, default None
        Linear inequalities between inputs.
    nan_is_free : bool, default False
        NaN in y marks outputs that do not matter.
    single : bool or None, default None
        See `as_rows`.
    decimals : float64 array, shape of y, default None
        Half the last written decimal of each value, for targets read from text.
    context : Context, default None
        A new one.

    Raises
    ------
    ShapeError, DataError
        If y or `near` does not fit the network or is not finite.
    UsageError
        If a tolerance cannot be meant, or no input is allowed; see `allowed_inputs`.
    """
    stored = as_rows(y, network.graph.output_shape, "y", single)
    targets = Targets.of_array(stored, nan_is_free=nan_is_free, label=network.output_label)
    if decimals is not None:
        steps = decimals.reshape(stored.shape)
        precision = Precision.of_decimals(targets.values, np.nan_to_num(steps))
        targets = Targets(targets.values, precision, targets.wanted)
    domain = allowed_inputs(
        network.n_in,
        lower=lower,
        upper=upper,
        fix=fix,
        integer=integer,
        constraints=constraints,
        label=network.input_label,
    )
    near_rows, outside = _near_rows(network, domain, near, targets.rows)
    notes = [outside] if outside else []
    if domain.is_point:
        notes.append("all inputs are fixed: nothing is searched, f(x) is compared with y")
    return Problem(
        network=network,
        targets=targets,
        domain=domain,
        within=_tolerances(network, targets, within),
        near=near_rows,
        near_is_given=near is not None,
        context=context or Context(),
        notes=tuple(notes),
    )


def _near_rows(
    network: Network, domain: Domain, near: ArrayLike | None, rows: int
) -> tuple[Float64, str]:
    """The inputs to stay near to, and what is to be said of those that are not allowed."""
    n_in = network.n_in
    if near is None:
        typical = domain.project(default_near(network)[None])
        return np.tile(typical, (rows, 1)), ""
    array = np.asarray(near, dtype=np.float64)
    if array.size == n_in:
        array = array.reshape(1, n_in)
    elif array.size == rows * n_in:
        array = array.reshape(rows, n_in)
    else:
        raise ShapeError(
            "near",
            got=f"shape {array.shape}",
            expected=f"({n_in},) for all rows or ({rows}, {n_in})",
        )
    if not np.isfinite(array).all():
        raise DataError("near", got="NaN or infinity", expected="finite inputs")
    # For one row; each of many may stand for a target of its own.
    repeat = rows if array.shape[0] == 1 else 1
    return np.tile(array, (repeat, 1)), _outside_note(network, domain, array)


def _outside_note(network: Network, domain: Domain, near: Float64) -> str:
    """Which of `near` lies outside, and where searches begin; "" where nothing does."""
    inside = domain.project(near)
    moved = near != inside
    if not moved.any():
        return ""
    count, rows = int(moved.any(axis=1).sum()), near.shape[0]
    many = f" in {count} of {rows} rows" if rows > 1 else ""
    edge = "bounds" if (near != domain.clip(near)).any() else "constraints"
    row, i = (
        int(k) for k in np.unravel_index(np.argmax(np.abs(near - inside)), near.shape)
    )
    place = f"input {network.input_label(i)}"
    place = f"row {row}, {place}" if rows > 1 else place
    return (
        f"near lies outside the {edge}{many}: distances are measured from it, searches "
        f"begin inside ({place} at {inside[row, i]:g}, not {near[row, i]:g})"
    )


def _tolerances(
    network: Network,
    targets: Targets,
    within: float | str | Sequence[float | str] | ArrayLike | None,
) -> Float64 | None:
    if within is None:
        return None
    shape = targets.values.shape
    each: Sequence[Any] = within if isinstance(within, list | tuple) else [within]
    if any(isinstance(one, str) for one in each):
        return _shares(network, targets, each)
    array = np.asarray(within, dtype=np.float64)
    if array.size not in (1, shape[1], shape[0] * shape[1]):
        raise UsageError(
            "--within",
            got=f"shape {array.shape}",
            expected=f"one number, {shape[1]} (one for each output), or {shape}",
        )
    if not (np.isfinite(array).all() and (array > 0.0).all()):
        raise _not_positive()
    if array.size == shape[0] * shape[1]:
        return array.reshape(shape)
    return np.array(np.broadcast_to(array.reshape(1, -1), shape))


def _shares(network: Network, targets: Targets, each: Sequence[float | str]) -> Float64:
    """Tolerances of which some are percentages: one for all outputs, or one for each."""
    n_out = targets.values.shape[1]
    if len(each) not in (1, n_out):
        raise UsageError(
            "--within",
            got=f"{len(each)} tolerances",
            expected=f"one, or {n_out}: one for each output",
        )
    relative = np.array([isinstance(one, str) for one in each])
    asked = np.array([percentage(k) if isinstance(k, str) else float(k) for k in each])
    if not (np.isfinite(asked).all() and (asked > 0.0).all()):
        raise _not_positive()
    # Nothing is closer to an output that is zero in all rows than the way it is stored.
    sizes = asked * output_sizes(network, targets.values)
    least = np.maximum(sizes, targets.precision.half_step)
    return np.where(relative, least, asked)


def _not_positive() -> UsageError:
    return UsageError("--within", got="zero, negative or NaN", expected="positive numbers")


def percentage(text: str) -> float:
    """Read "3%" as 0.03.

    Raises
    ------
    UsageError
        For anything else than a positive number and a percent sign.
    """
    stripped = text.strip()
    if stripped.endswith("%"):
        try:
            share = float(stripped[:-1]) / 100.0
        except ValueError:
            share = -1.0
        if 0.0 < share < np.inf:
            return share
    raise UsageError("--within", got=repr(text), expected="a number, or a percentage: 3%")
