"""Layer by layer: pull y back through the segments, then correct x by Newton steps.

`Exact` needs a network that is one-to-one layer by layer; `PseudoInverse` takes any: each
linear part by its least-squares solution of minimum norm, each value outside an image
moved to the nearest point of it. Both are one computation, `pull_back`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.outputs import on_unattained_end
from nninvert.context import Progress
from nninvert.errors import Stopped
from nninvert.layers import LinearLayer, Preimage
from nninvert.linalg.box import Box
from nninvert.linalg.factor import factorise
from nninvert.linalg.norms import row_norms
from nninvert.linalg.row_blocks import row_blocks
from nninvert.methods._base import Attempt, Method
from nninvert.methods.problem import Problem
from nninvert.network import Network

Float64 = NDArray[np.float64]


class Exact(Method):
    """The formula: solve, inverse activation, solve, ... for all rows at once."""

    name = "exact"
    summary = "layer by layer, for square layers and one-to-one activations"

    def obstacle(self, problem: Problem) -> str:
        """Name the first segment that is not one-to-one."""
        for segment in problem.network.segments:
            layer = segment.layer
            known = layer.facts.one_to_one is not None or isinstance(layer, LinearLayer)
            if layer.facts.one_to_one is False or not known:
                return (
                    f"layer {segment.main.index} '{segment.main.name}' {layer.facts.reason}"
                )
            if isinstance(layer, LinearLayer):
                factor = factorise(layer.linear_part[0], problem.context)
                if factor.nullity:
                    return (
                        f"layer {segment.main.index} '{segment.main.name}' has rank "
                        f"{factor.rank} of {layer.linear_part[0].shape[1]}"
                    )
        return ""

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Pull back and refine; `start` is not needed."""
        return pull_back(problem)


class PseudoInverse(Method):
    """The formula with pseudo-inverses, values outside an image moved to its edge."""

    name = "pinv"
    summary = "layer by layer with pseudo-inverses (minimum norm), then corrected"

    def obstacle(self, problem: Problem) -> str:
        """There is none."""
        return ""

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Pull back and refine; `start` is not needed."""
        return pull_back(problem)


def pull_back(problem: Problem) -> Attempt:
    """Pull all targets back, refine, and say where rows left an image."""
    network, targets = problem.network, problem.targets
    rows = problem.rows
    shape = (rows, *network.graph.output_shape)
    found = network.graph.preimage(
        targets.values.reshape(shape),
        targets.precision.half_step.reshape(shape),
        problem.context,
        _allowed(problem),
    )
    x, stopped = refine(problem, found.x.reshape(rows, -1))
    return Attempt(x, stopped, departures(network, found), found)


def _allowed(problem: Problem) -> Box:
    """The bounds of the inputs, around what they shall be near to."""
    domain = problem.domain
    closed = np.zeros(domain.lower.size, dtype=np.bool_)
    return Box(domain.lower, domain.upper, closed, problem.begin)


def refine(problem: Problem, x: Float64) -> tuple[Float64, NDArray[np.bool_]]:
    """Correct x by Newton steps ``J dx = y - f(x)``, solved layer by layer.

    The step is iterative refinement of the whole network: the residual is that of f
    itself, so that errors of the layers' solves are not passed on (Higham, Accuracy and
    Stability of Numerical Algorithms, 2nd ed., section 25.2). Rough solves do: a step gains
    the digits that they have. A row keeps the x with the
    smallest residual and is left alone once a step does not halve it, or where f(x) meets
    y as closely as a float64 forward pass can tell; of large networks with many rows, as a
    solve in float64 leaves it (`tolerances.LARGE_ROWS`).

    Returns
    -------
    x : float64 array, shape (rows, n_in)
    stopped : bool array, shape (rows,)
        The time limit or an interrupt came first.
    """
    context, values = problem.context, problem.targets.values
    # Values on an unattained end are met as far as they are known; more steps would
    # only drive x to infinity.
    pursued = problem.targets.wanted & ~on_unattained_end(problem.network, values)
    best = x
    least = _explained(problem)
    error, distance = _misfit(problem, best)
    active = np.isfinite(error) & (distance > least)
    part, at_work = problem, np.arange(problem.rows)
    for step in range(tolerances.REFINEMENT_STEPS):
        chosen = np.flatnonzero(active)
        if not chosen.size or context.should_stop():
            break
        context.emit(Progress("refining", step, tolerances.REFINEMENT_STEPS))
        if not np.array_equal(chosen, at_work):
            part, at_work = problem.take(chosen), chosen
        near = part.linearized(best[chosen])
        residual = np.where(pursued[chosen], values[chosen] - near.y, 0.0)
        try:
            # A slope of nearly nothing may throw a row to infinity; it stays where it is.
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                moved = best[chosen] + near.solve_roughly(residual, context)
        except Stopped:
            break
        moved_error, distance = _misfit(part, moved)
        better = moved_error < error[chosen]
        halved = moved_error <= 0.5 * error[chosen]
        if best is x:
            best = x.copy()
        best[chosen[better]] = moved[better]
        error[chosen[better]] = moved_error[better]
        active[chosen] = halved & (distance > least)
    late = context.should_stop()
    return best, active & late


def _explained(problem: Problem) -> float:
    """How far f(x) may be off y, relative to the terms, before a step is worth making."""
    if not problem.is_large:
        return tolerances.SUM_ROUNDING
    return tolerances.SUM_ROUNDING * max(1.0, problem.rows / tolerances.LARGE_ROWS)


def _misfit(problem: Problem, x: Float64) -> tuple[Float64, Float64]:
    """||f(x) - y|| over the wanted outputs, and the largest |f(x) - y|_i / terms_i.

    Both are inf where f(x) is not finite.
    """
    fitted, terms = problem.evaluated(x)
    size, share = np.empty(len(x)), np.empty(len(x))
    tiny = np.finfo(np.float64).tiny
    with np.errstate(over="ignore", invalid="ignore"):
        for part in row_blocks(fitted.shape):
            difference = problem.targets.missed_by(fitted[part], part)
            size[part] = row_norms(difference)
            share[part] = (difference / np.maximum(terms[part], tiny)).max(axis=1)
    finite = np.isfinite(size)
    return np.where(finite, size, np.inf), np.where(finite, share, np.inf)


def departures(network: Network, found: Preimage) -> tuple[str, ...]:
    """Per row, where it left the image of a layer; "" where it did not."""
    texts = []
    for row, count in enumerate(found.outside):
        if not count:
            texts.append("")
            continue
        place, unit = int(found.place[row]), int(found.unit[row])
        segment = network.segments[place]
        main = segment.main
        size = int(np.prod(segment.layer.output_shape))
        last = place == len(network.segments) - 1
        worst = f"output {network.output_label(unit)}" if last else f"unit {unit}"
        texts.append(
            f"inverting layer {main.index} '{main.name}' needs values beyond its range: "
            f"{int(count)} of {size} units, the worst ({worst}) by "
            f"{found.overshoot[row]:.3g}"
        )
    return tuple(texts)
