"""What a network's large layers will take: the plan of a command, before any work.

No weights are read for it, but the sample that identifies them where factors come from a
file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nninvert import tolerances
from nninvert.analysis.invertibility import check_network, summary
from nninvert.context import Context, Notice
from nninvert.errors import MachineError
from nninvert.forecast import Forecast, LayerForecast, Machine
from nninvert.layers import LinearLayer
from nninvert.linalg.block_diagonal import BlockDiagonalMap
from nninvert.linalg.map import ComposedMap, DenseMap, LinearMap, RepeatedMap
from nninvert.linalg.panels.factor_file import PART, FactorFile
from nninvert.linalg.panels.region import Region, Weights, find_region
from nninvert.linalg.panels.workspace import refuse_memory_disk
from nninvert.linalg.plan import (
    ITERATIVE_PASSES,
    LayerPlan,
    panel_plan,
    pass_seconds,
    plan_rectangle,
    plan_square,
    row_memory,
)
from nninvert.linalg.rates import DISK, machine_rates
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.sparse_plan import SparseWay, sparse_plan
from nninvert.linalg.stored import StoredMatrix
from nninvert.network import Network

_QR_SHARE = 0.5
"""Rate of QR as a share of that of products."""

_SOLVES, _PASS_SECONDS = 20.0, 3e-9
"""Products with a sparse matrix that inverting by factors takes, and the time of one for
each entry and target."""


@dataclass(frozen=True)
class Weighted:
    """A matrix of weights and the layer that holds it.

    Attributes
    ----------
    index, name : str
    linear_map : DenseMap or SparseMap
    """

    index: str
    name: str
    linear_map: DenseMap | SparseMap

    @property
    def shape(self) -> tuple[int, int]:
        """(n_out, n_in)."""
        return self.linear_map.shape

    @property
    def large(self) -> bool:
        """Whether work on it is planned: a decomposition takes more than two seconds."""
        return not tolerances.svd_is_cheap(self.shape)

    @property
    def factored(self) -> bool:
        """Whether its factors can go into a file: large, dense and square."""
        square = self.shape[0] == self.shape[1]
        return self.large and square and isinstance(self.linear_map, DenseMap)


def weighted_layers(network: Network) -> tuple[Weighted, ...]:
    """All matrices of weights in order; one that is used again appears once."""
    found: dict[tuple[str, ...], Weighted] = {}
    for node in network.graph.leaves():
        if isinstance(node.layer, LinearLayer):
            for matrix in _matrices(node.layer.linear_part[0]):
                found.setdefault(matrix.key, Weighted(node.index, node.name, matrix))
    return tuple(found.values())


def _matrices(linear_map: LinearMap) -> Iterator[DenseMap | SparseMap]:
    if isinstance(linear_map, DenseMap | SparseMap):
        yield linear_map
    elif isinstance(linear_map, RepeatedMap):
        yield from _matrices(linear_map.base)
    elif isinstance(linear_map, ComposedMap):
        for part in linear_map.parts:
            yield from _matrices(part)
    elif isinstance(linear_map, BlockDiagonalMap):
        for block in linear_map.blocks:
            yield from _matrices(block)


def large_layers(network: Network) -> int:
    """How many layers are planned."""
    return sum(layer.large for layer in weighted_layers(network))


def factored_matrices(network: Network) -> list[StoredMatrix]:
    """The weights of large dense square layers, as a factor file lists them.

    Of a matrix and its transpose that one is taken whose columns lie together.
    """
    return [
        layer.linear_map.matrix.columns_together
        for layer in weighted_layers(network)
        if layer.factored
    ]


def forecast(network: Network, context: Context) -> Forecast:
    """Plan every large layer.

    Parameters
    ----------
    network : Network
    context : Context
        Its memory, engine, rows and disk decide. Is told how many layers share its memory.

    Raises
    ------
    UsageError
        For an engine that cannot be used.
    MachineError
        If the memory does not suffice for the least that a layer needs.
    InputError
        If a factor file is named that cannot be read.
    """
    every = weighted_layers(network)
    known = _known_regions(context)
    context.large_layers = max(1, sum(layer.large for layer in every))
    layers = tuple(_forecast(layer, context, known) for layer in every if layer.large)
    place = ""
    if any(layer.disk for layer in layers):
        place = context.disk.output or context.disk.scratch
    return Forecast(
        model=summary(network),
        layers=layers,
        small=sum(not layer.large for layer in every),
        rows=context.rows,
        allowed=context.memory,
        place=place,
        room=_room(place) if place else None,
        machine=_machine() if layers else None,
    )


def announce(made: Forecast, context: Context) -> None:
    """Say what will be done about each large layer."""
    for layer in made.layers:
        (m, n), about = layer.shape, "less than a second predicted"
        if layer.seconds >= 1.0:
            about = f"{layer.seconds:,.0f} s predicted"
        shape = "square" if m == n else "not square"
        text = f"layer {layer.index} '{layer.name}': {m:,} x {n:,} {layer.stored}, {shape}"
        context.emit(Notice(f"{text}; {layer.why}, {about}"))


def announce_structure(network: Network, context: Context) -> None:
    """Say what the shapes and activations of large layers tell, before the long work."""
    if large_layers(network):
        found = check_network(network, context, quick=True)
        context.emit(Notice(f"structure: {found.sentence}"))


def require_room(made: Forecast) -> None:
    """Refuse work whose factors the disk cannot take.

    Raises
    ------
    MachineError
        If the disk is full, is memory in disguise, or cannot be written to.
    """
    if not made.place:
        return
    refuse_memory_disk(made.place)
    folder = _folder(made.place)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MachineError(
            "factors",
            got=f"a folder that cannot be written to: {folder}",
            expected=f"room for {made.disk / 1e9:.1f} GB",
            next_step="Choose another one with --scratch",
            file=made.place,
        )
    if not made.has_room:
        assert made.room is not None
        raise MachineError(
            "factors",
            got=f"{made.room / 1e9:.1f} GB free on this disk",
            expected=f"{made.disk / 1e9:.1f} GB",
            because=f"the factors of {len(made.layers)} large layer(s) go there",
            next_step="Choose another disk, or --engine iterative",
            file=made.place,
        )


def _forecast(layer: Weighted, context: Context, known: list[Region]) -> LayerForecast:
    linear_map = layer.linear_map
    if isinstance(linear_map, SparseMap):
        return _sparse(layer, linear_map, context)
    if not layer.factored:
        return _rectangular(layer, linear_map, context)
    region = _find(linear_map.matrix, known)
    if region is None:
        return _described(layer, plan_square(linear_map, context))
    plan = panel_plan(linear_map, np.dtype(region.dtype), context)
    why = f"{region.dtype} factors from {context.disk.factors}"
    solving = replace(plan, factor_seconds=0.0, disk=0, why=why)
    return replace(_described(layer, solving), engine="file")


def _described(layer: Weighted, plan: LayerPlan) -> LayerForecast:
    return LayerForecast(
        index=layer.index,
        name=layer.name,
        shape=layer.shape,
        stored=layer.linear_map.matrix.stored_name,
        engine=plan.engine,
        precision=plan.precision,
        in_file=plan.in_file,
        memory=plan.memory,
        disk=plan.disk,
        passes=plan.passes,
        seconds=plan.seconds,
        why=plan.why,
    )


def _rectangular(layer: Weighted, linear_map: DenseMap, context: Context) -> LayerForecast:
    """QR of a dense matrix that is not square, 2 q^2 (p - q / 3) operations; or passes."""
    rates = machine_rates()
    long, short = max(layer.shape), min(layer.shape)
    one = pass_seconds(linear_map, context, rates)
    plan = plan_rectangle(layer.shape, context)
    if plan.engine == "iterative":
        passes, seconds = ITERATIVE_PASSES, ITERATIVE_PASSES * one
        return _estimated(layer, "iterative", "", plan.memory, passes, seconds, plan.why)
    work = 2.0 * short * short * (long - short / 3.0)
    seconds = work / (_QR_SHARE * rates.double) + 2.0 * one
    return _estimated(layer, "qr", "float64", plan.memory, 3.0, seconds, plan.why)


def _sparse(layer: Weighted, linear_map: SparseMap, context: Context) -> LayerForecast:
    """As the pattern says; twenty products for each target, or those of an iteration."""
    plan = sparse_plan(linear_map, context)
    engine, precision = {
        SparseWay.BAND: ("band", "float64"),
        SparseWay.SUPERLU: ("sparse", "float64"),
        SparseWay.JACOBI: ("jacobi", ""),
        SparseWay.ITERATION: ("iterative", ""),
    }[plan.way]
    rows, passes = context.rows, _SOLVES if precision else ITERATIVE_PASSES
    seconds = plan.seconds + passes * _PASS_SECONDS * linear_map.matrix.size * rows
    held = int(plan.memory) + row_memory(max(layer.shape), rows)
    return _estimated(layer, engine, precision, held, passes, seconds, plan.text)


def _estimated(
    layer: Weighted,
    engine: str,
    precision: str,
    memory: int,
    passes: float,
    seconds: float,
    why: str,
) -> LayerForecast:
    return LayerForecast(
        index=layer.index,
        name=layer.name,
        shape=layer.shape,
        stored=layer.linear_map.matrix.stored_name,
        engine=engine,
        precision=precision,
        in_file=False,
        memory=memory,
        disk=0,
        passes=passes,
        seconds=seconds,
        why=why,
    )


def _known_regions(context: Context) -> list[Region]:
    """What the factor file that the user named holds."""
    if not context.disk.factors:
        return []
    with FactorFile.open(context.disk.factors) as file:
        return file.regions


def _find(matrix: StoredMatrix, known: list[Region]) -> Region | None:
    return find_region(known, Weights.of(matrix.columns_together)) if known else None


def _room(place: str) -> int:
    """Bytes free for a file, with what its unfinished part has reserved already."""
    free = shutil.disk_usage(_folder(place)).free
    part = place + PART
    return free + (os.stat(part).st_blocks * 512 if os.path.exists(part) else 0)


def _folder(place: str) -> str:
    return os.path.dirname(os.path.abspath(place))


def _machine() -> Machine:
    rates = machine_rates()
    return Machine(rates.single, rates.double, rates.memory, DISK)
