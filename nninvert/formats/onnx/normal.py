"""Normalisations that exporters wrote in parts: mean, difference, mean square, root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.attributes import Attributes
from nninvert.formats.onnx.records import NodeRecord
from nninvert.formats.onnx.values import Value

Makers = Mapping[str, NodeRecord]
ValueOf = Callable[[str], Value | None]

LEAST_NORM = 1e-12
"""Stands for the norm of a row of zeros, which operators without a floor leave open."""

_INPUTS = {
    "Add": 2,
    "Clip": 1,
    "Div": 2,
    "Expand": 1,
    "Max": 1,
    "Mul": 2,
    "Pow": 2,
    "Reciprocal": 1,
    "ReduceL2": 1,
    "ReduceMean": 1,
    "Sqrt": 1,
    "Sub": 2,
}


@dataclass(frozen=True)
class Normalised:
    """``(x - mean) / sqrt(variance + epsilon)``, or the same without the mean.

    Of what is divided by its length, `epsilon` is the least one.

    Attributes
    ----------
    name : str
        Of the value x.
    axes : tuple of int
        As the file counts them.
    epsilon : float
    centred : bool
    """

    name: str
    axes: tuple[int, ...]
    epsilon: float
    centred: bool


def passed_on(node: NodeRecord, makers: Makers) -> str | None:
    """The name of a softmax's output that the node does nothing to.

    ``Where(IsNaN(p), constant, p)`` is there for rows that see nothing; a sum that is 1
    already divides nothing.
    """
    if not node.inputs:
        return None
    kept = makers.get(node.inputs[-1])
    if kept is None:
        return None
    softmax = not kept.domain and kept.op_type == "Softmax"
    if (node.domain, node.op_type) == ("", "Where") and len(node.inputs) == 3 and softmax:
        test = makers.get(node.inputs[0])
        if test is None or (test.domain, test.op_type) != ("", "IsNaN"):
            return None
        return node.inputs[2] if test.inputs == node.inputs[2:] else None
    if (node.domain, node.op_type) == ("ai.onnx.ml", "Normalizer"):
        scores = (kept.domain, kept.op_type) == ("ai.onnx.ml", "LinearClassifier")
        softmax = scores and Attributes(kept).text("post_transform", "NONE") == "SOFTMAX"
        is_one = softmax and Attributes(node).text("norm", "MAX") == "L1"
        return node.inputs[0] if is_one else None
    return None


class Normalisations:
    """Looks at the nodes before one that divides.

    Parameters
    ----------
    makers : mapping of str to NodeRecord
        Which node makes each value.
    value_of : callable
        The value of a name; None where it is not known.
    """

    def __init__(self, makers: Makers, value_of: ValueOf) -> None:
        self._makers, self._value_of = makers, value_of

    def ending_with(self, node: NodeRecord) -> Normalised | None:
        """What the node is the last part of; None if it is of nothing known."""
        if node.domain or node.op_type not in ("Div", "Mul") or len(node.inputs) != 2:
            return None
        for place in (0, 1) if node.op_type == "Mul" else (0,):
            top, bottom = node.inputs[place], node.inputs[1 - place]
            under = self._root(bottom, inverted=node.op_type == "Mul")
            if under is None:
                continue
            found = self._mean_square(under)
            if found is None or found[0] != top:
                continue
            _, axes, epsilon = found
            origin = self._centred(top, axes)
            if origin is not None:
                return Normalised(origin, axes, epsilon, centred=True)
            return Normalised(top, axes, epsilon, centred=False)
        return None

    def unit_ending_with(self, node: NodeRecord) -> Normalised | None:
        """For ``x / max(||x||, floor)``: x, its axes, and the floor as `epsilon`."""
        if node.domain or node.op_type != "Div" or len(node.inputs) != 2:
            return None
        top, bottom = node.inputs
        wide = self._made_by(bottom, "Expand")
        bottom = bottom if wide is None else wide.inputs[0]
        floor = 0.0
        bounded = self._made_by(bottom, "Clip", "Max")
        if bounded is not None:
            bottom = bounded.inputs[0]
            least = self._number(bounded.inputs[1]) if len(bounded.inputs) > 1 else None
            if least is None or any(bounded.inputs[2:]):
                return None
            floor = least
        length = self._made_by(bottom, "ReduceL2")
        axes = None if length is None or length.inputs[0] != top else self._axes(length)
        if axes is None or floor < 0.0:
            return None
        return Normalised(top, axes, floor or LEAST_NORM, centred=False)

    def _made_by(self, name: str, *kinds: str) -> NodeRecord | None:
        """The node behind a name, if it is one of these with all its inputs."""
        maker = self._makers.get(name)
        if maker is None or maker.domain or maker.op_type not in kinds:
            return None
        return maker if len(maker.inputs) >= _INPUTS[maker.op_type] else None

    def _number(self, name: str) -> float | None:
        value = self._value_of(name)
        if (
            isinstance(value, StoredArray)
            and value.size == 1
            and value.dtype.kind in "fiuV"
        ):
            return float(value.read().reshape(()).item())
        return None

    def _root(self, name: str, inverted: bool) -> str | None:
        """The value that stands under the root; `inverted`: under 1 / root."""
        if inverted:
            turned = self._made_by(name, "Reciprocal")
            if turned is not None:
                return self._root(turned.inputs[0], inverted=False)
            turned = self._made_by(name, "Div")
            if turned is not None and self._number(turned.inputs[0]) == 1.0:
                return self._root(turned.inputs[1], inverted=False)
        maker = self._made_by(name, "Sqrt")
        if maker is not None and not inverted:
            return maker.inputs[0]
        maker = self._made_by(name, "Pow")
        power = -0.5 if inverted else 0.5
        if maker is not None and self._number(maker.inputs[1]) == power:
            return maker.inputs[0]
        return None

    def _mean_square(self, name: str) -> tuple[str, tuple[int, ...], float] | None:
        """For ``mean(u^2) + epsilon``: the name of u, the axes, epsilon."""
        total = self._made_by(name, "Add")
        if total is None or len(total.inputs) != 2:
            return None
        for place in (0, 1):
            epsilon = self._number(total.inputs[1 - place])
            mean = self._made_by(total.inputs[place], "ReduceMean")
            if epsilon is None or epsilon <= 0.0 or mean is None:
                continue
            axes = self._axes(mean)
            square = self._square(mean.inputs[0])
            if axes is not None and square is not None:
                return square, axes, epsilon
        return None

    def _square(self, name: str) -> str | None:
        maker = self._made_by(name, "Mul", "Pow")
        if maker is None or len(maker.inputs) != 2:
            return None
        base, other = maker.inputs
        if maker.op_type == "Mul":
            return base if base == other else None
        return base if self._number(other) == 2.0 else None

    def _centred(self, name: str, axes: tuple[int, ...]) -> str | None:
        """The value whose mean along the same axes was subtracted."""
        maker = self._made_by(name, "Sub")
        mean = self._made_by(maker.inputs[1], "ReduceMean") if maker is not None else None
        if maker is None or mean is None or mean.inputs[0] != maker.inputs[0]:
            return None
        return maker.inputs[0] if self._axes(mean) == axes else None

    def _axes(self, mean: NodeRecord) -> tuple[int, ...] | None:
        """Along which axes a mean is taken that keeps them; None where not stated."""
        attributes = Attributes(mean)
        if not attributes.whole("keepdims", 1):
            return None
        if len(mean.inputs) < 2:
            return attributes.wholes("axes")
        stated = self._value_of(mean.inputs[1])
        if not isinstance(stated, StoredArray) or stated.dtype.kind not in "iu":
            return None
        return tuple(int(axis) for axis in stated.read().ravel()[:32])
