"""What every layer offers: forward, linearisation, facts, preimage, description.

Layers see arrays (batch, *shape) in float64. A layer is bound to its input shape when it
is constructed, so that its output shape, its linear map and its facts are properties, and
its preimage knows what to give back. Layers are immutable; those that are shared in a file
become several objects over the same stored weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers.activations import Interval
from nninvert.linalg.box import Box
from nninvert.linalg.box_solve import separated, solve_in_box
from nninvert.linalg.factor import factorise
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap
from nninvert.linalg.norms import row_norms
from nninvert.linalg.stored import StoredMatrix

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]
Weights = Mapping[str, StoredMatrix | NDArray[np.generic]]


def size_of(shape: Shape) -> int:
    """How many numbers an array of this shape holds."""
    return math.prod(shape)


@dataclass(frozen=True)
class Facts:
    """What is true of a layer for every x, as far as its structure tells.

    Attributes
    ----------
    one_to_one : bool or None
        Different x give different y; None: it depends on the numbers (rank).
    onto : bool or None
        Every y is reached.
    image : tuple of Interval or None
        Elementwise range of y, disjoint and ascending; None where it is not elementwise.
    lost : int
        Dimensions of x that are lost whatever the weights are.
    reason : str
        Why it is not one-to-one, for people; "" where it is.
    """

    one_to_one: bool | None
    onto: bool | None
    image: tuple[Interval, ...] | None
    lost: int
    reason: str


@dataclass(frozen=True)
class Preimage:
    """What is known about the x of given y, for each row.

    Attributes
    ----------
    x : float64 array, shape (batch, *input_shape)
        One origin; where y has none, the origin of the nearest value of the image (for
        linear layers the least-squares solution of minimum norm). Always finite for
        finite y.
    radius : float64 array, shape of x
        How far x may move when y moves within the radius that was given with it, unit by
        unit, plus the rounding made here; `tolerances.RADIUS_CAP` where unbounded.
    outside : int array, shape (batch,)
        Number of units of y outside the image by more than their radius.
    overshoot : float64 array, shape (batch,)
        Largest distance of such a unit from the image; 0 where none.
    unit : int array, shape (batch,)
        Which unit that is (flat index into y); -1 where none.
    value : float64 array, shape (batch,)
        Its value; NaN where none.
    place : int array, shape (batch,)
        In a graph: index of the segment that y left, the last one on the way; else 0.
    proved : bool array, shape (batch,)
        Whether leaving the image proves that no value within the radius has an origin:
        everything later had exactly one way back.
    free : bool array, shape (batch, n_in), or None
        Entries of x of which only an interval is known; None: no entry.
    free_dimensions : int array, shape (batch,)
        Dimensions that the given values say nothing about: kernels of linear maps, and
        units of which only an interval is known.
    origins : float64 array, shape (batch,)
        log2 of the number of combinations of branches that reach y.
    """

    x: Float64
    radius: Float64
    outside: NDArray[np.int64]
    overshoot: Float64
    unit: NDArray[np.int64]
    value: Float64
    place: NDArray[np.int64]
    proved: NDArray[np.bool_]
    free: NDArray[np.bool_] | None
    free_dimensions: NDArray[np.int64]
    origins: Float64

    @property
    def unique(self) -> NDArray[np.bool_]:
        """Rows in which x is the only origin: nothing free, no other branch."""
        return np.asarray((self.origins == 0.0) & (self.free_dimensions == 0))

    @classmethod
    def of_inside(cls, x: Float64, radius: Float64, kernel: int = 0) -> Preimage:
        """A preimage of values that all lie in the image, `kernel` dimensions lost."""
        rows = x.shape[0]
        return cls(
            x=x,
            radius=radius,
            outside=np.zeros(rows, dtype=np.int64),
            overshoot=np.zeros(rows),
            unit=np.full(rows, -1, dtype=np.int64),
            value=np.full(rows, np.nan),
            place=np.zeros(rows, dtype=np.int64),
            proved=np.zeros(rows, dtype=np.bool_),
            free=None,
            free_dimensions=np.full(rows, kernel, dtype=np.int64),
            origins=np.zeros(rows),
        )


class Linearization(ABC):
    """A layer, or a network, near one x of each row: y and the products with Jacobians.

    The products take any number of leading axes before the batch:
    (..., batch, *input_shape) to (..., batch, *output_shape) and back.

    Attributes
    ----------
    y : float64 array, shape (batch, *output_shape)
        The value at x, by the plain forward pass.
    """

    y: Float64

    @abstractmethod
    def jvp(self, dx: Float64) -> Float64:
        """J dx."""

    @abstractmethod
    def vjp(self, dy: Float64) -> Float64:
        """J^T dy."""

    @abstractmethod
    def magnitude(self, dx: Float64) -> Float64:
        """|J| |dx|: how far y can move when each x_i moves by up to |dx_i|."""

    @abstractmethod
    def solve(self, dy: Float64, context: Context) -> Float64:
        """A dx with J dx = dy, layer by layer.

        Exact for layers that are square and nonsingular; else each layer's least-squares
        solution of minimum norm. Where a slope is zero, so is the step.
        """

    def solve_roughly(self, dy: Float64, context: Context) -> Float64:
        """The same to a few digits, where that is cheaper: for error estimates."""
        return self.solve(dy, context)


class Layer(ABC):
    """One step of a network.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        Without the batch axis.
    kind : str
        Key in the registry `LAYERS`.
    """

    kind: ClassVar[str]
    input_shape: Shape

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of y without the batch axis."""

    @abstractmethod
    def forward(self, x: Float64) -> Float64:
        """Evaluate in float64, (batch, *input_shape) to (batch, *output_shape)."""

    @abstractmethod
    def linearize(self, x: Float64) -> Linearization:
        """Value and Jacobian products at x."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What the structure tells about invertibility."""

    @property
    def seen(self) -> LinearMap | None:
        """The projection P with f(x) = f(P x) that says what f sees of x; None: all."""
        return None

    @abstractmethod
    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Invert each row; never raises because of the data.

        Parameters
        ----------
        y : float64 array, shape (batch, *output_shape)
            Finite.
        radius : float64 array, shape of y
            How far each unit may be off: rounding of the stored type, or the errors that
            the solves before made. A value outside the image by no more than that counts
            as lying on its edge.
        context : Context
            Holds the factorisations.
        inside : Box or None, default None
            Where x should lie, units flattened: the range of the layer before, or the
            bounds of the inputs. Layers that leave a choice, wide linear ones, take an x
            inside, near its centre; if there is none, y counts as outside. Without it the
            x of least norm is taken.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Parameters as JSON can hold them, without weights and input shape."""

    def weights(self) -> Weights:
        """Named arrays and matrices as stored; empty for layers without."""
        return {}

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Rebuild a layer from `config`, `weights` and its input shape."""


