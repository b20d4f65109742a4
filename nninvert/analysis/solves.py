"""How the large layers of a network were solved, read off their factorisations."""

from __future__ import annotations

from nninvert.analysis.planning import weighted_layers
from nninvert.context import Context
from nninvert.linalg.factor import factor_key
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.mixed import MixedFactor
from nninvert.network import Network
from nninvert.result import SolveSummary


def solve_summaries(network: Network, context: Context) -> tuple[SolveSummary, ...]:
    """The worst solve with each large layer that was refined or iterated.

    Parameters
    ----------
    network : Network
    context : Context
        With which it was inverted; its factors must not be closed yet.
    """
    found = []
    for layer in weighted_layers(network):
        kept = context.factors.peek(factor_key(layer.linear_map)) if layer.large else None
        if kept is None:
            continue
        factor, seconds = kept
        if not isinstance(factor, MixedFactor | IterativeFactor) or factor.worst is None:
            continue
        worst = factor.worst
        found.append(
            SolveSummary(
                index=layer.index,
                name=layer.name,
                path=worst.path,
                passes=worst.passes,
                contraction=worst.contraction,
                backward_error=worst.backward_error,
                componentwise=worst.componentwise,
                seconds=seconds,
                memory=factor.nbytes,
            )
        )
    return tuple(found)
