"""The functions that people call: load, check, invert, forward, factor, and sessions.

The command line does nothing that is not here. Arrays may come in any real type; what a
target's type says about its precision is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nninvert import formats
from nninvert.analysis import handshake, sensitivity
from nninvert.analysis.factor_files import conclude, make_factors, prepare
from nninvert.analysis.invertibility import check_network
from nninvert.analysis.planning import announce_structure
from nninvert.analysis.solves import solve_summaries
from nninvert.arrays import LoadedArray
from nninvert.context import Context
from nninvert.errors import DataError
from nninvert.formats import ReadOptions, from_arrays
from nninvert.methods import driver
from nninvert.methods.answers import require_answers, several
from nninvert.methods.domain import Constraints
from nninvert.methods.families import families, require_families
from nninvert.methods.problem import Problem
from nninvert.methods.question import as_rows, ask
from nninvert.methods.targets import judge_targets
from nninvert.network import Network
from nninvert.result import CheckReport, InversionResult, KeptFactors, PairsReport

Float64 = NDArray[np.float64]
Values = ArrayLike | LoadedArray

__all__ = ["Session", "check", "factor", "forward", "from_arrays", "invert", "load"]


def load(
    path: str,
    *,
    activations: str | None = None,
    orientation: str | None = None,
    first: str | None = None,
    until: str | None = None,
) -> Network:
    """Read a network from a file.

    Parameters
    ----------
    path : str
        A model file; what it is, its content decides.
    activations : str or None, default None
        For bare weights: "tanh,linear", one for each layer, or one for all.
    orientation : str or None, default None
        For bare weights: which axis of a matrix is the output; None: from the shapes.
    first, until : str or None, default None
        Take the part from one layer to another, by name or index, both inclusive.

    Raises
    ------
    FormatError
        If the file is no model that can be read; `UnsupportedLayerError` names all layers
        that are not known.
    """
    return formats.load(
        path, ReadOptions(activations, orientation, first=first, until=until)
    )


def forward(network: Network, x: Values, *, single: bool | None = None) -> Float64:
    """Evaluate f in float64, by the plain forward pass.

    Parameters
    ----------
    network : Network
    x : array, shape (rows, n_in), (rows, *input_shape) or input_shape
    single : bool or None, default None
        True: x is one row; False: its first axis counts rows; None: decide. Where both
        would do, they give the same row.

    Returns
    -------
    float64 array, shape (rows, n_out)
        NaN in the rows in which x is: what `invert` could not find stays visible.
    """
    rows = as_rows(_stored(x), network.graph.input_shape, "x", single)
    return network.forward(rows.astype(np.float64))


def invert(
    network: Network,
    y: Values,
    *,
    method: str = "auto",
    within: float | str | ArrayLike | None = None,
    near: Values | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fix: Mapping[int, float] | None = None,
    integer: Sequence[int] | None = None,
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
        Targets in the type they are known in: float32 values are known to 7 digits.
    method : str, default "auto"
        A name in `nninvert.methods.METHODS`, or "auto".
    within : float, str or array, default None
        Absolute tolerance of the outputs, or "3%" of each output's size; then the x
        nearest to `near` is wanted. None: to the precision of y.
    near : array, shape (n_in,) or (rows, n_in), default None
        Of several answers the nearest to this; None: the mean that the network's first
        scaler holds, or zero.
    lower, upper : float or array, shape (n_in,), default None
        Bounds of x.
    fix : mapping of int to float, default None
        Inputs held at a value.
    integer : sequence of int, default None
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
    with _opened(context) as used:
        problem = _problem(
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


def check(
    network: Network,
    *,
    target: Values | None = None,
    pairs: tuple[Values, Values] | None = None,
    inputs: Values | None = None,
    quick: bool = False,
    max_condition: float | None = None,
    within: float | str | ArrayLike | None = None,
    near: Values | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fix: Mapping[int, float] | None = None,
    integer: Sequence[int] | None = None,
    constraints: Constraints | None = None,
    single: bool | None = None,
    context: Context | None = None,
) -> CheckReport:
    """Say whether a network is one-to-one, why, and what inverting it costs.

    Parameters
    ----------
    network : Network
    target : array, default None
        Targets, each judged for reachability; the options of `invert` apply to them.
    pairs : (X, Y), default None
        Compare f(X) with Y. For bare weights whose reading does not fit, other
        orientations and activations are tried, and the report is on the one that fits.
    inputs : array, default None
        Inputs at which the digits lost are taken from the Jacobian.
    quick : bool, default False
        Structure only.
    max_condition : float or None, default None
        Layers with a larger condition number are listed.
    within, near, lower, upper, fix, integer, constraints, single, context
        As in `invert`; for `target`.

    Returns
    -------
    CheckReport

    Raises
    ------
    ShapeError, DataError
        If targets, pairs or inputs do not fit the network or are not finite.
    """
    compared = None
    if pairs is not None:
        network, compared = _shake_hands(network, pairs)
    with _opened(context) as used:
        problem = None
        if target is not None:
            problem = _problem(
                network,
                target,
                used,
                within=within,
                near=near,
                lower=lower,
                upper=upper,
                fix=fix,
                integer=integer,
                constraints=constraints,
                single=single,
            )
        if not quick:
            announce_structure(network, used)
            prepare(network, used)
        report = check_network(network, used, quick=quick, max_condition=max_condition)
        report = replace(report, pairs=compared)
        if problem is not None:
            judged, result = judge_targets(problem)
            report = replace(report, target=judged)
            found = result.x[result.solved].astype(np.float64)
            report = _with_jacobian(report, network, found, "targets")
        if inputs is not None:
            rows = _finite_rows(inputs, network.graph.input_shape, "inputs")
            report = _with_jacobian(report, network, rows.astype(np.float64), "inputs")
        return report if context else replace(report, kept=conclude(used))


def factor(network: Network, path: str, context: Context | None = None) -> KeptFactors:
    """Factor every large dense square layer into one file, for later use.

    A run that ended early goes on where it was when it is called again. The factors are
    used by ``Session(network, factors=path)``.

    Parameters
    ----------
    network : Network
    path : str
        The file to make; one that is there is replaced in the end.
    context : Context, default None
        Its `disk.output` becomes `path`. None: a new one, closed in the end.

    Raises
    ------
    UsageError
        If no layer is large, dense and square.
    """
    with _opened(context) as used:
        used.disk = replace(used.disk, output=path)
        return make_factors(network, used)


@contextmanager
def _opened(context: Context | None) -> Iterator[Context]:
    """A context that was handed in, which stays open, or a new one until the end."""
    if context is not None:
        yield context
        return
    with Context() as made:
        yield made


class Session:
    """A network and its factorisations, kept between calls.

    >>> with Session(network) as session:  # doctest: +SKIP
    ...     session.invert(y1)
    ...     session.invert(y2)  # solves only: nothing is factored again

    Parameters
    ----------
    network : Network
    context : Context, default None
        It stays open, but its `FactorStore` is emptied at the end of the ``with`` block.
        None: a new one, closed there.
    factors : str, default ""
        A file that `factor` made of this network.

    Afterwards `kept` tells of factors that are left on the disk.
    """

    def __init__(
        self, network: Network, context: Context | None = None, factors: str = ""
    ) -> None:
        self.network = network
        self.context = context or Context()
        self.kept: KeptFactors | None = None
        self._owns = context is None
        if factors:
            self.context.disk = replace(self.context.disk, factors=factors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._owns:
            self.context.factors.clear()
            return
        with self.context:
            if kind is None:
                self.kept = conclude(self.context)

    def check(self, **options: object) -> CheckReport:
        """`nninvert.check` with this session's network and context."""
        return check(self.network, context=self.context, **options)  # type: ignore[arg-type]

    def invert(self, y: Values, **options: object) -> InversionResult:
        """`nninvert.invert` with this session's network and context."""
        return invert(self.network, y, context=self.context, **options)  # type: ignore[arg-type]


