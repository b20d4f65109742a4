"""Multi-head self-attention: each position weighs all others, or all before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._searched import least_squares_step, searched_preimage
from nninvert.linalg.box import Box

_PARTS = ("query", "key", "value")


class MultiHeadAttention(Layer):
    """``y = [softmax(Q K^T / sqrt(d)) V] W + b`` with Q, K, V affine in one x, by heads.

    Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2; in inference
    mode, without a mask but for the causal one. It is only known by its values and slopes:
    preimages are searched for, and nothing is claimed about other ones.

    Parameters
    ----------
    input_shape : (int, int)
        Positions and features.
    parameters : mapping
        As Keras stores them: ``query`` and ``key`` (features, heads, d), ``value``
        (features, heads, d_v), ``output`` (heads, d_v, features of y); where there are
        biases, ``query_bias``, ``key_bias`` (heads, d), ``value_bias`` (heads, d_v) and
        ``output_bias`` (features of y,). For torch's see `of_torch`.
    causal : bool, default False
        A position does not see later ones.

    Raises
    ------
    DataError
        If a kernel is missing or an array unknown.
    ShapeError
        If shapes do not fit together.
    """

    kind = "multi_head_attention"

    def __init__(
        self,
        input_shape: Shape,
        parameters: Mapping[str, NDArray[np.generic]],
        causal: bool = False,
    ) -> None:
        self.input_shape, self.causal = input_shape, causal
        self.parameters = dict(parameters)
        _check(input_shape, self.parameters)

    @classmethod
    def of_torch(
        cls,
        input_shape: Shape,
        arrays: Mapping[str, NDArray[np.generic]],
        heads: int,
        causal: bool = False,
    ) -> Self:
        """Take the arrays of torch's MultiheadAttention, equal dimensions of all parts.

        Parameters
        ----------
        input_shape : (int, int)
        arrays : mapping
            ``in_proj_weight`` (3 n, n), ``out_proj.weight`` (n, n), and, where there are
            biases, ``in_proj_bias`` (3 n,), ``out_proj.bias`` (n,).
        heads : int
            Divides n.
        causal : bool, default False
        """
        stacked = arrays["in_proj_weight"]
        n = input_shape[-1]
        if heads < 1 or n % heads or stacked.shape != (3 * n, n):
            raise ShapeError(
                "in_proj_weight",
                got=f"shape {stacked.shape} and {heads} heads",
                expected=f"({3 * n}, {n}) and a divisor of {n}",
            )
        d = n // heads
        found = {
            part: matrix.T.reshape(n, heads, d)
            for part, matrix in zip(_PARTS, np.split(stacked, 3), strict=True)
        }
        found["output"] = arrays["out_proj.weight"].T.reshape(heads, d, n)
        if "in_proj_bias" in arrays:
            parts = np.split(arrays["in_proj_bias"], 3)
            for part, bias in zip(_PARTS, parts, strict=True):
                found[f"{part}_bias"] = bias.reshape(heads, d)
        if "out_proj.bias" in arrays:
            found["output_bias"] = arrays["out_proj.bias"]
        return cls(input_shape, found, causal)

    @property
    def output_shape(self) -> Shape:
        """Positions, and the features that the last kernel gives."""
        return self.input_shape[0], self.parameters["output"].shape[2]

    @property
    def facts(self) -> Facts:
        """Of widths only: what weighing loses is not known."""
        n, m = size_of(self.input_shape), size_of(self.output_shape)
        lost = max(n - m, 0)
        reason = "weighs its positions: whether it is one-to-one is not known"
        if lost:
            reason = f"maps {n} numbers to {m}: at least {lost} directions of x are lost"
        return Facts(
            one_to_one=False if lost else None,
            onto=False if m > n else None,
            image=None,
            lost=lost,
            reason=reason,
        )

    @cached_property
    def _kernels(self) -> dict[str, Float64]:
        """In float64, (features, heads d) and (heads d_v, features)."""
        found = {}
        for part in _PARTS:
            kernel = self.parameters[part].astype(np.float64)
            found[part] = kernel.reshape(kernel.shape[0], -1)
        last = self.parameters["output"].astype(np.float64)
        found["output"] = last.reshape(-1, last.shape[2])
        return found

    def _heads(self, x: Float64, kernel: Float64) -> Float64:
        """(..., positions, features) to (..., heads, positions, d), without the bias."""
        made = x @ kernel
        heads = self.parameters["query"].shape[1]
        return np.swapaxes(made.reshape(*made.shape[:-1], heads, -1), -2, -3)

    def _joined(self, by_heads: Float64) -> Float64:
        """(..., heads, positions, d) to (..., positions, heads d)."""
        moved = np.swapaxes(by_heads, -2, -3)
        return moved.reshape(*moved.shape[:-2], -1)

    @property
    def _scale(self) -> float:
        return 1.0 / math.sqrt(self.parameters["query"].shape[2])

    def _projected(self, part: str, x: Float64) -> Float64:
        found = self._heads(x, self._kernels[part])
        bias = self.parameters.get(f"{part}_bias")
        if bias is None:
            return found
        return found + bias.astype(np.float64)[:, None, :]

    def _evaluate(self, x: Float64) -> tuple[Float64, ...]:
        """Return y, the weights of positions, and Q, K, V."""
        q, k, v = (self._projected(part, x) for part in _PARTS)
        q = q * self._scale
        scores = q @ np.swapaxes(k, -1, -2)
        if self.causal:
            later = np.triu(np.ones(scores.shape[-2:], dtype=np.bool_), 1)
            scores = np.where(later, -np.inf, scores)
        terms = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        p = terms / np.sum(terms, axis=-1, keepdims=True)
        y = self._joined(p @ v) @ self._kernels["output"]
        bias = self.parameters.get("output_bias")
        return (y if bias is None else y + bias.astype(np.float64)), p, q, k, v

    def forward(self, x: Float64) -> Float64:
        """Weigh and join."""
        return self._evaluate(x)[0]

    def linearize(self, x: Float64) -> Linearization:
        """Weights and projections determine the Jacobian."""
        return _AttentionLinearization(self, *self._evaluate(x))

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Least squares from several starts; see `searched_preimage`."""
        return searched_preimage(self, y, radius, context, inside)

    def config(self) -> dict[str, Any]:
        """Whether it is causal."""
        return {"causal": self.causal}

    def weights(self) -> Weights:
        """Kernels and biases as stored."""
        return self.parameters

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the arrays from `weights`."""
        arrays = {name: np.asarray(values) for name, values in weights.items()}
        return cls(input_shape, arrays, config["causal"])


class _AttentionLinearization(Linearization):
    """Products by the rules of sums, products and softmax."""

    def __init__(
        self,
        layer: MultiHeadAttention,
        y: Float64,
        p: Float64,
        q: Float64,
        k: Float64,
        v: Float64,
    ) -> None:
        self._layer, self.y = layer, y
        self._p, self._q, self._k, self._v = p, q, k, v

    def jvp(self, dx: Float64) -> Float64:
        """Forward through projections, scores, weights and values."""
        layer = self._layer
        dq, dk, dv = (layer._heads(dx, layer._kernels[part]) for part in _PARTS)
        ds = layer._scale * dq @ _t(self._k) + self._q @ _t(dk)
        dp = self._p * (ds - np.sum(self._p * ds, axis=-1, keepdims=True))
        return layer._joined(dp @ self._v + self._p @ dv) @ layer._kernels["output"]

    def vjp(self, dy: Float64) -> Float64:
        """The same backwards."""
        layer = self._layer
        do = layer._heads(dy, layer._kernels["output"].T)
        dp = do @ _t(self._v)
        ds = self._p * (dp - np.sum(self._p * dp, axis=-1, keepdims=True))
        parts = (layer._scale * ds @ self._k, _t(ds) @ self._q, _t(self._p) @ do)
        back = [
            layer._joined(part) @ layer._kernels[name].T
            for name, part in zip(_PARTS, parts, strict=True)
        ]
        return back[0] + back[1] + back[2]

    def magnitude(self, dx: Float64) -> Float64:
        """The sizes of all terms on the way: never less than |J| |dx|."""
        layer = self._layer
        sizes = {name: np.abs(kernel) for name, kernel in layer._kernels.items()}
        dq, dk, dv = (layer._heads(np.abs(dx), sizes[part]) for part in _PARTS)
        ds = layer._scale * dq @ _t(np.abs(self._k)) + np.abs(self._q) @ _t(dk)
        dp = self._p * (ds + np.sum(self._p * ds, axis=-1, keepdims=True))
        return layer._joined(dp @ np.abs(self._v) + self._p @ dv) @ sizes["output"]

    def solve(self, dy: Float64, context: Context) -> Float64:
        """J^+ dy."""
        return least_squares_step(self._layer, self, dy)


def _t(values: Float64) -> Float64:
    return np.swapaxes(values, -1, -2)


def _check(input_shape: Shape, given: Mapping[str, NDArray[np.generic]]) -> None:
    """Refuse arrays that are missing, unknown or do not fit together."""
    kernels = (*_PARTS, "output")
    for name in kernels:
        if name not in given:
            raise DataError(name, got="nothing", expected="a kernel of this name")
    if len(input_shape) != 2 or any(given[name].ndim != 3 for name in kernels):
        raise ShapeError(
            "input shape",
            got=f"{input_shape}, kernels of {[given[name].ndim for name in kernels]} axes",
            expected="(positions, features), kernels of 3 axes",
        )
    features, heads, d = input_shape[1], *given["query"].shape[1:]
    width, made = given["value"].shape[2], given["output"].shape[2]
    wanted: dict[str, Shape] = {
        "query": (features, heads, d),
        "key": (features, heads, d),
        "value": (features, heads, width),
        "output": (heads, width, made),
        "query_bias": (heads, d),
        "key_bias": (heads, d),
        "value_bias": (heads, width),
        "output_bias": (made,),
    }
    for name, values in given.items():
        if name not in wanted:
            raise DataError(name, got="an array", expected="one of " + ", ".join(wanted))
        if values.shape != wanted[name]:
            raise ShapeError(name, got=str(values.shape), expected=str(wanted[name]))
