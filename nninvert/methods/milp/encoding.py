"""A network inside a ball as a mixed-integer linear program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.domain import Domain
from nninvert.methods.milp.assembly import Builder, Expression
from nninvert.methods.milp.ball import Ball
from nninvert.methods.milp.chain import Affine, Chain
from nninvert.methods.milp.pieces import Pieces
from nninvert.methods.milp.relaxation import Range

if TYPE_CHECKING:
    from scipy import sparse

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Program:
    """Minimise ``cost @ v`` with bounds on v and on ``matrix @ v``, parts of v whole.

    Attributes
    ----------
    cost, lower, upper : float64 arrays, shape (columns,)
    whole : bool array, shape (columns,)
    matrix : sparse array, shape (rows, columns)
    row_lower, row_upper : float64 arrays, shape (rows,)
    inputs : sparse array, shape (n_in, columns)
        ``x = near + inputs @ v``.
    near : float64 array, shape (n_in,)
    switches : tuple of Switches
        The units that are undecided, layer by layer; empty for a linear program.
    targets : int array
        The rows that are about the outputs.
    """

    cost: Float64
    lower: Float64
    upper: Float64
    whole: Mask
    matrix: sparse.csr_array
    row_lower: Float64
    row_upper: Float64
    inputs: sparse.csr_array
    near: Float64
    switches: tuple[Switches, ...]
    targets: NDArray[np.int64]

    def x_of(self, v: Float64) -> Float64:
        """The input that columns stand for."""
        return np.asarray(self.near + self.inputs @ v)

    @property
    def undecided(self) -> int:
        """How many columns decide about units."""
        return sum(block.columns.size for block in self.switches)

    def fixed(self, columns: NDArray[np.int64], values: Float64) -> Program:
        """The same with some columns held at a value."""
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[columns] = upper[columns] = values
        return replace(self, lower=lower, upper=upper)

    def relaxed(self) -> Program:
        """The linear program that is left when nothing need be whole."""
        return replace(self, whole=np.zeros_like(self.whole))

    def softened(self) -> Program:
        """Minimise how far the outputs miss their bounds, whatever the distance."""
        from scipy import sparse

        count, old = self.targets.size, self.cost.size
        places = (self.targets, np.arange(count))
        miss = sparse.csr_array(
            (np.ones(count), places), shape=(self.matrix.shape[0], count)
        )
        # Rows of unlike sizes count alike.
        unit = abs(self.matrix[self.targets]).max(axis=1).toarray().reshape(-1)
        unit = np.where(unit > 0.0, unit, 1.0)
        more = 2 * count
        wide = sparse.csr_array(self.inputs, copy=True)
        wide.resize((self.near.size, old + more))
        return replace(
            self,
            cost=np.concatenate([np.zeros(old), 1.0 / unit, 1.0 / unit]),
            lower=np.concatenate([self.lower, np.zeros(more)]),
            upper=np.concatenate([self.upper, np.full(more, np.inf)]),
            whole=np.concatenate([self.whole, np.zeros(more, dtype=np.bool_)]),
            matrix=sparse.hstack([self.matrix, miss, -miss], format="csr"),
            inputs=wide,
        )


@dataclass(frozen=True)
class Switches:
    """Binary columns of one layer: column c is 1 where unit u lies above its break.

    Attributes
    ----------
    layer : int
        Number of the hidden layer.
    columns, units : int arrays, shape (k,)
    breaks : float64 array, shape (k,)
    """

    layer: int
    columns: NDArray[np.int64]
    units: NDArray[np.int64]
    breaks: Float64


def encode(
    chain: Chain,
    ranges: Sequence[Range],
    ball: Ball,
    domain: Domain,
    low: Float64,
    high: Float64,
) -> Program:
    """Set the program up: nearest input in the ball with ``low <= last map <= high``.

    Each unit's input is ``z = t - s + p_1 + ... + p_k`` with t its first break inside its
    range, s what it lies below and p_i how far it reaches into the pieces above. Binary
    columns let a piece be entered only when those before it are full, which describes
    every unit by itself as tightly as linear inequalities can [1]_; for a relu it is the
    usual formulation with s <= -l (1 - d), p <= u d. Units whose range holds no break
    need no binary, those that are constant there nothing at all.

    Parameters
    ----------
    chain : Chain
    ranges : sequence of Range
        For each hidden layer, valid inside the ball.
    ball : Ball
        Finite.
    domain : Domain
        Whole numbers and inequalities; its bounds are in the ball.
    low, high : float64 arrays, shape (k,)
        Bounds of the last affine map, -inf and inf where open.

    References
    ----------
    .. [1] M. Padberg, Approximating separable nonlinear functions via mixed zero-one
       programs, Oper. Res. Lett. 27, 2000, 1-5 (the incremental formulation, first used by
       H. M. Markowitz and A. S. Manne, Econometrica 25, 1957, 84-110).
    """
    made = Builder()
    inputs = _inputs(made, ball, domain)
    value, offset = inputs, ball.near
    _inequalities(made, domain, value, offset)
    switches = []
    for place, layer in enumerate(chain.hidden):
        units = _Layer(made, place, layer.pieces, ranges[place])
        value, offset = units.add(*_through(layer.affine, value, offset))
        switches += units.switches
    wanted = np.isfinite(low) | np.isfinite(high)
    last = Affine(chain.last.matrix[wanted], chain.last.bias[wanted])
    terms, constant = _through(last, value, offset)
    targets = made.rows(terms, low[wanted] - constant, high[wanted] - constant)
    cost, lower, upper, whole = made.columns_done()
    matrix, row_lower, row_upper = made.rows_done()
    return Program(
        cost=cost,
        lower=lower,
        upper=upper,
        whole=whole,
        matrix=matrix,
        row_lower=row_lower,
        row_upper=row_upper,
        inputs=made.wide(inputs),
        near=ball.near,
        switches=tuple(switches),
        targets=targets,
    )


def _inputs(made: Builder, ball: Ball, domain: Domain) -> sparse.csr_array:
    """Columns for the inputs: x - near = matrix @ v; the distance is the cost."""
    low, high = ball.moves
    cost = 1.0 if ball.norm == "1" else 0.0
    up = made.columns(np.maximum(low, 0.0), np.maximum(high, 0.0), cost=cost)
    down = made.columns(np.maximum(-high, 0.0), np.maximum(-low, 0.0), cost=cost)
    if ball.norm == "max":
        _farthest(made, ball, up, down)
    elif np.isfinite(ball.radius):
        every = np.ones((1, up.size + down.size))
        made.rows(every @ made.selection(np.append(up, down)), -np.inf, ball.radius)
    moved = made.selection(up, ball.scale) - made.selection(down, ball.scale)
    chosen = np.flatnonzero(domain.integer)
    if not chosen.size:
        return moved
    first = np.maximum(np.ceil(ball.near + ball.scale * low), ball.lower)[chosen]
    last = np.minimum(np.floor(ball.near + ball.scale * high), ball.upper)[chosen]
    # A radius that leaves no whole number is the solver's to notice.
    places = made.columns(first, np.maximum(first, last), whole=True)
    moved = made.wide(moved)
    near = ball.near[chosen]
    made.rows(moved[chosen] - made.selection(places), -near, -near)
    return moved


def _farthest(
    made: Builder, ball: Ball, up: NDArray[np.int64], down: NDArray[np.int64]
) -> None:
    """One more column, as large as the largest move: the distance in the max-norm."""
    least = np.array([ball.least_distance])
    farthest = made.columns(least, np.array([max(ball.radius, least[0])]), cost=1.0)
    for places in (up, down):
        other = made.selection(np.repeat(farthest, places.size))
        made.rows(made.selection(places) - other, -np.inf, 0.0)


def _inequalities(
    made: Builder, domain: Domain, value: sparse.csr_array, offset: Float64
) -> None:
    if not len(domain.constraints):
        return
    matrix = domain.constraints.matrix
    size = np.abs(matrix).max(axis=1, keepdims=True)
    unit = np.where(size > 0.0, size, 1.0)
    terms, constant = _through(
        Affine(matrix / unit, -domain.constraints.limit / unit[:, 0]), value, offset
    )
    made.rows(terms, -np.inf, -constant)


def _through(
    affine: Affine, value: sparse.csr_array, offset: Float64
) -> tuple[sparse.csr_array, Float64]:
    """The affine map of ``value @ v + offset``."""
    from scipy import sparse

    matrix = sparse.csr_array(sparse.csr_array(affine.matrix) @ value)
    return matrix, affine.matrix @ offset + affine.bias


class _Layer:
    """The units of one hidden layer as columns and rows."""

    def __init__(self, made: Builder, place: int, pieces: Pieces, known: Range) -> None:
        self.made, self.place, self.pieces, self.known = made, place, pieces, known
        width = known.lower.size
        self.entering, self.leaving = Expression(width), Expression(width)
        # Pieces that the range meets: from number `first` to number `last`.
        self.first = np.searchsorted(pieces.breaks, known.lower, side="right")
        self.last = np.searchsorted(pieces.breaks, known.upper, side="left")
        self.switches: list[Switches] = []

    def add(
        self, entering: sparse.csr_array, constant: Float64
    ) -> tuple[sparse.csr_array, Float64]:
        """Tie the units to what enters them; what leaves them, as a map of the columns."""
        needed = self._straight() | self._bent()
        made = self.made
        own = self.entering.matrix(made.size)[needed]
        right = self.entering.constant[needed] - constant[needed]
        made.rows(made.wide(entering)[needed] - own, right, right)
        return self.leaving.matrix(made.size), self.leaving.constant

    def _straight(self) -> Mask:
        """Units on one piece; those that need a column, where it is not flat."""
        units = np.flatnonzero(self.first >= self.last)
        slope = self.pieces.slopes[self.first[units], units]
        begin = self.known.lower
        self.leaving.constant[units] = self.pieces.at(begin)[units] - slope * begin[units]
        kept = units[slope != 0.0]
        places = self.made.columns(self.known.lower[kept], self.known.upper[kept])
        self.entering.add(kept, places, 1.0)
        self.leaving.add(kept, places, slope[slope != 0.0])
        return _mask(kept, begin.size)

    def _bent(self) -> Mask:
        """Units with breaks in their range: s below the first, then piece after piece."""
        pieces, made = self.pieces, self.made
        units = every = np.flatnonzero(self.first < self.last)
        first = self.first[units]
        start = pieces.breaks[first]
        self.entering.constant[units] = start
        self.leaving.constant[units] = pieces.values[first, units]
        room = start - self.known.lower[units]
        under = made.columns(np.zeros(units.size), room)
        self.entering.add(units, under, -1.0)
        self.leaving.add(units, under, -pieces.slopes[first, units])
        piece, entered = first + 1, None
        while units.size:
            on = made.columns(np.zeros(units.size), np.ones(units.size), whole=True)
            breaks = pieces.breaks[piece - 1]
            self.switches.append(Switches(self.place, on, units, breaks))
            if entered is None:  # s <= room (1 - d)
                made.rows(made.selection(under) + made.selection(on, room), -np.inf, room)
            else:  # the piece before is full
                made.rows(made.selection(entered) - made.selection(on, room), 0.0, np.inf)
            entered, room = self._piece(units, piece, on)
            further = piece < self.last[units]
            units, entered, room = units[further], entered[further], room[further]
            piece = piece[further] + 1
        return _mask(every, self.known.lower.size)

    def _piece(
        self, units: NDArray[np.int64], piece: NDArray[np.int64], on: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Float64]:
        """Columns p with p <= length d for one piece of some units, and the lengths."""
        ends = np.append(self.pieces.breaks, np.inf)[piece]
        room = np.minimum(ends, self.known.upper[units]) - self.pieces.breaks[piece - 1]
        made = self.made
        into = made.columns(np.zeros(units.size), room)
        self.entering.add(units, into, 1.0)
        self.leaving.add(units, into, self.pieces.slopes[piece, units])
        made.rows(made.selection(into) - made.selection(on, room), -np.inf, 0.0)
        return into, room


def _mask(places: NDArray[np.int64], size: int) -> Mask:
    found = np.zeros(size, dtype=np.bool_)
    found[places] = True
    return found
