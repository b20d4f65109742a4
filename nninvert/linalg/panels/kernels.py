"""The few dense operations that a panelled LU needs, on blocks of larger arrays.

`Kernels` is what the algorithm asks for; `LapackKernels` answers it with the BLAS and
LAPACK that scipy brings, called by address: f2py's wrappers copy every block that is not
a whole array, and a block of a large matrix never is.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from ctypes import byref, c_char, c_double, c_float, c_int, c_void_p
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.floating[Any]]
Pivots = NDArray[np.int32]

_FEW_COLUMNS = 4
"""Up to so many columns a product is made of matrix-vector products: both are bound by
reading the matrix, and packing it for a matrix product costs one more pass."""

_NARROW = 64
"""Wider panels are halved, so that products do most of their work: getrf alone leaves most
cores waiting on a tall and narrow panel (measured with two: 95 instead of 143 Gflop/s)."""

_loading = threading.Lock()


class Kernels(Protocol):
    """Operations on column-major blocks, all in place.

    Blocks are two-dimensional views whose columns are contiguous. Pivots count from 0
    within the block: row i was exchanged with row ``pivots[i]``, in order.
    """

    dtype: np.dtype[np.floating[Any]]

    def factor(self, panel: Block) -> tuple[Pivots, list[int]]:
        """LU with partial pivoting of a tall panel; the columns whose pivot is zero."""
        ...

    def swap_rows(self, block: Block, pivots: Pivots) -> None:
        """Exchange rows as `factor` did."""
        ...

    def unswap_rows(self, block: Block, pivots: Pivots) -> None:
        """Exchange them back."""
        ...

    def solve_lower(self, triangle: Block, block: Block, transposed: bool = False) -> None:
        """``block <- L^-1 block`` or ``L^-T block``, L unit lower triangular."""
        ...

    def solve_upper(self, triangle: Block, block: Block, transposed: bool = False) -> None:
        """``block <- U^-1 block`` or ``U^-T block``, U upper triangular."""
        ...

    def subtract(self, a: Block, b: Block, c: Block, transposed: bool = False) -> None:
        """``c <- c - a b`` or ``c - a^T b``."""
        ...


class LapackKernels:
    """`Kernels` by scipy's BLAS and LAPACK, as many threads as those use.

    Parameters
    ----------
    dtype : float32 or float64
    """

    def __init__(self, dtype: np.dtype[np.floating[Any]]) -> None:
        self.dtype = np.dtype(dtype)
        prefix = {"float32": "s", "float64": "d"}[self.dtype.name]
        self._real = c_float if prefix == "s" else c_double
        self._gemm = _routine("cython_blas", prefix + "gemm", 13)
        self._gemv = _routine("cython_blas", prefix + "gemv", 11)
        self._trsm = _routine("cython_blas", prefix + "trsm", 11)
        self._getrf = _routine("cython_lapack", prefix + "getrf", 6)
        self._laswp = _routine("cython_lapack", prefix + "laswp", 7)

    def factor(self, panel: Block) -> tuple[Pivots, list[int]]:
        """LAPACK's getrf, on halves of a wide panel; a zero pivot does not stop it.

        After F. G. Gustavson, Recursion leads to automatic variable blocking for dense
        linear-algebra algorithms, IBM J. Res. Dev. 41(6), 1997.
        """
        columns = panel.shape[1]
        if columns <= _NARROW:
            return self._factor_narrow(panel)
        half = columns // 2
        left, right = panel[:, :half], panel[:, half:]
        pivots, zeros = self.factor(left)
        self.swap_rows(right, pivots)
        self.solve_lower(left[:half], right[:half])
        self.subtract(left[half:], right[:half], right[half:])
        later, empty = self.factor(right[half:])
        self.swap_rows(left[half:], later)
        joined = np.concatenate([pivots, later + np.int32(half)])
        return joined, zeros + [half + k for k in empty]

    def _factor_narrow(self, panel: Block) -> tuple[Pivots, list[int]]:
        rows, columns = panel.shape
        pivots = np.empty(min(rows, columns), np.int32)
        info = c_int(0)
        self._getrf(
            byref(c_int(rows)),
            byref(c_int(columns)),
            _address(panel),
            _leading(panel),
            pivots.ctypes.data,
            byref(info),
        )
        zeros = np.flatnonzero(panel.diagonal() == 0) if info.value > 0 else np.empty(0)
        return pivots - np.int32(1), [int(k) for k in zeros]

    def swap_rows(self, block: Block, pivots: Pivots) -> None:
        """LAPACK's laswp."""
        self._swap(block, pivots, 1)

    def unswap_rows(self, block: Block, pivots: Pivots) -> None:
        """LAPACK's laswp, backwards."""
        self._swap(block, pivots, -1)

    def _swap(self, block: Block, pivots: Pivots, step: int) -> None:
        counted_from_1 = pivots + np.int32(1)
        self._laswp(
            byref(c_int(block.shape[1])),
            _address(block),
            _leading(block),
            byref(c_int(1)),
            byref(c_int(len(pivots))),
            counted_from_1.ctypes.data,
            byref(c_int(step)),
        )

    def solve_lower(self, triangle: Block, block: Block, transposed: bool = False) -> None:
        """BLAS's trsm with a unit diagonal."""
        self._triangular(b"L", b"U", triangle, block, transposed)

    def solve_upper(self, triangle: Block, block: Block, transposed: bool = False) -> None:
        """BLAS's trsm."""
        self._triangular(b"U", b"N", triangle, block, transposed)

    def _triangular(
        self, half: bytes, diagonal: bytes, triangle: Block, block: Block, transposed: bool
    ) -> None:
        self._trsm(
            byref(c_char(b"L")),
            byref(c_char(half)),
            byref(c_char(b"T" if transposed else b"N")),
            byref(c_char(diagonal)),
            byref(c_int(block.shape[0])),
            byref(c_int(block.shape[1])),
            byref(self._real(1.0)),
            _address(triangle),
            _leading(triangle),
            _address(block),
            _leading(block),
        )

    def subtract(self, a: Block, b: Block, c: Block, transposed: bool = False) -> None:
        """BLAS's gemm; gemv for a few columns."""
        if c.shape[1] <= _FEW_COLUMNS:
            for k in range(c.shape[1]):
                self._subtract_column(a, b[:, k], c[:, k], transposed)
            return
        self._add_multiple(-1.0, a, b, c, transposed)

    def add(self, a: Block, b: Block, c: Block, transposed: bool = False) -> None:
        """``c <- c + a b`` or ``c + a^T b``, by BLAS's gemm."""
        self._add_multiple(1.0, a, b, c, transposed)

    def _add_multiple(
        self, factor: float, a: Block, b: Block, c: Block, transposed: bool
    ) -> None:
        self._gemm(
            byref(c_char(b"T" if transposed else b"N")),
            byref(c_char(b"N")),
            byref(c_int(c.shape[0])),
            byref(c_int(c.shape[1])),
            byref(c_int(b.shape[0])),
            byref(self._real(factor)),
            _address(a),
            _leading(a),
            _address(b),
            _leading(b),
            byref(self._real(1.0)),
            _address(c),
            _leading(c),
        )

    def _subtract_column(self, a: Block, b: Block, c: Block, transposed: bool) -> None:
        one = byref(c_int(1))
        self._gemv(
            byref(c_char(b"T" if transposed else b"N")),
            byref(c_int(a.shape[0])),
            byref(c_int(a.shape[1])),
            byref(self._real(-1.0)),
            _address(a),
            _leading(a),
            _address(b),
            one,
            byref(self._real(1.0)),
            _address(c),
            one,
        )


