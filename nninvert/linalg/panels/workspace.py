"""The factor files of one computation: one that is used, one that is made.

What is made goes to the name that was asked for, or to scratch, which is removed in the
end unless it took long. Until `conclude` is called, what is unfinished stays on the disk
for the next run, which goes on from there.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nninvert.context import Context, Notice, Progress
from nninvert.errors import InputError, MachineError
from nninvert.linalg.panels.factor_file import JOURNAL, PART, FactorFile
from nninvert.linalg.panels.file_store import FileStore
from nninvert.linalg.panels.region import Region, Weights
from nninvert.linalg.stored import StoredMatrix

WORTH_KEEPING = 600.0
"""Factors in scratch that took longer than this, in seconds, are kept."""

_MEMORY_FILESYSTEMS = ("tmpfs", "ramfs", "devtmpfs", "hugetlbfs")


class Workspace:
    """Opened when first needed, by ``context.shared(Workspace)``.

    Parameters
    ----------
    context : Context
        Its `disk` names the files.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._used: FactorFile | None = None
        self._made: FactorFile | None = None
        self._digests: dict[int, StoredMatrix] = {}

    @property
    def in_file(self) -> bool:
        """Whether there is a place for factors on the disk."""
        return bool(self._context.disk.scratch or self._context.disk.output)

    def finished(self, matrix: StoredMatrix, precision: str) -> FileStore | None:
        """Factors of these weights from the file that the user named.

        Parameters
        ----------
        matrix : StoredMatrix
        precision : str
            Of the factors at least: "float32" or "float64".

        Raises
        ------
        InputError
            If all of the weights were to be compared, and they differ.
        """
        used = self._opened()
        region = None if used is None else used.find(Weights.of(matrix))
        if used is None or region is None:
            return None
        if region.itemsize < np.dtype(precision).itemsize:
            return None
        if self._context.disk.verify and region.weights.digest != matrix.digest():
            raise InputError(
                "weights",
                got="weights that differ from those which were factored",
                expected=f"SHA-256 {region.weights.digest[:16]}...",
                next_step="Factor this model: nninvert factor MODEL -o FACTORS",
                file=used.path,
            )
        return used.store(region, self._watch)

    def require(self, matrices: list[StoredMatrix]) -> None:
        """Refuse a factor file that was made of other weights.

        Raises
        ------
        InputError
            If one of these matrices is not among the factors that the user named.
        """
        used = self._opened()
        if used is None:
            return
        for matrix in matrices:
            if used.find(Weights.of(matrix)) is None:
                known = ", ".join(
                    f"{r.n:,} x {r.n:,} {r.weights.stored}" for r in used.regions
                )
                raise InputError(
                    "weights",
                    got=f"factors of other weights ({known or 'none'})",
                    expected=f"factors of this model's {matrix.shape[0]:,} x "
                    f"{matrix.shape[1]:,} {matrix.stored_name} layer",
                    next_step="Factor this model: nninvert factor MODEL -o FACTORS",
                    file=used.path,
                )

    def expect(self, matrices: list[StoredMatrix]) -> None:
        """Refuse to go on with unfinished factors that were begun for other weights.

        Raises
        ------
        InputError
            If an earlier run began with a matrix that is none of these.
        """
        disk = self._context.disk
        if not os.path.exists((disk.output or disk.scratch) + JOURNAL):
            return
        made = self._making()
        known = [Weights.of(matrix) for matrix in matrices]
        for region in made.regions:
            if not any(region.weights.matches(weights) for weights in known):
                raise InputError(
                    "weights",
                    got=f"unfinished factors of other weights, order {region.n:,}",
                    expected="the weights with which that run began",
                    because="the model file has changed since, or this is another model",
                    next_step=f"Delete it and {made.path + JOURNAL} to begin anew.",
                    file=made.path + PART,
                )

    def begin(
        self, matrix: StoredMatrix, flipped: bool, width: int, dtype: str
    ) -> FileStore:
        """Room for the factors of a matrix: new, or as far as a run before came.

        Finished blocks of an earlier run are compared with their checksums; from the
        first damaged one on they are made again.
        """
        made = self._making()
        weights = Weights.of(matrix)
        region = _same(made, weights, dtype)
        if region is None:
            region = made.add(weights, flipped, matrix.shape[0], width, dtype)
        self._digests[made.regions.index(region)] = matrix
        store = made.store(region, self._watch)
        if region.checks:
            self._resume(store, region)
        return store

    def _watch(self, done: int, total: int) -> None:
        """Show a long sweep over factors, and end it as soon as the user wants that."""
        self._context.emit(Progress("reading factors", done, total))
        self._context.require_time("reading factors")

    def _resume(self, store: FileStore, region: Region) -> None:
        damaged = store.first_damaged()
        if damaged is not None:
            store.forget(damaged)
        done, total = len(region.checks), len(region.cuts)
        text = f"going on with {done} of {total} panels that an earlier run finished"
        if damaged is not None:
            text += f"; panel {damaged} was damaged and is made again"
        self._context.emit(Notice(text))

    def conclude(self) -> str:
        """Finish or remove what was made; the name of the file that is kept, or ""."""
        made, disk = self._made, self._context.disk
        if made is None:
            return ""
        seconds = sum(region.seconds for region in made.regions)
        keep = made.path == disk.output or (seconds > WORTH_KEEPING and not disk.discard)
        if keep:
            for place, matrix in self._digests.items():
                made.describe(place, matrix.digest())
            made.finish()
        else:
            made.discard()
        self._made = None
        made.close()
        return made.path if keep else ""

    def close(self) -> None:
        """Close the files; what is unfinished stays if there is anything worth it."""
        if self._used is not None:
            self._used.close()
            self._used = None
        if self._made is not None:
            if not any(region.checks for region in self._made.regions):
                self._made.discard()
            self._made.close()
            self._made = None

    def _opened(self) -> FactorFile | None:
        name = self._context.disk.factors
        if self._used is None and name:
            self._used = FactorFile.open(name)
        return self._used

    def _making(self) -> FactorFile:
        if self._made is None:
            disk = self._context.disk
            path = disk.output or disk.scratch
            if not path:
                raise MachineError(
                    "memory",
                    got=f"{self._context.memory / 1e9:.1f} GB, too little for the factors",
                    expected="a place for them on a disk",
                    next_step="Name one with --scratch",
                )
            refuse_memory_disk(path)
            self._made = FactorFile.begin(path)
        return self._made


def _same(made: FactorFile, weights: Weights, dtype: str) -> Region | None:
    """The region that an earlier run began for these weights."""
    for region in made.regions:
        if region.dtype == dtype and region.weights.matches(weights):
            return region
    return None


def refuse_memory_disk(path: str) -> None:
    """Refuse a place that is memory in disguise.

    Raises
    ------
    MachineError
        If the folder of `path` is on a tmpfs or its like.
    """
    kind, mount = _filesystem(os.path.dirname(os.path.abspath(path)))
    if kind in _MEMORY_FILESYSTEMS:
        raise MachineError(
            "--scratch",
            got=f"a folder on {mount}, which is memory ({kind})",
            expected="a disk",
            because="factors go there if memory is short",
            next_step="Name a folder on a disk with --scratch",
            file=path,
        )


def _filesystem(folder: str) -> tuple[str, str]:
    """Type and mount point of the file system that holds a folder; "" if unknown."""
    table = Path("/proc/self/mounts")
    if not table.exists():
        return "", ""
    best, kind = "", ""
    real = os.path.realpath(folder)
    for line in table.read_text().splitlines():
        _, mount, found, *_ = line.split()
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, found
    return kind, best
