"""Ways back on other branches of silu, gelu, mish and their like.

A value between the minimum of such an activation and zero has two origins. Pulling back
takes the right one everywhere; of k such units there are 2^k ways back, most of which
leave the range of the layer before. Through a linear layer the values before are affine
in the choices, ``h = h_0 + sum of the chosen d_j``, so that many choices are judged with
one product: all of them where they are few. Where they are more and the layer loses
nothing, a program in zeros and ones finds the choice that leads least outside its range:
hardly ever does another one lie inside. Where the layer loses something, most choices can
be made to fit, and the right branch is as good a start as any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.layers import Elementwise, Layer, LinearLayer
from nninvert.layers.activations import Trend
from nninvert.layers.pull_back import PullBack
from nninvert.linalg.box import Box
from nninvert.linalg.factor import factorise
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

ENUMERATED = 12
"""Units up to which all 2^k choices are judged: 4096 products of k by n numbers."""

PROGRAMMED = 64
"""Units up to which a program is solved: 50 take a third of a second, 100 too long."""

WIDEST = 4096
"""Inputs of a layer up to which choices behind it are judged."""

NODES, SECONDS = 1000, 5.0
"""Most of each for a program in zeros and ones; 20 to 30 units take a few nodes."""

SHARE = 0.2
"""Of the time that is left, for all rows."""


def has_branches(problem: Problem) -> bool:
    """Whether any activation of the network takes values on several monotone branches."""
    return any(_doubled(segment.layer) for segment in problem.network.segments)


def branch_starts(problem: Problem, most: int) -> Float64:
    """Inputs that pull-backs on different branches lead to, the most promising first.

    At each activation the choices are ranked by how far the values that they need lie
    outside the range of the layer before (or the bounds), then by their distance from
    what the network has there at `near`; the best `most` go on.

    Parameters
    ----------
    problem : Problem
    most : int
        Ways followed for each row, at least 1.

    Returns
    -------
    float64 array, shape (s, rows, n_in)
        s <= most; rows that have fewer repeat their first. Without activations of several
        branches, s = 0. Rows that are not reached in a fifth of the time that is left
        hold `Problem.begin`.
    """
    if not has_branches(problem) or not problem.rows:
        return np.zeros((0, problem.rows, problem.network.n_in))
    last = _share_of_time(problem.context)
    found = []
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for row in range(problem.rows):
            late = problem.context.elapsed > last or problem.context.should_stop()
            found.append(problem.begin[row, None] if late else _ways(problem, row, most))
    count = max(len(ways) for ways in found)
    filled = [np.concatenate([w, np.repeat(w[:1], count - len(w), axis=0)]) for w in found]
    return np.stack(filled, axis=1)


def _share_of_time(context: Context) -> float:
    """When to go on to other starts, in seconds from the start of the computation."""
    if context.time_limit is None:
        return np.inf
    return context.elapsed + SHARE * max(context.time_limit - context.elapsed, 0.0)


def _ways(problem: Problem, row: int, most: int) -> Float64:
    """The inputs for one row, shape (s, n_in)."""
    part = problem.take(np.array([row]))
    graph, context = problem.network.graph, problem.context
    shape = (1, *graph.output_shape)
    domain = part.domain
    closed = np.zeros(domain.lower.size, dtype=np.bool_)
    inside = Box(domain.lower, domain.upper, closed, part.begin)
    back = graph.pulled_back(context, inside)
    x = part.targets.values.reshape(shape)
    radius = part.targets.precision.half_step.reshape(shape)
    for place in range(len(graph.segments) - 1, -1, -1):
        layer = graph.segments[place].layer
        step = back.step(place, x, radius)
        if _doubled(layer):
            assert isinstance(layer, Elementwise)
            judge = _Judge.of(back, place) if place else None
            x, radius = _branched(layer, x, step.x, step.radius, judge, most)
        else:
            x, radius = step.x, step.radius
    return x.reshape(len(x), -1)


def _doubled(layer: Layer) -> bool:
    if not isinstance(layer, Elementwise):
        return False
    trends = [branch.trend for branch in layer.activation.branches]
    return (
        not layer.activation.one_to_one and len(trends) - trends.count(Trend.CONSTANT) > 1
    )


@dataclass(frozen=True)
class _Judge:
    """What lies before an activation: a linear layer, and where its inputs should lie."""

    layer: LinearLayer
    box: Box
    back: PullBack

    @classmethod
    def of(cls, back: PullBack, place: int) -> _Judge | None:
        """Before the segment at `place`; None where nothing linear or known is there."""
        layer, box = back.layers[place - 1], back.box(place - 1)
        if not isinstance(layer, LinearLayer) or box is None:
            return None
        return cls(layer, box, back)

    def can_tell(self, units: int) -> bool:
        """Whether choices of so many units behind the layer are worth judging."""
        linear_map = self.layer.linear_part[0]
        if units <= ENUMERATED:
            return linear_map.shape[1] <= WIDEST
        if units > PROGRAMMED or self.back.context.should_stop():
            return False
        return not factorise(linear_map, self.back.context).nullity

    def effects(
        self, z: Float64, change: Float64, units: NDArray[np.int64]
    ) -> tuple[Float64, Float64]:
        """h_0 of the values z, and d_j of each unit's change, shape (k, n)."""
        linear_map, bias = self.layer.linear_part
        factor = factorise(linear_map, self.back.context)
        target = z if bias is None else z - bias
        changes = np.zeros((units.size, z.size))
        changes[np.arange(units.size), units] = change[units]
        solved = factor.solve(np.concatenate([target[None], changes]))
        return solved[0], solved[1:]

    def scores(self, h: Float64) -> tuple[Float64, Float64]:
        """How far rows h lie outside the box, and from its centre."""
        beyond = np.maximum(self.box.lower - h, h - self.box.upper)
        outside = np.maximum(beyond, 0.0).sum(axis=-1)
        size = np.abs(h).max(axis=-1, initial=1.0)
        near = np.linalg.norm(h - self.box.centre[0], axis=-1)
        return np.where(outside > 1e-9 * size, outside, 0.0), near


