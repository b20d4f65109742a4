"""Which targets of a problem are proved to be out of reach, and how."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis import reachability
from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.inputs import Inputs, allowed_inputs
from nninvert.analysis.bounds.outputs import OutputBounds
from nninvert.linalg.norms import row_norms
from nninvert.methods.problem import Problem
from nninvert.methods.whole_points import (
    combination_blocks,
    combinations,
    is_listed,
    points,
)
from nninvert.outcome import Proof

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

PROOF_WEIGHTS = 50_000_000
"""Most weights of a network whose outputs are bounded: a pass over so many takes a tenth
of a second."""

PROOF_SHARE = 0.2
"""Linear programs may take this share of the time that the search took, but at least..."""

PROOF_SECONDS = 2.0
"""... this many seconds, for all rows together."""


@dataclass(frozen=True)
class Finding:
    """What is proved about one row.

    Attributes
    ----------
    proof : Proof
        NONE where nothing is proved, which says nothing.
    reason : str
        A sentence with the numbers of this row; "" where the kind says it all.
    """

    proof: Proof
    reason: str = ""


NOTHING = Finding(Proof.NONE)


def findings(problem: Problem, tolerance: Float64) -> tuple[Finding, ...]:
    """Look for proofs that no allowed input meets a row's tolerance.

    After `quick_findings` f is computed at every allowed input where these are few enough
    (`is_listed`). Then linear programs are asked, each of which may give a certificate
    that is checked exactly; they take some milliseconds each, and stop after
    `PROOF_SECONDS` or `PROOF_SHARE` of the time so far, whichever is later.

    Parameters
    ----------
    problem : Problem
    tolerance : float64 array, shape (rows, n_out)
        What "meets" means.

    Returns
    -------
    tuple of Finding
    """
    found = list(quick_findings(problem, tolerance))
    _look_at_every_point(problem, found)
    if all(known.proof is not Proof.NONE for known in found):
        return tuple(found)
    bounds = _output_bounds(problem)
    if bounds is not None:
        _certify(problem, bounds, found, *_asked_for(problem, tolerance))
    return tuple(found)


def quick_findings(problem: Problem, tolerance: Float64) -> tuple[Finding, ...]:
    """The same without linear programs: what all rows together take a moment for.

    In this order, each for the rows that are left: pulling the target back, intervals of
    the outputs, their linear relaxation.
    """
    if not problem.rows:
        return ()
    found = [Finding(proof) for proof in _pulled_back(problem, tolerance)]
    bounds = _output_bounds(problem)
    low, high = _asked_for(problem, tolerance)
    for kind in (Proof.INTERVAL, Proof.RELAXATION):
        left = [row for row, known in enumerate(found) if known.proof is Proof.NONE]
        if not left or bounds is None or problem.context.should_stop():
            break
        box = bounds.intervals if kind is Proof.INTERVAL else bounds.relaxation.outputs
        for row in left:
            output = _excluded(box, low[row], high[row])
            if output is not None:
                reason = _stays_within(problem, box, output, row)
                found[row] = Finding(kind, reason)
    return tuple(found)


def _pulled_back(problem: Problem, tolerance: Float64) -> tuple[Proof, ...]:
    """Proofs by the only way back through layers that are one-to-one."""
    radius = np.where(problem.targets.wanted, tolerance, np.inf)
    reach = reachability.pull_back_boxes(
        problem.network, problem.targets.values, radius, problem.context
    )
    missed = reachability.outside_bounds(reach, problem.domain.lower, problem.domain.upper)
    missed &= ~reach.proved
    if not missed.any():
        return reach.proof
    if not reachability.radii_are_trusted(problem.network, problem.context):
        return reach.proof
    return tuple(
        Proof.BOUNDS if outside else proof
        for proof, outside in zip(reach.proof, missed, strict=True)
    )


def _inputs(problem: Problem) -> Inputs:
    domain = problem.domain
    held = domain.constraints
    return allowed_inputs(
        domain.lower, domain.upper, domain.integer, held.matrix, held.limit, held.eps
    )


def _output_bounds(problem: Problem) -> OutputBounds | None:
    """Bounds of the outputs, the same for all rows; None where they would cost too much."""
    network = problem.network
    if network.parameters > PROOF_WEIGHTS:
        return None
    inputs = _inputs(problem)
    if inputs.is_empty:
        return None
    digest = hashlib.sha256()
    for array in (inputs.box.lower, inputs.box.upper):
        digest.update(array.tobytes())
    for array in (inputs.inequalities.matrix, inputs.inequalities.limit):
        digest.update(np.ascontiguousarray(array).tobytes())
    # What is kept holds the network, so that nothing else gets its id.
    key = ("output bounds", str(id(network)), digest.hexdigest())
    return problem.context.factors.get_or_build(
        key, lambda: OutputBounds(network, inputs, problem.context)
    )


def _asked_for(problem: Problem, tolerance: Float64) -> tuple[Float64, Float64]:
    """What the computed outputs must lie in so that a row counts as solved."""
    values = problem.targets.values
    rounding = 4.0 * tolerances.EPS64 * (np.abs(values) + tolerance)
    radius = np.where(problem.targets.wanted, tolerance + rounding, np.inf)
    return values - radius, values + radius


def _excluded(box: Box, low: Float64, high: Float64) -> int | None:
    """The output that stays farthest from what is asked for, relative to its range."""
    with np.errstate(invalid="ignore"):
        gap = np.maximum(low - box.upper, box.lower - high)
    gap = np.where(np.isnan(gap), -np.inf, gap)
    if gap.max() <= 0.0:
        return None
    width = np.where(np.isfinite(box.width), box.width, 1.0)
    relative = np.where(gap > 0.0, gap / np.maximum(width, tolerances.EPS64), 0.0)
    return int(relative.argmax())


def _stays_within(problem: Problem, box: Box, output: int, row: int) -> str:
    """Name the range of an output."""
    target = float(problem.targets.values[row, output])
    low, high = float(box.lower[output]), float(box.upper[output])
    for digits in range(4, 17):
        ends = [
            _outward(end, side, digits, max(abs(low), abs(high)))
            for end, side in ((low, -1), (high, 1))
        ]
        if not float(ends[0]) <= target <= float(ends[1]):
            break
    name = problem.network.output_label(output)
    return f"output {name} stays within [{ends[0]}, {ends[1]}] {_for_which(problem)}"


def _outward(value: float, side: int, digits: int, largest: float) -> str:
    """An end of a range in decimals, rounded outward to the digits of the largest end."""
    if not math.isfinite(value) or not math.isfinite(largest) or largest == 0.0:
        return f"{value:g}"
    step = Decimal(10) ** (math.floor(math.log10(largest)) - digits + 1)
    way = ROUND_FLOOR if side < 0 else ROUND_CEILING
    return f"{(Decimal(value) / step).to_integral_value(way) * step:.{digits}g}"


def _for_which(problem: Problem) -> str:
    if problem.domain.is_open:
        return "for all inputs"
    if problem.domain.is_box:
        return "for all inputs within the bounds"
    return "for all inputs that are allowed"


def _look_at_every_point(problem: Problem, found: list[Finding]) -> None:
    """Where inputs are whole or fixed and few: find rows that f of none of them meets."""
    domain, targets = problem.domain, problem.targets
    left = np.array([known.proof is Proof.NONE for known in found], dtype=np.bool_)
    if not left.any() or not domain.integer.any() or not is_listed(domain):
        return
    for block in combination_blocks(domain, problem.begin.mean(axis=0)):
        if problem.context.should_stop():
            return
        fitted, terms = problem.network.forward_with_terms(points(domain, block))
        # Sums in another order are other sums.
        rounding = tolerances.SUM_ROUNDING * terms
        for row in np.flatnonzero(left):
            part = problem.take(np.array([row]))
            off = np.abs(fitted - targets.values[row]) - rounding
            met = (off <= part.tolerance(terms)) | ~targets.wanted[row]
            # What is not finite is no proof.
            left[row] = not (met | np.isnan(off)).all(axis=1).any()
    for row in np.flatnonzero(left):
        total = int(combinations(domain))
        found[row] = Finding(
            Proof.COMBINATIONS, f"f was computed at all {total:,} combinations"
        )


def _certify(
    problem: Problem,
    bounds: OutputBounds,
    found: list[Finding],
    low: Float64,
    high: Float64,
) -> None:
    """Ask linear programs about the rows that are left, as long as there is time."""
    context = problem.context
    budget = max(PROOF_SECONDS, PROOF_SHARE * context.elapsed)
    stop = context.elapsed + budget
    for row, known in enumerate(found):
        seconds = stop - context.elapsed
        if seconds <= 0.0 or context.should_stop():
            return
        if known.proof is not Proof.NONE:
            continue
        if bounds.no_solution(low[row], high[row], seconds):
            found[row] = Finding(Proof.FARKAS)


def nearness(problem: Problem, fitted: Float64, tolerance: Float64) -> Float64:
    """How near the outputs that were found are proved to be to the nearest ones of all.

    The norm of ``(f(x) - y) / tolerance`` over the wanted outputs is what a search makes
    small. A plane that all outputs lie beyond bounds it from below; where the network is
    affine and the inputs lie in a box, or nearly so, that bound is attained.

    Parameters
    ----------
    problem : Problem
    fitted : float64 array, shape (rows, n_out)
        The outputs at the best inputs found; finite.
    tolerance : float64 array, shape (rows, n_out)

    Returns
    -------
    float64 array, shape (rows,)
        Lower bound of that norm over its value here: 1 where no input is nearer, 0 where
        nothing is known.
    """
    bounds = _output_bounds(problem)
    if bounds is None:
        return np.zeros(problem.rows)
    values, wanted = problem.targets.values, problem.targets.wanted
    scale = np.maximum(tolerance, np.finfo(np.float64).tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.where(wanted, (fitted - values) / scale, 0.0)
        norm = row_norms(error)
        usable = np.isfinite(norm) & (norm > 0.0)
        # Unit directions, so that their squares do not overflow.
        unit = np.where(usable[:, None], error / norm[:, None], 0.0)
        least = bounds.distance(np.where(wanted, unit / scale, 0.0), values)
        share = np.divide(least, norm, out=np.zeros_like(norm), where=usable)
    return np.asarray(np.clip(np.nan_to_num(share), 0.0, 1.0))


def missing_bounds(problem: Problem) -> str:
    """Which inputs need bounds before more can be proved; "" where none do."""
    box = _inputs(problem).box
    free = np.flatnonzero(~np.isfinite(box.size))
    if not free.size:
        return ""
    names = ", ".join(problem.network.input_label(int(k)) for k in free[:8])
    names += ", ..." if free.size > 8 else ""
    which = f"input {names} has" if free.size == 1 else f"inputs {names} have"
    return (
        f"{which} no bounds on both sides, and without them little can be proved: "
        "give --lower and --upper, or --bounds"
    )
