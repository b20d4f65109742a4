"""Every threshold of nninvert in one place, each with the reason for its size.

None of them is tuned to an example: they follow from the unit roundoff, the sizes of the
problem and the norms at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

Float64 = NDArray[np.float64]

EPS64 = float(np.finfo(np.float64).eps)
"""Spacing of float64 at 1, twice the unit roundoff."""

TARGET_FLOOR = 1e-9
"""Least relative tolerance of a target. A float64 forward pass through a few layers of
10,000 units has a relative error of about 1e-12; a thousand times that is still far below
what anybody measures."""

TARGET_ULPS = 16
"""A target stored in a short type is met within this many of its spacings: frameworks
compute f in that type, and their sums differ by several spacings from ours."""

SVD_WORK = 8.0e9
"""Largest m n min(m, n) for which a singular value decomposition counts as cheap: about
two seconds on two cores."""

PAIRS_ULPS = 1000
"""Pairs (x, f(x)) computed by a framework agree with ours to within this many spacings of
their type: inputs, weights and every sum are rounded there, and layers amplify it."""

PAIRS_SHARE = 0.95
"""A tolerance proposed for measured pairs covers this share of them."""

DOUBTFUL_RCOND = 1e-8
"""Below this reciprocal condition number (maximum norm, LAPACK's estimate) the singular
values are looked at before the LU factors are believed. The estimate is a few times off at
most and differs from the 2-norm by at most n, so that 1e-8 leaves room for n = 100,000."""

EXPLICIT_INVERSE_SIZE = 1024
"""Up to this size an explicit |A^-1| is formed to spread error radii unit by unit."""

ESTIMATE_MARGIN = 10.0
"""Error radii take an estimated norm of an inverse this many times: LAPACK's estimator is
nearly always right to a factor 3 (Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., section 15.3)."""

RADIUS_CAP = 1e150
"""Error radii are cut here, so that products with them, and their squares, stay finite."""

UNBOUNDED_RADIUS = 1e50
"""A radius from here on stands for "anything": it may have been cut before and made
smaller since."""

PROOF_CONDITION = 1e10
"""Error radii prove something only while every layer's condition number is below this:
an explicit inverse then has at least five correct digits."""

REFINEMENT_STEPS = 12
"""Most Newton corrections after a layerwise solve; each gains the digits that the
factorisations have, so that more would not help."""

SUM_ROUNDING = 2.0 * EPS64
"""Relative to the sum of the sizes of the terms: what the rounding of a long sum amounts
to. Blocked sums of 500 to 10,000 products err by 0.3 to 2 units of roundoff, and so does
the residual that is computed from them."""

LARGE_NETWORK = 4_000_000
"""From so many weights on, those of a dense layer of order 2,000, passes over the weights
for many targets are what inverting takes most of its time for: they are counted."""

LARGE_ROWS = 4
"""A Newton step of a large network for so many rows is worth making wherever f(x) differs
from y by more than `SUM_ROUNDING`; for more of them, only where it differs by as many times
more. So solves in float64, which are not refined from n / 30 rows on, count as good: they
leave 60 to 100 units of roundoff at n = 3,000 to 4,000, the formula does the same."""

SMALL_WEIGHTS = 64 * 2**20
"""A matrix keeps one float64 copy of itself up to this many bytes."""

BLOCK_BYTES = 64 * 2**20
"""Most bytes of float64 that are cast at a time from larger matrices."""

STRIPE_BYTES = 2 * 2**20
"""Bytes of float64 that are cast at a time where each number is used only once or twice:
they stay in the cache between the cast and the product. From 2 to 8 MiB are equally fast
on an idle machine with 1 MiB of second- and 32 MiB of third-level cache, 16 MiB take twice
as long. From 4 MiB on, OpenBLAS shares the product with one vector among threads, which
gains nothing and waits up to 30 times as long where others use the processor, too."""

_AT_A_TIME = 2**16
"""Numbers whose spacings are found at a time, in arrays that stay in the cache."""

PART_BYTES = 8 * 2**20
"""Fewest bytes of float64 in a part of a matrix that a thread of its own passes over: it
takes about 5 ms, starting the thread 0.1 ms."""


def relative_target_tolerance(dtype: DTypeLike) -> float:
    """T of the acceptance test for targets stored as `dtype`.

    ``T = max(1e-9, 16 eps)`` with eps the spacing of the stored type at 1; integers are
    exact and take the floor.
    """
    kind = np.dtype(dtype)
    if kind.kind != "f":
        return TARGET_FLOOR
    return max(TARGET_FLOOR, TARGET_ULPS * float(np.finfo(kind).eps))


def half_spacing(values: NDArray[np.generic]) -> Float64:
    """Half the distance to the next number of the stored type: what rounding hides.

    At zero it is the smallest normal number, as frameworks flush what is smaller.
    Integers are exact as far as they fit into float64.

    Parameters
    ----------
    values : array
        In their stored type.

    Returns
    -------
    float64 array of the same shape, positive.
    """
    stored = values if values.dtype.kind == "f" else values.astype(np.float64)
    kind = stored.dtype.newbyteorder("=")
    flat = stored.reshape(-1)
    half = np.empty(flat.shape)
    for start in range(0, flat.size, _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        half[part] = _half_spacing(flat[part].astype(kind, copy=False))
    return half.reshape(stored.shape)


def _half_spacing(stored: NDArray[np.floating]) -> Float64:
    info = np.finfo(stored.dtype.name)
    magnitude = np.minimum(np.abs(stored), info.max)
    # Downwards: just below a power of two the spacing is half of that above.
    below = magnitude - _next_below(magnitude)
    smallest = float(info.smallest_normal)
    half = 0.5 * below.astype(np.float64)
    return np.where(magnitude < info.smallest_normal, smallest, np.maximum(half, 0.0))


def _next_below(magnitude: NDArray[np.floating]) -> NDArray[np.floating]:
    """The number before each positive one; zero before zero."""
    if magnitude.itemsize > 8:  # no integer is as long
        exact: NDArray[np.floating] = np.nextafter(magnitude, magnitude.dtype.type(0))
        return exact
    # It has the bits before its own: five times as fast as `numpy.nextafter`.
    bits = np.maximum(magnitude.view(f"i{magnitude.itemsize}") - 1, 0)
    previous: NDArray[np.floating] = bits.view(magnitude.dtype)
    return previous


def singular_threshold(
    shape: tuple[int, int], sigma_max: float, eps: float = EPS64
) -> float:
    """Singular values up to this count as zero.

    ``max(m, n) eps sigma_max``: the size of the perturbation that storing and factoring a
    matrix makes anyway (Golub & Van Loan, Matrix Computations, 4th ed., section 5.4.1).
    """
    return max(shape) * eps * sigma_max


def stored_eps(dtype: DTypeLike) -> float:
    """Spacing at 1 of the type in which weights are stored; float64 for integers."""
    kind = np.dtype(dtype)
    return float(np.finfo(kind).eps) if kind.kind == "f" else EPS64


def svd_is_cheap(shape: tuple[int, int]) -> bool:
    """Whether a full singular value decomposition takes about two seconds or less."""
    return float(shape[0]) * shape[1] * min(shape) <= SVD_WORK


@dataclass(frozen=True)
class Precision:
    """How precisely the targets are known from the way they are stored.

    Attributes
    ----------
    label : str
        "float32", "float64", "CSV decimals", ... for reports.
    relative : float
        T, the relative part of the acceptance test.
    half_step : float64 array, shape (batch, n_out)
        Half the distance to the next value that could have been stored.
    roundoff : float
        Unit roundoff of the arithmetic that the targets probably come from.
    decimal : bool
        Whether `half_step` comes from written decimals; reports then mention it.
    """

    label: str
    relative: float
    half_step: Float64
    roundoff: float = 0.5 * EPS64
    decimal: bool = False

    @classmethod
    def of_stored(cls, values: NDArray[np.generic]) -> Precision:
        """Precision of an array in its stored binary type."""
        return cls(
            label=values.dtype.newbyteorder("=").name,
            relative=relative_target_tolerance(values.dtype),
            half_step=half_spacing(values),
            roundoff=0.5 * stored_eps(values.dtype),
        )

    @classmethod
    def of_decimals(cls, values: Float64, half_step: Float64) -> Precision:
        """Precision of numbers written as decimals, `half_step` 0 where exact."""
        return cls(
            label="CSV decimals",
            relative=TARGET_FLOOR,
            half_step=np.maximum(half_step, half_spacing(values)),
            decimal=True,
        )

    def tolerance(self, target: Float64, terms: Float64) -> Float64:
        """The default acceptance tolerance of each output.

        ``tol_i = T max(|y_i|, c_i)``, but at least `half_step`: a componentwise
        backward-error test (Oettli & Prager, Numer. Math. 6, 1964). For binary types the
        half step counts only where y_i and c_i are zero or nearly so; a tolerance of zero
        could not be met by anything.

        Parameters
        ----------
        target : float64 array, shape (batch, n_out)
        terms : float64 array, shape (batch, n_out)
            c, the size of the terms that were added to make each output.
        """
        scaled = np.maximum(np.abs(target), terms)
        scaled *= self.relative
        return np.maximum(scaled, self.half_step)

    def uncertainty(self, terms: Float64) -> Float64:
        """How far each target may be off by the type it was computed and stored in.

        Half a spacing of y, or the roundoff of the sum behind it where that is larger:
        a framework that computes f in float32 is off by several spacings of y wherever
        large terms cancel.

        Parameters
        ----------
        terms : float64 array, shape (batch, n_out)
            c, as in `tolerance`.
        """
        return np.maximum(self.half_step, self.roundoff * terms)

    def rows(self, chosen: NDArray[np.generic] | slice) -> Precision:
        """The same for some of the rows."""
        return replace(self, half_step=self.half_step[chosen])