def _branched(
    layer: Elementwise,
    y: Float64,
    z: Float64,
    radius: Float64,
    judge: _Judge | None,
    most: int,
) -> tuple[Float64, Float64]:
    """The best choices over all ways so far: their z and radii, at most `most`."""
    shape = z.shape[1:]
    right = z.reshape(len(z), -1)
    other, exists = _other_branch(layer, y.reshape(right.shape), right)
    kept, ranks = [], []
    for way, (start, left, possible) in enumerate(zip(right, other, exists, strict=True)):
        units = np.flatnonzero(possible)
        change = np.where(possible, left - start, 0.0)
        chosen, outside, near = _choices(judge, start, change, units, most)
        kept += [(way, start + np.where(turned, change, 0.0)) for turned in chosen]
        ranks += list(zip(outside, near, range(len(chosen)), strict=True))
    best = sorted(range(len(kept)), key=lambda k: ranks[k])[:most]
    values = np.array([kept[k][1] for k in best])
    spread = radius.reshape(right.shape)[[kept[k][0] for k in best]]
    return values.reshape(-1, *shape), spread.reshape(-1, *shape)


def _other_branch(layer: Elementwise, y: Float64, z: Float64) -> tuple[Float64, Mask]:
    """Origins on the monotone branch left of that of z, and where there is one."""
    activation = layer.activation
    y = activation.project(y)
    other, exists = z.copy(), np.zeros(z.shape, dtype=np.bool_)
    for index, branch in enumerate(activation.branches):
        if branch.trend is Trend.CONSTANT:
            continue
        reached = branch.image.contains(y) & ~branch.domain.contains(z)
        other[reached] = activation.branch_inverse(y[reached], index)
        exists |= reached
    return other, exists & np.isfinite(other)


def _choices(
    judge: _Judge | None,
    z: Float64,
    change: Float64,
    units: NDArray[np.int64],
    most: int,
) -> tuple[Mask, Float64, Float64]:
    """The best choices of one way, as masks over all units, with their scores."""
    if judge is None:
        units = units[:ENUMERATED]
        turned = _all_choices(units.size)[:most]
        outside = near = np.zeros(len(turned))
    else:
        units = units if judge.can_tell(units.size) else units[:0]
        base, effects = judge.effects(z, change, units)
        if units.size <= ENUMERATED:
            turned = _all_choices(units.size)
        else:
            turned = _least_outside(judge, base, effects)
        outside, near = judge.scores(base + turned @ effects)
        order = np.lexsort((near, outside))[:most]
        turned, outside, near = turned[order], outside[order], near[order]
    full = np.zeros((len(turned), z.size), dtype=np.bool_)
    full[:, units] = turned
    return full, outside, near


def _all_choices(count: int) -> Mask:
    """All 2^k masks, none turned first."""
    bits = np.arange(2**count)[:, None] >> np.arange(count)
    return np.asarray((bits & 1).astype(np.bool_))


def _least_outside(judge: _Judge, base: Float64, effects: Float64) -> Mask:
    """Minimise the sum by which values lie outside the box; shape (1, k).

    Values of flat units have few digits, so that the right choice may lead outside, too.
    None is turned where the program ends without an answer.
    """
    from scipy import optimize

    k, n = effects.shape
    none = np.zeros((1, k), dtype=np.bool_)
    if not (np.isfinite(effects).all() and np.isfinite(base).all()):
        return none
    # Of the values, what lacks to the lower ends, and what is too much for the upper ones.
    rows = np.hstack([effects.T, np.eye(n), -np.eye(n)])
    told = optimize.milp(
        np.concatenate([np.zeros(k), np.ones(2 * n)]),
        constraints=optimize.LinearConstraint(
            rows, judge.box.lower - base, judge.box.upper - base
        ),
        bounds=optimize.Bounds(0.0, np.repeat([1.0, np.inf], [k, 2 * n])),
        integrality=np.repeat([1, 0], [k, 2 * n]),
        options={"node_limit": NODES, "time_limit": SECONDS},
    )
    return none if told.x is None else np.asarray(told.x[:k] > 0.5)[None]
