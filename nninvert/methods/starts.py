"""Where searches begin: random points of the domain, at several scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.domain import Domain

Float64 = NDArray[np.float64]

SPREADS = (1.0, 0.5, 2.0, 0.25, 4.0)
"""In units of each input: how far from `near` the starts lie where inputs are open. Too
near, all end at one place; too far, all units are saturated or dead."""


def random_starts(
    domain: Domain, near: Float64, unit: Float64, count: int, random: np.random.Generator
) -> Float64:
    """Draw starts for every row.

    Inputs between finite bounds are drawn by Latin hypercubes, so that the starts of a row
    cover each interval evenly (M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics
    21, 1979); others lie around `near`, by turns closer and farther.

    Parameters
    ----------
    domain : Domain
        Its bounds are kept.
    near : float64 array, shape (rows, n)
    unit : float64 array, shape (n,)
        What counts as one unit of each input.
    count : int
        Starts for each row.
    random : numpy Generator

    Returns
    -------
    float64 array, shape (count, rows, n)
    """
    low, high = domain.lower, domain.upper
    closed = np.isfinite(low) & np.isfinite(high)
    shape = (count, *near.shape)
    spread = np.resize(SPREADS, count)[:, None, None] * unit
    drawn = near + spread * random.standard_normal(shape)
    if closed.any():
        part = (count, near.shape[0], int(closed.sum()))
        strata = np.broadcast_to(np.arange(count)[:, None, None], part)
        share = (random.permuted(strata, axis=0) + random.random(part)) / count
        inside = low[closed] * (1.0 - share) + high[closed] * share
        drawn[..., closed] = inside
    return domain.clip(drawn.reshape(-1, near.shape[1])).reshape(shape)
