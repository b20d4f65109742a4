"""Layers y = A x + b: everything follows from the map and the bias."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    capped,
)
from nninvert.linalg.box import Box
from nninvert.linalg.box_solve import separated, solve_in_box
from nninvert.linalg.factor import factorise
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap
from nninvert.linalg.norms import row_norms


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

    def linearize_with_terms(self, x: Float64) -> tuple[Linearization, Float64]:
        """The same from one pass with |A| |x| + |b|, in the shape of the output."""
        linear_map, bias = self.linear_part
        y, terms = linear_map.apply_with_magnitude(x.reshape(x.shape[0], -1))
        if bias is not None:
            y, terms = y + bias, terms + np.abs(bias)
        shape = (x.shape[0], *self.output_shape)
        return AffineLinearization(self, y.reshape(shape)), terms.reshape(shape)

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

        ``k eps (|A| |x| + |b|)``, twice the bound of sums of k products (Higham, Accuracy
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
            found = self._preimage_of_least_norm(factor, target, radius)
        shape = (y.shape[0], *self.input_shape)
        return _reshaped(found, shape)

    def _preimage_of_least_norm(
        self, factor: Factorisation, target: Float64, radius: Float64
    ) -> Preimage:
        """The least-squares solution, judged by its residual or by what the solve knows."""
        x, slack = factor.solve_bounded(target)
        if slack is None:
            product, rounding = self._product_and_solve_rounding(factor, x)
            return _linear_preimage(factor, target, product, x, radius + rounding)
        linear_map, bias = self.linear_part
        if bias is not None:
            slack = slack + _sum_rounding(linear_map, bias, np.zeros(())).max(initial=0.0)
        return _reached(factor, x, radius + slack)

    def _product_and_solve_rounding(
        self, factor: Factorisation, x: Float64
    ) -> tuple[Float64, Float64]:
        """A x, and what the solve behind x may have rounded, in units of y.

        Where every y is reached the residual shows it. A least-squares solution hides it;
        decompositions round like sums over all inputs, however few each output has.
        """
        product, rounding = self.product_and_rounding(x)
        if factor.onto:
            return product, rounding
        linear_map = self.linear_part[0]
        return product, rounding * (linear_map.shape[1] / linear_map.terms)

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
        # Whether A x = y has a solution at all is judged by the least-squares one: the
        # nearest x of the box is none.
        judged = x.copy()
        judged[missed] = factor.solve(target[missed])
        product, rounding = self._product_and_solve_rounding(factor, judged)
        found = _linear_preimage(factor, target, product, judged, radius + rounding)
        found = replace(found, x=x)
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
        product, _ = self.product_and_rounding(x)
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
    return linear_map.terms * tolerances.EPS64 * terms


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
    if factor.onto:
        return _reached(factor, x, radius + residual)
    found = _reached(factor, x, radius)
    # The residual is orthogonal to the range: no y within the radius comes closer
    # than the residual's norm less the radius's.
    scale = factor.residual_scale
    misfit = row_norms(residual * scale)
    reach = row_norms(capped(radius) * scale)
    # Where a value may be anything, a misfit proves nothing, but x is no origin.
    bounded = radius < tolerances.UNBOUNDED_RADIUS
    known = bounded.all(axis=1) & (reach < tolerances.UNBOUNDED_RADIUS)
    rounding = row_norms(np.where(bounded, radius, 0.0) * scale)
    out = misfit > np.where(known, reach, rounding)
    proved = out & known
    worst = residual.argmax(axis=1)
    beyond = np.count_nonzero(residual > radius, axis=1)
    return replace(
        found,
        outside=np.where(out, np.maximum(beyond, 1), 0),
        overshoot=np.where(out, misfit, 0.0),
        unit=np.where(out, worst, -1),
        value=np.where(out, np.take_along_axis(target, worst[:, None], 1)[:, 0], np.nan),
        proved=proved,
    )


def _reached(factor: Factorisation, x: Float64, slack: Float64) -> Preimage:
    """Origins of values that are off A x by no more than `slack`."""
    radius = np.abs(x)
    radius *= tolerances.EPS64
    radius += factor.spread(capped(slack))
    return Preimage.of_inside(x, capped(radius), factor.nullity)


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
