"""Few inputs: boxes of them are cut, excluded and split, nearest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp.ball import Ball
from nninvert.methods.milp.chain import Affine, Chain
from nninvert.methods.milp.encoding import encode
from nninvert.methods.milp.planes import Planes, contracted, inequalities
from nninvert.methods.milp.polish import polish
from nninvert.methods.milp.row import Row
from nninvert.methods.milp.solve import solve

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_INPUTS = 8
"""Splitting pays up to here: the number of boxes grows exponentially with the inputs."""

BATCH = 256
"""Boxes that are looked at together: products of matrices, not of vectors."""

SMALLEST = 1e-7
"""Width, in units of the inputs, below which a box is tried as a point and let go."""

SHRUNK = 0.5
"""A box that was cut to less than this part of its width is cut again, not split."""


@dataclass(frozen=True)
class Splitting:
    """What is known of the nearest input.

    Attributes
    ----------
    x : float64 array or None
        The nearest that was found; None: none nearer than the radius that was given.
    bound : float
        No input is nearer than this.
    complete : bool
        Nothing was left open: x is the nearest, or there is none.
    boxes : int
        How many were looked at.
    """

    x: Float64 | None
    bound: float
    complete: bool
    boxes: int


def split(
    row: Row, radius: float, most_boxes: int, should_stop: Callable[[], bool]
) -> Splitting:
    """Look for the input nearest to `near`, no farther away than `radius`.

    Branch and bound on the inputs: planes below and above the network over a box say
    which part of it can hold an answer; what is left is split. Boxes in which every unit
    keeps to one piece are linear programs.

    Parameters
    ----------
    row : Row
        The ball must be finite with this radius.
    radius : float
    most_boxes : int
        The search ends after that many.
    should_stop : callable
    """
    search = _Search(row, radius)
    while search.open and search.boxes < most_boxes and not should_stop():
        search.step()
    bound = min(search.bound, search.radius)
    return Splitting(search.x, bound, not search.open, search.boxes)


class _Search:
    """Boxes that are open, as moves from `near` in units of the inputs."""

    def __init__(self, row: Row, radius: float) -> None:
        self.row, self.radius = row, radius
        ball = row.ball.within(radius)
        self.low, self.high = row.targets()
        wanted = np.isfinite(self.low) | np.isfinite(self.high)
        self.low, self.high = self.low[wanted], self.high[wanted]
        self.chain = _in_moves(row.chain, ball, wanted)
        constraints = row.domain.constraints
        self.rows = constraints.matrix * ball.scale
        self.right = constraints.limit - constraints.matrix @ ball.near
        first, last = ball.moves
        self.lower, self.upper = first[None], last[None]
        self.distance = self._distances(self.lower, self.upper)
        self.x: Float64 | None = None
        self.boxes = 0

    @property
    def open(self) -> bool:
        """Whether any box is left."""
        return bool(self.distance.size)

    @property
    def bound(self) -> float:
        """No answer is nearer, but one that was found."""
        return float(self.distance.min(initial=np.inf))

    def step(self) -> None:
        """Look at the nearest boxes."""
        lower, upper = self._taken()
        self.boxes += lower.shape[0]
        lower, upper, left = self._cut(lower, upper)
        lower, upper = lower[left], upper[left]
        if not left.any():
            return
        planes, undecided = Planes.over(self.chain, (lower, upper))
        rows, right = self._asked(planes, lower.shape[0])
        cut_lower, cut_upper, left = contracted(rows, right, (lower, upper))
        left &= self._asked_distance(rows, right) < self.radius
        widest = np.maximum((upper - lower).max(axis=1), SMALLEST)
        shrunk = (cut_upper - cut_lower).max(axis=1) < SHRUNK * widest
        small = (cut_upper - cut_lower).max(axis=1) < SMALLEST
        for k in np.flatnonzero(left & (undecided == 0)):
            self._on_piece(planes, int(k), cut_lower[k], cut_upper[k])
        for k in np.flatnonzero(left & (undecided > 0) & small):
            self._try(self._as_input(0.5 * (cut_lower[k] + cut_upper[k])))
        left &= (undecided > 0) & ~small
        self._open(cut_lower[left & shrunk], cut_upper[left & shrunk])
        self._open(*_halves(cut_lower[left & ~shrunk], cut_upper[left & ~shrunk]))
        self._forget()

    def _taken(self) -> tuple[Float64, Float64]:
        """The nearest open boxes, which are open no longer."""
        count = min(BATCH, self.distance.size)
        chosen = np.zeros(self.distance.size, dtype=np.bool_)
        chosen[np.argpartition(self.distance, count - 1)[:count]] = True
        taken = self.lower[chosen], self.upper[chosen]
        self._keep(~chosen)
        return taken

    def _keep(self, kept: Mask) -> None:
        self.lower, self.upper = self.lower[kept], self.upper[kept]
        self.distance = self.distance[kept]

    def _open(self, lower: Float64, upper: Float64) -> None:
        self.lower = np.concatenate([self.lower, lower])
        self.upper = np.concatenate([self.upper, upper])
        self.distance = np.concatenate([self.distance, self._distances(lower, upper)])

    def _forget(self) -> None:
        """Drop what is no nearer than the best answer."""
        self._keep(self.distance < self.radius)

    def _distances(self, lower: Float64, upper: Float64) -> Float64:
        nearest = np.abs(np.clip(0.0, lower, upper))
        if self.row.ball.norm == "1":
            return np.asarray(nearest.sum(axis=1))
        return np.asarray(nearest.max(axis=1))

    def _cut(self, lower: Float64, upper: Float64) -> tuple[Float64, Float64, Mask]:
        """What the radius and whole numbers leave of boxes."""
        room = np.full_like(lower, self.radius)
        if self.row.ball.norm == "1":
            least = np.abs(np.clip(0.0, lower, upper))
            room = self.radius - least.sum(axis=1, keepdims=True) + least
        lower, upper = np.maximum(lower, -room), np.minimum(upper, room)
        whole = self.row.domain.integer
        if whole.any():
            ball = self.row.ball
            near, scale = ball.near[whole], ball.scale[whole]
            first = np.ceil(near + scale * lower[:, whole] - SMALLEST)
            last = np.floor(near + scale * upper[:, whole] + SMALLEST)
            lower[:, whole], upper[:, whole] = (first - near) / scale, (last - near) / scale
        return lower, upper, np.asarray((lower <= upper).all(axis=1))

    def _asked(self, planes: Planes, count: int) -> tuple[Float64, Float64]:
        """The inequalities of the outputs and of the user."""
        rows, right = inequalities(planes, self.low, self.high)
        if not self.right.size:
            return rows, right
        more = np.repeat(self.rows[None], count, axis=0)
        limits = np.repeat(self.right[None], count, axis=0)
        return np.concatenate([rows, more], axis=1), np.concatenate([right, limits], axis=1)

    def _asked_distance(self, rows: Float64, right: Float64) -> Float64:
        """How far each box's inequalities, one by one, keep v from `near`."""
        size = np.abs(rows)
        gain = size.max(axis=2) if self.row.ball.norm == "1" else size.sum(axis=2)
        usable = gain > 0.0
        least = np.where(usable, -right / np.where(usable, gain, 1.0), -np.inf)
        return np.asarray(least.max(axis=1, initial=-np.inf))

    def _on_piece(self, planes: Planes, k: int, lower: Float64, upper: Float64) -> None:
        """The nearest input of a box on which the network is one affine map."""
        ball = self.row.ball
        matrix = planes.low[:, k] / ball.scale
        last = Affine(matrix, planes.low_offset[:, k] - matrix @ ball.near)
        inside = Ball(
            ball.near,
            ball.scale,
            np.maximum(ball.near + ball.scale * lower, ball.lower),
            np.minimum(ball.near + ball.scale * upper, ball.upper),
            self.radius,
            ball.norm,
        )
        if not (inside.lower <= inside.upper).all():
            return
        program = encode(
            Chain((), last, None), [], inside, self.row.domain, self.low, self.high
        )
        found = solve(program, np.inf, _never)
        if found.columns is not None:
            self._try(program.x_of(found.columns))

    def _try(self, x: Float64) -> None:
        """Keep x if it is an answer, and nearer than the others."""
        polished = polish(self.row, x)
        distance = self.row.ball.distance(polished)
        if distance < self.radius and self.row.accepts(polished):
            self.x, self.radius = polished, distance

    def _as_input(self, moves: Float64) -> Float64:
        return self.row.ball.near + self.row.ball.scale * moves


def _never() -> bool:
    return False


def _halves(lower: Float64, upper: Float64) -> tuple[Float64, Float64]:
    """Both halves of each box, across its widest side."""
    rows = np.arange(lower.shape[0])
    side = np.argmax(upper - lower, axis=1)
    middle = 0.5 * (lower[rows, side] + upper[rows, side])
    left, right = upper.copy(), lower.copy()
    left[rows, side] = right[rows, side] = middle
    return np.concatenate([lower, right]), np.concatenate([left, upper])


def _in_moves(chain: Chain, ball: Ball, wanted: Mask) -> Chain:
    """The chain as a function of moves, of those outputs that are wanted."""
    last = Affine(chain.last.matrix[wanted], chain.last.bias[wanted])

    def moved(affine: Affine) -> Affine:
        return Affine(affine.matrix * ball.scale, affine.bias + affine.matrix @ ball.near)

    if not chain.hidden:
        return Chain((), moved(last), None)
    first = replace(chain.hidden[0], affine=moved(chain.hidden[0].affine))
    return Chain((first, *chain.hidden[1:]), last, None)