class LinearLayer(Layer):
    """A layer ``y = A x + b``: everything follows from `linear_part`."""

    @property
    @abstractmethod
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """A on flattened arrays, and b of shape (n_out,) or None for zero."""

    def forward(self, x: Float64) -> Float64:
        """A x + b."""
        linear_map, bias = self.linear_part
        y = linear_map.apply(x.reshape(x.shape[0], -1))
        if bias is not None:
            y = y + bias
        return y.reshape(x.shape[0], *self.output_shape)

    def linearize(self, x: Float64) -> Linearization:
        """The map itself, whatever x is."""
        return AffineLinearization(self, self.forward(x))

    @property
    def facts(self) -> Facts:
        """Structure only: a wider input than output loses the difference."""
        m, n = self.linear_part[0].shape
        lost = max(n - m, 0)
        reason = f"maps {n} numbers to {m}: at least {lost} directions of x are lost"
        return Facts(
            one_to_one=False if lost else None,
            onto=False if m > n else None,
            image=None,
            lost=lost,
            reason=reason if lost else "",
        )

    def product_and_rounding(self, x: Float64) -> tuple[Float64, Float64]:
        """A x, and a bound of its rounding in the plain forward pass, for rows x.

        ``n eps (|A| |x| + |b|)``, twice the bound of sums of n products (Higham, Accuracy
        and Stability, 2nd ed., section 3.1), so that computing a residual is covered too.
        """
        linear_map, bias = self.linear_part
        product, size = linear_map.apply_with_magnitude(x)
        return product, _sum_rounding(linear_map, bias, size)

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Solve A x = y - b with the map's factorisation."""
        linear_map, bias = self.linear_part
        factor = factorise(linear_map, context)
        flat = y.reshape(y.shape[0], -1)
        target = flat if bias is None else flat - bias
        radius = _flat(radius) + tolerances.EPS64 * np.abs(flat)
        if inside is not None and factor.nullity:
            found = self._preimage_inside(factor, target, radius, inside, context)
        else:
            x = factor.solve(target)
            product, rounding = self.product_and_rounding(x)
            found = _linear_preimage(factor, target, product, x, radius + rounding)
        shape = (y.shape[0], *self.input_shape)
        return _reshaped(found, shape)

    def _preimage_inside(
        self,
        factor: Factorisation,
        target: Float64,
        radius: Float64,
        inside: Box,
        context: Context,
    ) -> Preimage:
        """Choose an x in a box; where there is none, say so, and whether it is proved."""
        linear_map = self.linear_part[0]
        _, rounding = self.product_and_rounding(np.atleast_2d(inside.centre))
        slack = factor.spread(rounding + tolerances.EPS64 * np.abs(target))
        solution = solve_in_box(
            linear_map, factor, target, inside, capped(slack), context.should_stop
        )
        x, missed = solution.x, np.flatnonzero(~solution.met)
        product, rounding = self.product_and_rounding(x)
        found = _linear_preimage(factor, target, product, x, radius + rounding)
        # Where A x = y has no solution at all, that is said already.
        missed = missed[found.outside[missed] == 0]
        if not missed.size:
            return found
        _, most = self.product_and_rounding(inside.size[None])
        proved = separated(
            linear_map,
            solution.multiplier[missed],
            target[missed],
            radius[missed] + most,
            inside,
        )
        return _beyond(found, missed, proved, target, np.abs(target - product), radius)


