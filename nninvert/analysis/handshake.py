"""Whether the network, as it was read, says what its owner says it does.

Two uses of pairs (X, Y). Computed by the network's own framework, they show that the file
was read right: orientation, activations, order. Measured in the world, they show how good
the model is, and so how close a target can sensibly be met.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.outputs import output_sizes, rounded_percent
from nninvert.errors import ShapeError
from nninvert.network import Network
from nninvert.result import PairsReport

Float64 = NDArray[np.float64]


def compare_pairs(
    network: Network, x: NDArray[np.generic], y: NDArray[np.generic]
) -> PairsReport:
    """Compare f(X) with Y.

    Parameters
    ----------
    network : Network
    x : array, shape (rows, n_in)
        In its stored type.
    y : array, shape (rows, n_out)
        In its stored type, which decides how well they must agree to be the same.

    Raises
    ------
    ShapeError
        If the numbers of rows differ.
    """
    if x.shape[0] != y.shape[0]:
        raise ShapeError(
            "--pairs",
            got=f"{x.shape[0]} inputs and {y.shape[0]} outputs",
            expected="as many",
        )
    said = y.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = network.forward(x.astype(np.float64)) - said
        error = np.where(np.isfinite(difference), np.abs(difference), np.inf)
        relative = np.linalg.norm(error, axis=1) / np.maximum(
            np.linalg.norm(said, axis=1), np.finfo(np.float64).tiny
        )
        per_output = np.sqrt(np.mean(np.square(error), axis=0))
    same = bool(relative.max() <= agreement(x, y))
    share = (error / output_sizes(network, said)).max(axis=1)
    # Not interpolated: what lies between two rows covers only the smaller one.
    typical = float(np.quantile(share, tolerances.PAIRS_SHARE, method="inverted_cdf"))
    return PairsReport(
        rows=x.shape[0],
        largest=float(relative.max()),
        median=float(np.median(relative)),
        largest_absolute=float(error.max()),
        per_output=per_output,
        same=same,
        within=rounded_percent(typical) if not same and np.isfinite(typical) else "",
    )


def agreement(x: NDArray[np.generic], y: NDArray[np.generic]) -> float:
    """Relative difference up to which pairs of these types count as the same."""
    eps = max(tolerances.stored_eps(x.dtype), tolerances.stored_eps(y.dtype))
    return max(tolerances.TARGET_FLOOR, tolerances.PAIRS_ULPS * eps)


def is_better(report: PairsReport, other: PairsReport) -> bool:
    """Whether a reading fits better: what is the same wins, then the median decides.

    Rows on which two readings agree (relu and leaky_relu where all is positive) must not
    hide that only one of them is the same on all rows.
    """
    return (not report.same, report.median) < (not other.same, other.median)


def best_reading(
    readings: Iterable[tuple[str, Network]],
    x: NDArray[np.generic],
    y: NDArray[np.generic],
) -> tuple[Network, PairsReport] | None:
    """Of several ways to read bare weights, find the one whose f(X) is nearest to Y.

    Stops at the first that is the same to the precision of Y.

    Parameters
    ----------
    readings : iterable of (str, Network)
        What was assumed, as the options that say so, and the network.
    x, y : arrays
        As in `compare_pairs`.

    Returns
    -------
    (Network, PairsReport) or None
        None where there were no readings that fit the widths of X and Y.
    """
    best: tuple[Network, PairsReport] | None = None
    tried = 0
    for text, network in readings:
        if (network.n_in, network.n_out) != (x.shape[1], y.shape[1]):
            continue
        tried += 1
        report = replace(compare_pairs(network, x, y), reading=text)
        if best is None or is_better(report, best[1]):
            best = (network, report)
        if report.same:
            break
    return None if best is None else (best[0], replace(best[1], tried=tried))
