"""Checking: whether a network is one-to-one, targets reachable, pairs in agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert import formats
from nninvert.analysis import handshake, sensitivity
from nninvert.analysis.factor_files import conclude, prepare
from nninvert.analysis.invertibility import check_network
from nninvert.analysis.planning import announce_structure
from nninvert.api.asking import finite_rows, opened, problem_of, stored_targets
from nninvert.api.named import Bound, Fixed, Values, Within, whole_rows
from nninvert.api.scaling import in_units_of
from nninvert.context import Context
from nninvert.formats import ReadOptions
from nninvert.methods.domain import Constraints
from nninvert.methods.targets import judge_targets
from nninvert.network import Network
from nninvert.result import CheckReport, PairsReport

Float64 = NDArray[np.float64]


def check(
    network: Network,
    *,
    target: Values | None = None,
    pairs: tuple[Values, Values] | None = None,
    inputs: Values | None = None,
    quick: bool = False,
    max_condition: float | None = None,
    within: Within | None = None,
    near: Values | None = None,
    lower: Bound | None = None,
    upper: Bound | None = None,
    fix: Fixed | None = None,
    integer: Sequence[int | str] | None = None,
    constraints: Constraints | None = None,
    single: bool | None = None,
    context: Context | None = None,
) -> CheckReport:
    """Say whether a network is one-to-one, why, and what inverting it costs.

    Parameters
    ----------
    network : Network
    target : array or dict, default None
        Targets as `invert` takes them, each judged for reachability; its options apply.
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
    with opened(context) as used:
        problem = None
        if target is not None:
            problem = problem_of(
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
            shape, label = network.graph.input_shape, network.input_label
            given = whole_rows(inputs, network.inputs, "inputs")
            rows = finite_rows(given, shape, "inputs", label)
            report = _with_jacobian(report, network, rows.astype(np.float64), "inputs")
        return report if context else replace(report, kept=conclude(used))


def _shake_hands(
    network: Network, pairs: tuple[Values, Values]
) -> tuple[Network, PairsReport]:
    """Compare, and try other readings of bare weights where the first does not fit."""
    ends = network.graph.input_shape, network.graph.output_shape
    inputs = whole_rows(pairs[0], network.inputs, "X of --pairs")
    given = stored_targets(whole_rows(pairs[1], network.outputs, "Y of --pairs"))
    x = finite_rows(inputs, ends[0], "X of --pairs", network.input_label)
    y = finite_rows(given, ends[1], "Y of --pairs", network.output_label)
    report = handshake.compare_pairs(network, x, y)
    if report.same or not network.source.path:
        return network, report
    readings = (
        (_reading(options), in_units_of(made, network))
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