def accumulated_rounding(parts: Sequence[LinearLayer], x: Float64) -> Float64:
    """Bound the rounding of linear layers one after another.

    See `LinearLayer.product_and_rounding` for a single one.
    """
    size, error = np.abs(x), np.zeros(0)
    for part in parts:
        linear_map, bias = part.linear_part
        size = linear_map.magnitude(size)
        own = _sum_rounding(linear_map, bias, size)
        if bias is not None:
            size = size + np.abs(bias)
        error = own if part is parts[0] else linear_map.magnitude(error) + own
    return error


def _sum_rounding(linear_map: LinearMap, bias: Float64 | None, size: Float64) -> Float64:
    terms = size if bias is None else size + np.abs(bias)
    return linear_map.shape[1] * tolerances.EPS64 * terms


def capped(radius: Float64) -> Float64:
    """Error radii, those that stand for "anything" replaced by the largest one."""
    bounded = radius < tolerances.UNBOUNDED_RADIUS
    return np.where(bounded, radius, tolerances.RADIUS_CAP)


def _flat(array: Float64) -> Float64:
    return array.reshape(array.shape[0], -1)


def _reshaped(found: Preimage, shape: Shape) -> Preimage:
    return replace(found, x=found.x.reshape(shape), radius=found.radius.reshape(shape))