def _problem(
    network: Network,
    y: Values,
    context: Context,
    *,
    near: Values | None,
    **question: Any,
) -> Problem:
    """The problem of `ask`; it knows how the values were stored."""
    problem = ask(
        network,
        _stored(y),
        near=None if near is None else _stored(near),
        decimals=y.half_step if isinstance(y, LoadedArray) else None,
        context=context,
        **question,
    )
    context.rows = problem.rows
    return problem


def _stored(values: Values) -> NDArray[np.generic]:
    return values.values if isinstance(values, LoadedArray) else np.asarray(values)


def _finite_rows(values: Values, shape: tuple[int, ...], field: str) -> NDArray[np.generic]:
    """Rows as `as_rows` gives them; NaN and infinity compare with nothing."""
    rows = as_rows(_stored(values), shape, field)
    bad = np.argwhere(~np.isfinite(rows.astype(np.float64)))
    if bad.size:
        row, column = (int(k) for k in bad[0])
        raise DataError(
            f"{field} > row {row} > column {column}",
            got=f"{rows[row, column]} ({len(bad)} such values in all)",
            expected="finite numbers",
        )
    return rows


def _shake_hands(
    network: Network, pairs: tuple[Values, Values]
) -> tuple[Network, PairsReport]:
    """Compare, and try other readings of bare weights where the first does not fit."""
    x = _finite_rows(pairs[0], network.graph.input_shape, "X of --pairs")
    y = _finite_rows(pairs[1], network.graph.output_shape, "Y of --pairs")
    report = handshake.compare_pairs(network, x, y)
    if report.same or not network.source.path:
        return network, report
    readings = (
        (_reading(options), made)
        for options, made in formats.candidates(network.source.path)
    )
    better = handshake.best_reading(readings, x, y)
    if better is None or not handshake.is_better(better[1], report):
        return network, report
    return better


def _reading(options: ReadOptions) -> str:
    """The command line options that ask for this reading."""
    words = []
    if options.orientation is not None:
        words.append(f"--orientation {options.orientation}")
    if options.activations is not None:
        words.append(f"--activations {options.activations}")
    return " ".join(words)


def _with_jacobian(
    report: CheckReport, network: Network, x: Float64, where: str
) -> CheckReport:
    if report.digits is None or not x.shape[0]:
        return report
    digits = sensitivity.jacobian_digits(network, x)
    return replace(
        report, digits=replace(report.digits, jacobian=digits, jacobian_at=where)
    )
