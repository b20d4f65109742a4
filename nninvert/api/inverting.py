"""Inverting: which x gives f(x) = y, or comes nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from nninvert.analysis.factor_files import conclude, prepare
from nninvert.analysis.solves import solve_summaries
from nninvert.api.asking import opened, problem_of
from nninvert.api.named import Bound, Fixed, Values, Within
from nninvert.context import Context
from nninvert.methods import driver
from nninvert.methods.answers import require_answers, several
from nninvert.methods.domain import Constraints
from nninvert.methods.families import families, require_families
from nninvert.network import Network
from nninvert.result import InversionResult


def invert(
    network: Network,
    y: Values,
    *,
    method: str = "auto",
    within: Within | None = None,
    near: Values | None = None,
    lower: Bound | None = None,
    upper: Bound | None = None,
    fix: Fixed | None = None,
    integer: Sequence[int | str] | None = None,
    constraints: Constraints | None = None,
    nan_is_free: bool = False,
    single: bool | None = None,
    dtype: DTypeLike = np.float64,
    answers: int | None = None,
    family: bool = False,
    context: Context | None = None,
) -> InversionResult:
    """Find x with f(x) = y for each row, or the nearest thing, and say which it is.

    Parameters
    ----------
    network : Network
    y : array, shape (rows, n_out), (rows, *output_shape) or output_shape
        Targets in the type they are known in: float32 values are known to 7 digits. Of a
        network with several outputs also a dict of an array for each, by its name.
    method : str, default "auto"
        A name in `nninvert.methods.METHODS`, or "auto".
    within : float, str, array, list of float and str, or dict of them, default None
        Absolute tolerance of the outputs, or "3%" of each output's size, or one of these
        for each output, or in a dict for each of them, or part, by name;
        then the x nearest to `near` is wanted. None: to the precision of y.
    near : array, shape (n_in,) or (rows, n_in), or dict as for y, default None
        Of several answers the nearest to this; None: the mean that the network's first
        scaler holds, or zero.
    lower, upper : float, array, shape (n_in,), or dict of them, default None
        Bounds of x; in a dict those of some inputs, or parts, by name: "T", "image[2]".
    fix : mapping of int or str to float or array, default None
        Inputs held at a value, by index or name.
    integer : sequence of int or str, default None
        Inputs that must be whole numbers.
    constraints : Constraints, default None
        Linear inequalities between inputs.
    nan_is_free : bool, default False
        NaN in y marks outputs that do not matter.
    single : bool or None, default None
        As in `forward`.
    dtype : numpy type, default float64
        Type of the x that is handed out; what is judged is x after the cast.
    answers : int or None, default None
        Look for up to so many answers to each row, spread out; the best becomes `x`, all
        are in `answers`. None or 1: one, and no `answers`.
    family : bool, default False
        Describe the answers around each x that is SOLVED, in `families`.
    context : Context, default None
        Memory, disk, engine, time limit, listener; it stays open, and its `rows` becomes
        the number of targets. None: a new one, closed in the end.

    Returns
    -------
    InversionResult
        With `status`, `residual`, `unique`, `digits` for each row; `answers` and
        `families` where they were asked for.

    Raises
    ------
    ShapeError, DataError
        If y cannot be targets of this network.
    UsageError
        If options contradict each other, the method cannot be used, or so many answers
        or a family cannot be had.
    """
    with opened(context) as used:
        problem = problem_of(
            network,
            y,
            used,
            within=within,
            near=near,
            lower=lower,
            upper=upper,
            fix=fix,
            integer=integer,
            constraints=constraints,
            nan_is_free=nan_is_free,
            single=single,
        )
        prepare(network, used)
        if family:
            require_families(problem)
        if answers is not None:
            require_answers(problem, answers)
        result = driver.invert(problem, method=method, dtype=dtype)
        if answers is not None and answers > 1:
            result = several(problem, result, answers)
        if family:
            result = replace(result, families=families(problem, result))
        result = replace(result, solves=solve_summaries(network, used))
        return result if context else replace(result, kept=conclude(used))
