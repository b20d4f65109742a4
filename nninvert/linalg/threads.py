"""How many threads numpy's BLAS uses: the number it was given, or one for a while.

OpenBLAS shares even small products out among its threads, which then wait for each other
by spinning: harmful where the products of a pass over the weights are small, where another
program uses the processor, and where scipy's own OpenBLAS spins beside numpy's. Passes
divide the weights among threads of their own instead (`nninvert.linalg.passes`).
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

_PREFIXES = ("scipy_openblas_", "openblas_")
_SUFFIXES = ("64_", "")


@dataclass(frozen=True)
class _OpenBlas:
    get: Callable[[], int]
    set: Callable[[int], None]


class _Given:
    """The number that is put back when the last of all who asked for one thread is done."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.number = 1


_given = _Given()


def worker_count() -> int:
    """How many threads numpy's BLAS was given, by OPENBLAS_NUM_THREADS or otherwise.

    1 where it is another library than OpenBLAS: it keeps its threads then, and passes
    have none of their own.
    """
    library = _numpys()
    if library is None:
        return 1
    with _given.lock:
        return max(1, _given.number if _given.users else library.get())


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's OpenBLAS use one thread; other libraries stay as they are.

    It may be entered again meanwhile, from any thread; who leaves last puts the number of
    threads back.
    """
    library = _numpys()
    if library is None:
        yield
        return
    with _given.lock:
        if not _given.users:
            _given.number = library.get()
            library.set(1)
        _given.users += 1
    try:
        yield
    finally:
        with _given.lock:
            _given.users -= 1
            if not _given.users:
                library.set(_given.number)


@cache
def _numpys() -> _OpenBlas | None:
    """The OpenBLAS that numpy is linked to, if it is one.

    Symbols are looked up in an extension module of numpy and in what it depends on: the
    library that numpy uses is found whatever its name, and scipy's is not taken for it.
    """
    extension = importlib.import_module("numpy.linalg._umath_linalg").__file__
    try:
        loaded = ctypes.CDLL(extension)
    except OSError:
        return None
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            getter = f"{prefix}get_num_threads{suffix}"
            setter = f"{prefix}set_num_threads{suffix}"
            if hasattr(loaded, getter) and hasattr(loaded, setter):
                return _declared(getattr(loaded, getter), getattr(loaded, setter))
    return None


def _declared(
    getter: ctypes._NamedFuncPointer, setter: ctypes._NamedFuncPointer
) -> _OpenBlas:
    getter.argtypes, getter.restype = (), ctypes.c_int
    setter.argtypes, setter.restype = (ctypes.c_int,), None
    return _OpenBlas(getter, setter)
