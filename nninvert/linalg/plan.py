"""How a large dense square layer will be solved: the cost model, before any work is done.

Predictions follow from the size, the rates that this machine showed (`rates`) and the
memory at hand. `--engine` overrides the choice, `--dry-run` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nninvert.context import Context
from nninvert.errors import MachineError, UsageError
from nninvert.linalg.map import DenseMap
from nninvert.linalg.panels.lu import CALL_SECONDS, blocks_at_once
from nninvert.linalg.panels.store import Cuts
from nninvert.linalg.rates import DISK, Rates, machine_rates
from nninvert.linalg.refinement import predicted_passes

ENGINES = {
    "auto": "what this page predicts to be fastest",
    "panel": "LU in column panels, refined to float64",
    "lapack": "LU in float64, one call of LAPACK",
    "iterative": "no factors: LSMR or GMRES",
}

SLACK = 64 * 2**20
"""Bytes beside the factors: stripes of weights, right-hand sides, the rest."""

LONG = 600.0
"""Seconds after which factors are worth keeping in a file while they are made."""

LAPACK_MOST = 30_000
"""Largest order for one threaded call of getrf: it crashes from about 40,000 on."""

_WIDEST, _NARROWEST = 768, 32
_PANEL_SHARE = 1.0 / 3.0
"""Rate of the factorisation of a narrow panel, as a share of that of products."""

_GUESSED_CONDITION = 5.0
"""Times n: the 2-norm condition number of an untrained layer of order n is about n, and
five times that in one of three (Edelman, SIAM J. Matrix Anal. Appl. 9, 1988)."""

_ROW_ARRAYS = 8
"""Arrays of the size of the targets that are held at once."""


def row_memory(width: int, rows: int) -> int:
    """Bytes beside factors for rows of so many numbers."""
    return SLACK + 8 * _ROW_ARRAYS * width * rows


@dataclass(frozen=True)
class LayerPlan:
    """What will be done about one layer, and what it is predicted to take.

    Attributes
    ----------
    engine : str
        "panel", "lapack" or "iterative".
    precision : str
        Of the factors: "float32" or "float64"; "" without factors.
    order : int
    in_file : bool
        Whether the factors live in a file and are streamed from there.
    width, most : int
        Columns of a block, and how many blocks are resident while factoring.
    memory, disk : int
        Bytes.
    passes : float
        Times that the weights are read.
    factor_seconds, solve_seconds : float
    why : str
    """

    engine: str
    precision: str
    order: int
    in_file: bool
    width: int
    most: int
    memory: int
    disk: int
    passes: float
    factor_seconds: float
    solve_seconds: float
    why: str

    @property
    def seconds(self) -> float:
        """Altogether."""
        return self.factor_seconds + self.solve_seconds


def plan_square(linear_map: DenseMap, context: Context) -> LayerPlan:
    """Plan a large square layer.

    Raises
    ------
    UsageError
        For an engine that does not exist or cannot be used on it.
    MachineError
        If nothing fits into the memory allowed.
    """
    rates, n = machine_rates(), linear_map.shape[0]
    if context.engine not in ENGINES:
        raise UsageError("--engine", got=repr(context.engine), expected=", ".join(ENGINES))
    if context.engine == "lapack":
        return _lapack(n, context, rates)
    if context.engine == "iterative":
        return _iterative(linear_map, context, rates, "asked for")
    single = panel_plan(linear_map, np.dtype(np.float32), context)
    if context.engine == "panel" or context.rows < 2 or context.disk.factors:
        return single
    double = panel_plan(linear_map, np.dtype(np.float64), context)
    if double.in_file or single.in_file or double.seconds > single.seconds:
        return single
    return double


def panel_plan(
    linear_map: DenseMap, dtype: np.dtype[np.floating[Any]], context: Context
) -> LayerPlan:
    """Plan a panelled LU in one precision: in memory if it fits, else in a file."""
    rates, n, rows = machine_rates(), linear_map.shape[0], context.rows
    own = row_memory(n, rows)
    width = _block_width(n, dtype, rates)
    factor_seconds = 2.0 / 3.0 * float(n) ** 3 / rates.lu(dtype)
    held = n * n * dtype.itemsize + own
    named = bool(context.disk.scratch or context.disk.output)
    short = held > context.memory // max(context.large_layers, 1)
    in_file = short or (named and factor_seconds > LONG)
    most = -(-n // width)
    if in_file:
        free = context.memory - own - context.factors.nbytes
        width, most = _file_blocks(n, width, dtype, free)
        most = blocks_at_once(Cuts(n, width), 0, most, rates.lu(dtype))
        held = own + (2 + most) * n * width * dtype.itemsize
    passes, solve = _solve_cost(linear_map, dtype, rows, rates, in_file)
    kept = n * (n + width) * dtype.itemsize if in_file or context.disk.output else 0
    return LayerPlan(
        engine="panel",
        precision=dtype.name,
        order=n,
        in_file=in_file,
        width=width,
        most=most,
        memory=held,
        disk=kept,
        passes=passes + 1.0,
        factor_seconds=factor_seconds,
        solve_seconds=solve,
        why=_why(dtype, rows, in_file, factor_seconds),
    )


def _why(dtype: np.dtype[Any], rows: int, in_file: bool, seconds: float) -> str:
    text = "float32 factors, refined to float64"
    if dtype == np.float64:
        text = f"{rows:,} targets: float64 factors need no refinement"
    if in_file and seconds > LONG:
        return text + ", in a file: a long computation can go on after an interrupt"
    return text + (", in a file: they do not fit into memory" if in_file else "")


@dataclass(frozen=True)
class RectanglePlan:
    """What will be done about a large layer that is not square.

    Attributes
    ----------
    engine : str
        "qr" or "iterative".
    memory : int
        Bytes.
    why : str
    """

    engine: str
    memory: int
    why: str


def plan_rectangle(shape: tuple[int, int], context: Context) -> RectanglePlan:
    """QR where it fits into memory with its triangle and a copy of that, or iteration."""
    own = row_memory(max(shape), context.rows)
    held = own + 8 * (shape[0] * shape[1] + 2 * min(shape) ** 2)
    if context.engine == "iterative":
        return RectanglePlan("iterative", own, "asked for")
    if held > context.memory:
        why = f"QR would take {held / 1e9:.1f} GB"
        return RectanglePlan("iterative", own, why)
    return RectanglePlan("qr", held, "QR: it is not square")


def _block_width(n: int, dtype: np.dtype[Any], rates: Rates) -> int:
    """As wide as one call for the tallest panel may take."""
    affordable = (CALL_SECONDS * _PANEL_SHARE * rates.product(dtype) / n) ** 0.5
    return int(min(max(affordable, 64), _WIDEST, n)) // 16 * 16 or n


def _file_blocks(n: int, width: int, dtype: np.dtype[Any], budget: int) -> tuple[int, int]:
    """Block width, and how many blocks are resident beside two that are streamed.

    Raises
    ------
    MachineError
        If not even three of the narrowest blocks fit.
    """
    column = n * dtype.itemsize
    least = 3 * column * min(_NARROWEST, n)
    if budget < least:
        raise MachineError(
            "--memory",
            got=f"{max(budget, 0) / 2**20:,.0f} MiB left for factors of order {n:,}",
            expected=f"at least {least / 2**20:,.0f} MiB for three panels",
            next_step=f"Allow {(least - budget) / 2**20:,.0f} MiB more.",
        )
    # A third of the budget for streamed blocks: wide ones keep products efficient.
    width = max(min(width, budget // (6 * column)), min(_NARROWEST, n))
    return width, max(1, budget // (column * width) - 2)


def _solve_cost(
    linear_map: DenseMap,
    dtype: np.dtype[Any],
    rows: int,
    rates: Rates,
    in_file: bool,
) -> tuple[float, float]:
    """Passes over the weights and seconds for solves, and the final forward pass."""
    n = linear_map.shape[0]
    passes = 1.0
    if dtype == np.float32:
        passes = predicted_passes(min(0.4, _GUESSED_CONDITION * n * 6e-8))
    flops = 2.0 * float(n) * n * rows
    bytes_read = float(n) * n * dtype.itemsize
    read = linear_map.matrix.nbytes / rates.memory + flops / rates.double
    solve = bytes_read / (DISK if in_file else rates.memory) + flops / rates.product(dtype)
    # The product that would measure the last solve is left to the forward pass.
    return passes, passes * (read + solve)


def _lapack(n: int, context: Context, rates: Rates) -> LayerPlan:
    held = 8 * n * n + SLACK
    if n > LAPACK_MOST:
        raise UsageError(
            "--engine lapack",
            got=f"a layer of order {n:,}",
            expected=f"at most {LAPACK_MOST:,}",
            because="one threaded call of getrf crashes on larger ones",
            next_step="Use --engine panel",
        )
    if held > context.memory:
        raise MachineError(
            "--engine lapack",
            got=f"{context.memory / 1e9:.1f} GB of memory",
            expected=f"{held / 1e9:.1f} GB",
            next_step="Use --engine panel",
        )
    seconds = 2.0 / 3.0 * float(n) ** 3 / rates.lu(np.dtype(np.float64))
    return LayerPlan(
        "lapack", "float64", n, False, n, 1, held, 0, 2.0, seconds, 0.0, "asked for"
    )


def _iterative(linear_map: DenseMap, context: Context, rates: Rates, why: str) -> LayerPlan:
    n = linear_map.shape[0]
    held = row_memory(n, context.rows)
    return LayerPlan(
        "iterative",
        "",
        n,
        in_file=False,
        width=0,
        most=0,
        memory=held,
        disk=0,
        passes=ITERATIVE_PASSES,
        factor_seconds=0.0,
        solve_seconds=ITERATIVE_PASSES * pass_seconds(linear_map, context, rates),
        why=why,
    )


ITERATIVE_PASSES = 40.0
"""Passes that a well-conditioned layer is predicted to take, before anything is known."""


def pass_seconds(linear_map: DenseMap, context: Context, rates: Rates) -> float:
    """Seconds to read the weights once and multiply by them and by their transpose."""
    flops = 4.0 * linear_map.shape[0] * linear_map.shape[1] * context.rows
    return linear_map.matrix.nbytes / rates.memory + flops / rates.double
