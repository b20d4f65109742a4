"""Lower bounds of linear programs, checked in exact arithmetic.

A solver of linear programs works in floating point, to tolerances of its own; its "optimal"
or "infeasible" proves nothing. Its multipliers do: whatever they are, weak duality makes a
lower bound of them, and floats are fractions, so that the bound can be computed without any
rounding (Farkas, J. reine angew. Math. 124, 1902; for solvers in floating point: Neumaier &
Shcherbina, Safe bounds in linear and mixed-integer linear programming, Math. Programming
99, 2004). Variables in a box pay for what the multipliers leave of the gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float64 = NDArray[np.float64]

NEGLIGIBLE = 2.0**-60
"""Multipliers that are smaller, relative to the largest, are left out."""


@dataclass(frozen=True)
class LinearSystem:
    """``row_lower <= matrix @ v <= row_upper`` for v in a box.

    Attributes
    ----------
    matrix : sparse array in rows, shape (m, n)
        Finite.
    row_lower, row_upper : float64 arrays, shape (m,)
    lower, upper : float64 arrays, shape (n,)
        The box. All ends may be infinite.
    """

    matrix: csr_array
    row_lower: Float64
    row_upper: Float64
    lower: Float64
    upper: Float64


def least_value(
    objective: Float64, system: LinearSystem, multipliers: Float64
) -> Fraction | None:
    """A lower bound of ``objective @ v`` over all v of a system, computed exactly.

    ``c v >= -sum_i y_i r_i + min over the box of (c + A^T y) v`` for any multipliers y,
    with r_i the upper limit of row i where y_i > 0 and the lower one where y_i < 0.

    Parameters
    ----------
    objective : float64 array, shape (n,)
    system : LinearSystem
    multipliers : float64 array, shape (m,)
        Any finite numbers; good ones give a good bound.

    Returns
    -------
    Fraction or None
        None where an infinite end stands against a number that is not zero: no bound. A
        positive bound of the objective 0 says that the system has no solution.
    """
    chosen = {int(row): Fraction(multipliers[row]) for row in _worth_taking(multipliers)}
    total = Fraction(0)
    for row, y in chosen.items():
        limit = system.row_upper[row] if y > 0 else system.row_lower[row]
        if not math.isfinite(limit):
            return None
        total -= y * Fraction(float(limit))
    for column, slope in _gradient(objective, system.matrix, chosen).items():
        end = system.lower[column] if slope > 0 else system.upper[column]
        if not math.isfinite(end):
            return None
        total += slope * Fraction(float(end))
    return total


def _worth_taking(multipliers: Float64) -> NDArray[np.int64]:
    size = np.abs(multipliers)
    largest = float(size.max(initial=0.0))
    return np.flatnonzero((size > NEGLIGIBLE * largest) & (size > 0.0))


def _gradient(
    objective: Float64, matrix: csr_array, multipliers: dict[int, Fraction]
) -> dict[int, Fraction]:
    """The entries of ``c + A^T y`` that are not zero.

    As whole numbers in units of one fraction, which is much faster than fractions.
    """
    common = math.lcm(*(y.denominator for y in multipliers.values()))
    whole, power = _exact(objective[objective != 0.0])
    columns, products = [np.flatnonzero(objective)], [(whole * common, power)]
    for row, y in multipliers.items():
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        columns.append(matrix.indices[part])
        whole, power = _exact(matrix.data[part])
        products.append((whole * int(y * common), power))
    unit = min((int(power.min()) for _, power in products if power.size), default=0)
    sums: dict[int, int] = {}
    for places, (whole, power) in zip(columns, products, strict=True):
        for column, number, shift in zip(places, whole, power - unit, strict=True):
            sums[int(column)] = sums.get(int(column), 0) + (number << int(shift))
    scale = Fraction(2) ** unit / common
    return {column: number * scale for column, number in sums.items() if number}


def _exact(values: Float64) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Floats as whole numbers times powers of two."""
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
    return whole, exponent.astype(np.int64) - 53
