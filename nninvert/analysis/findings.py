"""What is found about each layer of the file by itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Notice, Progress
from nninvert.layers import AffineRun, Block, Elementwise, Layer, LinearLayer, Node
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.factor import factorise
from nninvert.linalg.map import DenseMap, DiagonalMap, LinearMap
from nninvert.linalg.sparse import SparseMap
from nninvert.network import Network
from nninvert.outcome import Kind
from nninvert.result import ConditionEstimate, LayerFinding

Places = NDArray[np.int64]


def layer_findings(
    network: Network, context: Context, *, quick: bool
) -> tuple[LayerFinding, ...]:
    """Look at every layer: shape, rank, condition, whether it is one-to-one and why.

    Parameters
    ----------
    network : Network
    context : Context
        Keeps the factorisations; receives progress.
    quick : bool
        Structure only.
    """
    findings = []
    for position, group in enumerate(network.layers):
        context.emit(Progress("checking layers", position, len(network.layers)))
        findings.append(_finding(group, context, quick))
        _tell_condition(findings[-1], context)
    return tuple(findings)


def _tell_condition(found: LayerFinding, context: Context) -> None:
    """What is known about one of several large layers need not wait for the others."""
    shape = int(np.prod(found.output_shape)), int(np.prod(found.input_shape))
    if found.condition is None or tolerances.svd_is_cheap(shape):
        return
    relation = "at least" if found.condition.kind is Kind.LOWER_BOUND else "about"
    context.emit(
        Notice(
            f"layer {found.index} '{found.name}': condition {relation} "
            f"{found.condition.value:.1e} ({found.condition.method})"
        )
    )


def _finding(group: tuple[Node, ...], context: Context, quick: bool) -> LayerFinding:
    linear = [node.layer for node in group if isinstance(node.layer, LinearLayer)]
    others = [node.layer for node in group if not isinstance(node.layer, LinearLayer)]
    whole = None if not linear else linear[0] if len(linear) == 1 else AffineRun(linear)
    found = None if quick or whole is None else spectrum_of(whole, context)
    reasons = [] if whole is None else [linear_reason(whole, found)]
    reasons += [layer.facts.reason for layer in others]
    shape = None if whole is None else whole.linear_part[0].shape
    return LayerFinding(
        index=group[0].index,
        name=group[0].name,
        label=group[0].label,
        input_shape=group[0].layer.input_shape,
        output_shape=group[-1].layer.output_shape,
        activation=", ".join(activation_name(layer) for layer in others),
        parameters=sum(w.size for node in group for w in node.layer.weights().values()),
        square=None if shape is None else shape[0] == shape[1],
        rank=None if found is None else found.rank,
        full_rank=None if shape is None else min(shape),
        rank_stored=None if found is None else found.rank_stored,
        largest=None if found is None else found.largest,
        smallest=None if found is None else found.smallest,
        condition=None
        if found is None
        else ConditionEstimate(found.condition, found.kind, found.method),
        one_to_one=_both(linear_one_to_one(whole, found), others),
        reason="; ".join(reason for reason in reasons if reason),
    )


def spectrum_of(layer: LinearLayer, context: Context) -> Spectrum:
    """The spectrum of a linear layer, from its factorisation."""
    return factorise(layer.linear_part[0], context).spectrum()


def activation_name(layer: Layer) -> str:
    """What people call a non-linear layer: "tanh", "softmax"."""
    if isinstance(layer, Block):
        return "block"
    return layer.activation.name if isinstance(layer, Elementwise) else layer.kind


def linear_one_to_one(layer: LinearLayer | None, found: Spectrum | None) -> bool | None:
    """Whether a linear map is one-to-one; None where its rank is not known."""
    if layer is None:
        return True
    m, n = layer.linear_part[0].shape
    if n > m:
        return False
    return None if found is None or found.deficient is None else found.rank == n


def _both(linear: bool | None, others: list[Layer]) -> bool | None:
    values = [linear, *(layer.facts.one_to_one for layer in others)]
    if False in values:
        return False
    return None if None in values else True


def linear_reason(layer: LinearLayer, found: Spectrum | None) -> str:
    """Why a linear map is not one-to-one, or what is worth knowing; may be ""."""
    m, n = layer.linear_part[0].shape
    parts = []
    if n > m:
        parts.append(layer.facts.reason)
    if found is not None and found.deficient is None:
        parts.append(f"its rank is not known ({found.method})")
    elif found is not None and found.deficient:
        rank = "below full" if found.rank is None else f"{found.rank} of {min(m, n)}"
        parts.append(
            f"rank {rank} (smallest singular value {found.smallest:.1g}, largest "
            f"{found.largest:.1g}){_unread(layer)}"
        )
    elif (
        found is not None
        and found.rank_stored is not None
        and found.rank_stored < min(m, n)
    ):
        parts.append(
            f"rank {found.rank_stored} of {min(m, n)} at the precision in which the "
            "weights are stored"
        )
    return "; ".join(parts)


def _unread(layer: LinearLayer) -> str:
    """Name inputs that a singular map never reads and outputs that never vary."""
    weights = layer.parts if isinstance(layer, AffineRun) else (layer,)
    if len(weights) != 1:
        return ""
    linear_map = layer.linear_part[0]
    if isinstance(linear_map, DiagonalMap):
        zero = np.flatnonzero(linear_map.diagonal == 0.0)
        return f"; unit {_listed(zero)} is multiplied by zero" if zero.size else ""
    if isinstance(linear_map, ConvolutionMap | TransposedConvolutionMap):
        unread, constant = _zero_lines(linear_map)
        text = f"; input {_listed(unread)} is never read" if unread.size else ""
        return text + (f"; output {_listed(constant)} is constant" if constant.size else "")
    stored = isinstance(linear_map, DenseMap | SparseMap)
    if not stored and 8 * math.prod(linear_map.shape) > tolerances.SMALL_WEIGHTS:
        return ""
    unread, constant = _zero_lines(linear_map)
    text = ""
    if unread.size:
        text += (
            f"; row {_listed(unread)} of its kernel is zero: what comes in there is never "
            "read (pruned?)"
        )
    if constant.size:
        text += f"; column {_listed(constant)} of its kernel is zero: constant outputs"
    return text


def _zero_lines(linear_map: LinearMap) -> tuple[Places, Places]:
    """Columns and rows of zeros: inputs that are not read, outputs that are constant."""
    m, n = linear_map.shape
    if isinstance(linear_map, SparseMap):
        rows, columns = linear_map.matrix.triplets()
        used = linear_map.matrix.data != 0
        counts = (
            np.bincount(columns[used], minlength=n),
            np.bincount(rows[used], minlength=m),
        )
        return np.flatnonzero(counts[0] == 0), np.flatnonzero(counts[1] == 0)
    if 8 * m * n > tolerances.SMALL_WEIGHTS:
        # Random sums of the entries of a line are zero only if all of them are.
        random = np.random.default_rng(0)
        inputs = linear_map.adjoint(random.standard_normal((1, m)))[0]
        outputs = linear_map.apply(random.standard_normal((1, n)))[0]
        return np.flatnonzero(inputs == 0.0), np.flatnonzero(outputs == 0.0)
    matrix = np.abs(linear_map.dense())
    unread, constant = matrix.max(axis=0) == 0.0, matrix.max(axis=1) == 0.0
    return np.flatnonzero(unread), np.flatnonzero(constant)


def _listed(indices: Places) -> str:
    shown = ", ".join(str(int(k)) for k in indices[:5])
    return shown if indices.size <= 5 else f"{shown}, ... ({indices.size} in all)"