def _linear_preimage(
    factor: Factorisation,
    target: Float64,
    product: Float64,
    x: Float64,
    radius: Float64,
) -> Preimage:
    """Judge a least-squares solution: error radius, distance of y from the range."""
    residual = np.abs(target - product)
    reachable = Preimage.of_inside(x, radius, factor.nullity)
    if factor.onto:
        slack = radius + residual
        out = proved = np.zeros(x.shape[0], dtype=np.bool_)
        misfit = np.zeros(x.shape[0])
    else:
        # The residual is orthogonal to the range: no y within the radius comes closer
        # than the residual's norm less the radius's.
        slack = radius
        misfit = row_norms(residual)
        reach = row_norms(capped(slack))
        # Where a value may be anything, a misfit proves nothing, but x is no origin.
        known = reach < tolerances.UNBOUNDED_RADIUS
        rounding = row_norms(np.where(radius < tolerances.UNBOUNDED_RADIUS, radius, 0.0))
        out = misfit > np.where(known, reach, rounding)
        proved = out & known
    spread = factor.spread(capped(slack))
    own = tolerances.EPS64 * np.abs(x)
    worst = residual.argmax(axis=1)
    beyond = np.count_nonzero(residual > slack, axis=1)
    return replace(
        reachable,
        radius=capped(spread + own),
        outside=np.where(out, np.maximum(beyond, 1), 0),
        overshoot=np.where(out, misfit, 0.0),
        unit=np.where(out, worst, -1),
        value=np.where(out, np.take_along_axis(target, worst[:, None], 1)[:, 0], np.nan),
        proved=proved,
    )


def _beyond(
    found: Preimage,
    rows: NDArray[np.int64],
    proved: NDArray[np.bool_],
    target: Float64,
    residual: Float64,
    radius: Float64,
) -> Preimage:
    """Mark rows whose values no x of the box was found for."""
    worst = residual[rows].argmax(axis=1)
    changed = {
        "outside": np.count_nonzero(residual[rows] > radius[rows], axis=1),
        "overshoot": row_norms(residual[rows]),
        "unit": worst,
        "value": target[rows, worst],
        "proved": proved,
    }
    changed["outside"] = np.maximum(changed["outside"], 1)
    fields = {name: getattr(found, name).copy() for name in changed}
    for name, values in changed.items():
        fields[name][rows] = values
    return replace(found, **fields)


class AffineLinearization(Linearization):
    """Of a linear layer.

    Parameters
    ----------
    layer : LinearLayer
    y : float64 array
        Its value.
    solved : LinearMap, optional
        What is solved with in place of the layer's own map.
    """

    def __init__(
        self, layer: LinearLayer, y: Float64, solved: LinearMap | None = None
    ) -> None:
        self._layer, self.y = layer, y
        self._map = layer.linear_part[0]
        self._solved = solved or self._map

    def jvp(self, dx: Float64) -> Float64:
        """A dx."""
        layer = self._layer
        lead = dx.shape[: dx.ndim - len(layer.input_shape)]
        return self._map.apply(dx.reshape(*lead, -1)).reshape(*lead, *layer.output_shape)

    def vjp(self, dy: Float64) -> Float64:
        """A^T dy."""
        layer = self._layer
        lead = dy.shape[: dy.ndim - len(layer.output_shape)]
        return self._map.adjoint(dy.reshape(*lead, -1)).reshape(*lead, *layer.input_shape)

    def magnitude(self, dx: Float64) -> Float64:
        """|A| |dx|."""
        layer = self._layer
        lead = dx.shape[: dx.ndim - len(layer.input_shape)]
        return self._map.magnitude(dx.reshape(*lead, -1)).reshape(
            *lead, *layer.output_shape
        )

    def solve(self, dy: Float64, context: Context) -> Float64:
        """A^+ dy."""
        layer = self._layer
        lead = dy.shape[: dy.ndim - len(layer.output_shape)]
        solved = factorise(self._solved, context).solve(dy.reshape(*lead, -1))
        return solved.reshape(*lead, *layer.input_shape)

    def solve_roughly(self, dy: Float64, context: Context) -> Float64:
        """A^+ dy by the factors alone."""
        layer = self._layer
        lead = dy.shape[: dy.ndim - len(layer.output_shape)]
        solved = factorise(self._solved, context).solve_roughly(dy.reshape(*lead, -1))
        return solved.reshape(*lead, *layer.input_shape)
