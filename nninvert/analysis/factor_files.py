"""Factors of large layers in files: made, used, kept or removed."""

from __future__ import annotations

import os

from nninvert.analysis.planning import (
    announce,
    factored_matrices,
    forecast,
    large_layers,
    require_room,
    weighted_layers,
)
from nninvert.context import Context, Disk
from nninvert.errors import InputError, UsageError
from nninvert.linalg.factor import factorise
from nninvert.linalg.panels.factor_file import JOURNAL, PART, FactorFile
from nninvert.linalg.panels.workspace import Workspace
from nninvert.network import Network
from nninvert.result import KeptFactors


def prepare(network: Network, context: Context) -> None:
    """Refuse, before the work, what would fail in it for the sake of large layers.

    Raises
    ------
    InputError
        If the factors that the context names are not of this network.
    MachineError
        If memory or disk cannot hold what is needed.
    UsageError
        If the engine cannot be used.
    """
    if context.disk.factors:
        _require_factors(network, context)
    matrices = factored_matrices(network)
    if matrices and context.shared(Workspace).in_file:
        context.shared(Workspace).expect(matrices)
    if large_layers(network):
        made = forecast(network, context)
        require_room(made)
        announce(made, context)


def _require_factors(network: Network, context: Context) -> None:
    matrices = factored_matrices(network)
    if not matrices:
        raise InputError(
            "weights",
            got="factors of another model",
            expected="none, as no layer of this one is large, dense and square",
            next_step="Leave out --factors",
            file=context.disk.factors,
        )
    context.shared(Workspace).require(matrices)


def make_factors(network: Network, context: Context) -> KeptFactors:
    """Factor all large dense square layers into the file that the context names.

    Parameters
    ----------
    network : Network
    context : Context
        Its `disk.output` is the file.

    Raises
    ------
    UsageError
        If there is no such layer.
    Interrupted, OutOfTime
        What is finished is kept for the next run.
    """
    require_factorable(network)
    prepare(network, context)
    for layer in weighted_layers(network):
        if layer.factored:
            factorise(layer.linear_map, context)
    kept = conclude(context)
    assert kept is not None
    return kept


def require_factorable(network: Network) -> None:
    """Refuse to make a factor file that would be empty.

    Raises
    ------
    UsageError
        If no layer is large, dense and square.
    """
    if not factored_matrices(network):
        raise UsageError(
            "factors",
            got="no layer that is large, dense and square",
            expected="one that takes more than some seconds to factor",
            next_step="Nothing needs to be kept: nninvert invert factors such layers anew",
            file=network.source.path,
        )


def conclude(context: Context) -> KeptFactors | None:
    """Finish or remove the factor file that was made; what is left of it on the disk.

    To be called once all is done: factors in a file cannot be used afterwards.
    """
    space = context.peek(Workspace)
    path = "" if space is None else space.conclude()
    if not path:
        return None
    with FactorFile.open(path) as file:
        seconds = sum(region.seconds for region in file.regions)
    return KeptFactors(path, os.path.getsize(path), seconds)


def unfinished(disk: Disk) -> str:
    """What a run that was cut short has left, in a sentence; "" if nothing."""
    path = disk.output or disk.scratch
    if not path or not os.path.exists(path + JOURNAL):
        return ""
    with FactorFile.begin(path) as file:
        done = sum(len(region.checks) for region in file.regions)
        total = sum(len(region.cuts) for region in file.regions)
        size = sum(region.nbytes for region in file.regions)
    return (
        f"{path + PART} ({size / 1e9:.1f} GB) keeps {done:,} of {total:,} panels: the same "
        f"command goes on from there; to give up, delete it and {path + JOURNAL}"
    )
