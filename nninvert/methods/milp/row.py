"""One target: which inputs are good enough, and how near they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.domain import Domain
from nninvert.methods.ledger import judge
from nninvert.methods.milp.ball import Ball, Norm
from nninvert.methods.milp.chain import Chain
from nninvert.methods.problem import Problem
from nninvert.rootfind.least_change import Band

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """One row of a problem.

    Attributes
    ----------
    problem : Problem
        Of this row alone.
    chain : Chain
    band : Band
        Of the outputs that matter; tolerances as they are at `near`.
    wanted : bool array, shape (n_out,)
    ball : Ball
        The domain's bounds around `near`, without a radius.
    """

    problem: Problem
    chain: Chain
    band: Band
    wanted: Mask
    ball: Ball

    @classmethod
    def of_problem(
        cls, problem: Problem, row: int, chain: Chain, scale: Float64, norm: Norm
    ) -> Row:
        """One row by itself, distances in units of `scale`."""
        part = problem.take(np.array([row]))
        domain, near = part.domain, part.near[0]
        lower, upper = domain.lower.copy(), domain.upper.copy()
        lower[domain.integer] = np.ceil(lower[domain.integer])
        upper[domain.integer] = np.floor(upper[domain.integer])
        wanted = part.targets.wanted[0]
        terms = part.network.forward_with_terms(domain.clip(near)[None])[1]
        tolerance = part.tolerance(terms)[0, wanted]
        target = part.targets.values[0, wanted]
        if part.within is None:
            band = Band.exact(target, tolerance)
        else:
            band = Band.wide(target, tolerance, terms[0, wanted])
        ball = Ball(near, scale, lower, upper, np.inf, norm)
        return cls(part, chain, band, wanted, ball)

    @property
    def domain(self) -> Domain:
        """Which inputs are allowed."""
        return self.problem.domain

    def targets(self) -> tuple[Float64, Float64]:
        """Bounds of the last affine map's values, infinite where they do not matter.

        See `Chain.targets` for outputs that cannot be.
        """
        low, high = np.full(self.wanted.size, -np.inf), np.full(self.wanted.size, np.inf)
        room = np.where(self.band.equation, self.band.tolerance, self.band.room)
        low[self.wanted] = self.band.target - room
        high[self.wanted] = self.band.target + room
        first, last = self.chain.targets(low, high)
        return np.where(self.wanted, first, -np.inf), np.where(self.wanted, last, np.inf)

    def value(self, x: Float64) -> Float64:
        """The outputs that matter, by the plain forward pass."""
        return np.asarray(self.problem.network.forward(x[None])[0, self.wanted])

    def jacobian(self, x: Float64) -> Float64:
        """Of the outputs that matter, shape (m, n)."""
        return np.asarray(self.problem.network.linearize(x[None]).dense()[0, self.wanted])

    def accepts(self, x: Float64) -> bool:
        """Whether x is allowed and its outputs are good enough, by the tolerances at x.

        Those at `near` may be larger or smaller, where terms of another size cancel.
        """
        return bool(judge(self.problem, x[None]).solved[0])
