"""Which targets the outputs cannot meet, by one proof after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.goal import Goal, goal_before, has_goal_before
from nninvert.analysis.bounds.inputs import Inputs
from nninvert.analysis.bounds.interval import interval_bounds
from nninvert.analysis.bounds.program import Program, loosening, program
from nninvert.analysis.bounds.relaxation import Relaxation, relax
from nninvert.context import Context
from nninvert.network import Network

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class OutputBounds:
    """What a network can say for the inputs that are allowed, found when it is asked for.

    Attributes
    ----------
    network : Network
    inputs : Inputs
        Not empty.
    context : Context
    """

    network: Network
    inputs: Inputs
    context: Context
    _certified: dict[bytes, bool] = field(init=False, repr=False, default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes that it may come to hold: a few times the weights in float64."""
        return 32 * self.network.parameters

    @cached_property
    def intervals(self) -> Box:
        """Bounds of the outputs by interval arithmetic."""
        box = self.inputs.box
        return interval_bounds(self.network, box.lower, box.upper)[-1]

    @cached_property
    def relaxation(self) -> Relaxation:
        """Bounds of all layers by linear relaxation."""
        box = self.inputs.box
        return relax(self.network, box.lower, box.upper, self.context)

    @property
    def _place(self) -> int:
        """The segment before which a goal is put: the last one if it can be inverted."""
        segments = self.network.segments
        return len(segments) - int(has_goal_before(segments[-1].layer))

    @cached_property
    def program(self) -> Program | None:
        """The linear program of the relaxation; None where it would be too large."""
        if not self.relaxation.steps:
            return None
        held = self.inputs.inequalities
        return program(self.network, self.relaxation, self._place, held)

    def goal(self, lower: Float64, upper: Float64) -> Goal:
        """What outputs in [lower, upper] ask of what enters the last segment.

        Parameters
        ----------
        lower, upper : float64 arrays, shape (n_out,)
        """
        place = self._place
        if place == len(self.network.segments):
            return Goal(lower, upper, None)
        layer = self.network.segments[place].layer
        return goal_before(layer, self.relaxation.boxes[place], lower, upper)

    def no_solution(self, lower: Float64, upper: Float64, seconds: float) -> bool:
        """Whether it is certified that no allowed input gives outputs in [lower, upper].

        The same question is asked only once.

        Parameters
        ----------
        lower, upper : float64 arrays, shape (n_out,)
        seconds : float
            For the solver of linear programs.
        """
        if self.program is None:
            return False
        question = lower.tobytes() + upper.tobytes()
        if question not in self._certified:
            self._certified[question] = self._has_certificate(lower, upper, seconds)
        return self._certified[question]

    def _has_certificate(self, lower: Float64, upper: Float64, seconds: float) -> bool:
        assert self.program is not None
        goal = self.goal(lower, upper)
        if (goal.lower > goal.upper).any():
            return True
        return loosening(self.program, goal, seconds) > 0

    def distance(self, direction: Float64, target: Float64) -> Float64:
        """How far outputs stay from targets, at least, measured along directions.

        Parameters
        ----------
        direction, target : float64 arrays, shape (rows, n_out)

        Returns
        -------
        float64 array, shape (rows,)
            A lower bound of ``direction @ (f(x) - target)`` over the box of inputs; -inf
            where none is known.
        """
        least = self.relaxation.lower_bounds(direction)
        there = (direction * target).sum(axis=1)
        size = np.abs(direction * target).sum(axis=1) + np.abs(least)
        return np.asarray(least - there - 4.0 * target.shape[1] * tolerances.EPS64 * size)
