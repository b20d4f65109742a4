"""What the cases of ``solver.py`` are asked to measure, and which nets that is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nets
import numpy as np

import nninvert
from nninvert.context import Context
from nninvert.methods.problem import Targets
from nninvert.network import Network
from nninvert.result import InversionResult


@dataclass(frozen=True)
class Settings:
    """The command line.

    Attributes
    ----------
    folder : Path
        Where surrogates and proposals are kept.
    which, seeds : str, tuple of int
        A set of `nets.SEEDS`, and those of its seeds that are used.
    only : str
        A regular expression that the names of nets contain.
    every : int
        Only every so-manyth net of those.
    rows : int
        Targets for each net.
    cap : float
        Seconds a row, shared by the rows of a net.
    starts : int
        Starts for each row that competitors are given.
    shrink : float
        Part of the trainings, starts and steps of the case "simulation"; 1 but for trials.
    """

    folder: Path
    which: str
    seeds: tuple[int, ...]
    only: str
    every: int
    rows: int
    cap: float
    starts: int
    shrink: float

    def shrunk(self, number: int) -> int:
        """So many, or fewer in a trial."""
        return max(1, round(self.shrink * number))

    def cases(self) -> Iterator[nets.Case]:
        """The nets that were asked for."""
        seen = 0
        for seed in self.seeds:
            for name in nets.names(seed, self.which):
                if re.search(self.only, name):
                    seen += 1
                    if seen % self.every == 0:
                        yield nets.named(name)

    def invert(
        self, network: Network, y: np.ndarray, **options: object
    ) -> tuple[InversionResult, float]:
        """Our answer and the seconds it took, within the cap."""
        context = Context(time_limit=self.cap * y.shape[0])
        started = time.perf_counter()
        with context:
            result = nninvert.invert(network, y, context=context, **options)  # type: ignore[arg-type]
        return result, time.perf_counter() - started


def tolerances_at(network: Network, y: np.ndarray, x0: np.ndarray) -> np.ndarray:
    """The default tolerances, from the terms at x0: the same for everybody."""
    _, terms = network.forward_with_terms(x0)
    return np.asarray(Targets.of_array(y).precision.tolerance(y, terms))


def reached(
    network: Network, x: np.ndarray, y: np.ndarray, tolerance: np.ndarray
) -> np.ndarray:
    """Which rows of x give y, by the plain forward pass; shape (rows,)."""
    with np.errstate(all="ignore"):
        error = np.abs(network.forward(np.nan_to_num(x, nan=1e300)) - y)
    return np.asarray((error <= tolerance).all(axis=1))


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers; NaN of none."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")