def _address(block: Block) -> int:
    return int(block.__array_interface__["data"][0])


def _leading(block: Block) -> Any:
    """Distance between columns in elements; NumPy leaves it open where there is one."""
    rows, columns = block.shape
    distance = block.strides[1] // block.itemsize if columns > 1 else rows
    return byref(c_int(max(distance, rows, 1)))


@cache
def _routine(module: str, name: str, arguments: int) -> Callable[..., None]:
    """A Fortran routine of scipy as a function of addresses; it releases the GIL."""
    capsule = _extension(f"scipy.linalg.{module}").__pyx_capi__[name]
    named = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
        ("PyCapsule_GetName", ctypes.pythonapi)
    )
    pointed = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    signature = named(capsule)
    if signature.count(b"int *") == 0 or b"long" in signature:
        raise RuntimeError(f"scipy's {name} has no 32-bit integers: {signature!r}")
    address = pointed(capsule, signature)
    made: Callable[..., None] = ctypes.CFUNCTYPE(None, *[c_void_p] * arguments)(address)
    return made


@cache
def _extension(name: str) -> Any:
    """An extension module of scipy, without the package that it lies in.

    To import all of scipy.linalg takes 0.15 s, more than many a layer; these modules of
    Cython need nothing from there.
    """
    import scipy

    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        inner = name.removeprefix("scipy.").split(".")[:-1]
        folders = [str(Path(root, *inner)) for root in scipy.__path__]
        spec = PathFinder.find_spec(name, folders)
        if spec is None or spec.loader is None:
            return import_module(name)
        module = module_from_spec(spec)
        # Who imports it later must get this one: such a module is initialised once.
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
