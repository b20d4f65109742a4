"""Whether a network is one-to-one, onto, both or neither: the verdict and its reasons.

Adjacent affine layers are fused first: 32 to 64 to 32 without an activation between is one
square map. What is claimed, and why it is true:

BIJECTIVE onto its image
    Every segment is one-to-one, and widths never change. The image is all of R^n only
    if every activation is onto R.
INJECTIVE
    Every segment is one-to-one on what can enter it, and some are taller.
SURJECTIVE
    Every linear segment has full row rank and every activation but the last is onto R.
NOT_INJECTIVE
    A witness pair, or the network is continuous and passes through fewer dimensions than
    its input has: a continuous one-to-one map of R^n into R^k needs k >= n (Brouwer,
    Math. Ann. 71, 1911, invariance of domain).
SINGULAR
    A square linear segment, reached by all values of an open set, has a singular value
    that counts as zero.
UNDECIDED
    A segment loses something; whether the network does is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nninvert.analysis.advice import smallest_changes
from nninvert.analysis.continuity import is_continuous
from nninvert.analysis.findings import (
    activation_name,
    layer_findings,
    linear_reason,
    spectrum_of,
)
from nninvert.analysis.starting_point import default_near
from nninvert.analysis.witness import find_witness
from nninvert.context import Context
from nninvert.layers import Elementwise, Layer, LinearLayer, Node, Segment
from nninvert.layers.projected import Projected
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factor import factorise
from nninvert.network import Network
from nninvert.outcome import Kind, Verdict
from nninvert.result import CheckReport, DigitsReport, LayerFinding, ModelSummary, Witness


@dataclass(frozen=True)
class _Piece:
    """A segment with what its numbers say; `spectrum` is None where not computed.

    `culprit` is the layer of a singular run that is to blame, with its own spectrum.
    `keeps_apart` says that no two values of the segment before differ by what this one
    does not see.
    """

    segment: Segment
    spectrum: Spectrum | None
    culprit: tuple[Node, Spectrum] | None = None
    keeps_apart: bool = False

    @property
    def is_linear(self) -> bool:
        return isinstance(self.segment.layer, LinearLayer)

    @property
    def sizes(self) -> tuple[int, int]:
        """(n_out, n_in)."""
        layer = self.segment.layer
        return int(np.prod(layer.output_shape)), int(np.prod(layer.input_shape))

    @property
    def rank(self) -> int:
        """Dimensions that pass; structural where no numbers are known."""
        n_out, n_in = self.sizes
        if self.spectrum is not None and self.spectrum.rank is not None:
            return self.spectrum.rank
        if self.singular:
            return min(n_out, n_in) - 1
        return min(n_out, n_in - self.segment.layer.facts.lost)

    @property
    def one_to_one(self) -> bool | None:
        facts = self.segment.layer.facts
        if not self.is_linear:
            return True if self.keeps_apart else facts.one_to_one
        if facts.lost:
            return False
        return None if not self.rank_is_known else self.rank == self.sizes[1]

    @property
    def rank_is_known(self) -> bool:
        return self.spectrum is not None and self.spectrum.deficient is not None

    @property
    def singular(self) -> bool:
        return self.spectrum is not None and self.spectrum.deficient is True

    @property
    def continuous(self) -> bool:
        return is_continuous(self.segment.layer)

    @property
    def place(self) -> tuple[str, str]:
        node = self.segment.main if self.culprit is None else self.culprit[0]
        return node.index, node.name

    @property
    def reason(self) -> str:
        layer, spectrum = self.segment.layer, self.spectrum
        if self.culprit is not None:
            layer, spectrum = self.culprit[0].layer, self.culprit[1]
        if isinstance(layer, LinearLayer):
            return linear_reason(layer, spectrum)
        return layer.facts.reason


@dataclass(frozen=True)
class _Decision:
    verdict: Verdict
    deciding: tuple[str, str] | None
    sentence: str
    witness: Witness | None = None


def check_network(
    network: Network,
    context: Context,
    *,
    quick: bool = False,
    max_condition: float | None = None,
) -> CheckReport:
    """Check every layer and decide about the network.

    Parameters
    ----------
    network : Network
    context : Context
    quick : bool, default False
        Structure only: no rank, no condition, weights are not even read.
    max_condition : float or None, default None
        Layers above it are listed in the report.

    Raises
    ------
    DataError
        If weights are NaN or infinite (not looked for with `quick`).
    """
    if not quick:
        network.require_finite()
    findings = layer_findings(network, context, quick=quick)
    pieces = _pieces(network.segments, context, quick)
    decision = _decide(network, pieces, context, quick)
    return CheckReport(
        model=summary(network),
        layers=findings,
        verdict=decision.verdict,
        deciding=decision.deciding,
        sentence=decision.sentence,
        image=_image(pieces, network, decision.verdict),
        witness=decision.witness,
        digits=None if quick else _digits(pieces),
        advice=smallest_changes(network, findings),
        ill_conditioned=_above(findings, max_condition),
        max_condition=max_condition,
        quick=quick,
    )


def _pieces(segments: Sequence[Segment], context: Context, quick: bool) -> list[_Piece]:
    found: list[_Piece] = []
    for segment in segments:
        piece = _piece(segment, context, quick)
        if found and _keeps_apart(found[-1], segment.layer, context):
            piece = replace(piece, keeps_apart=True)
        found.append(piece)
    return found


def _keeps_apart(before: _Piece, layer: Layer, context: Context) -> bool:
    """Whether a layer sees all that the values of the linear one before differ by.

    A softmax ignores a constant; behind a taller layer that is one-to-one even up to
    constants, this loses nothing.
    """
    linear, seen = before.segment.layer, layer.seen
    if seen is None or not isinstance(linear, LinearLayer) or before.one_to_one is not True:
        return False
    m, n = linear.linear_part[0].shape
    if m <= n:
        return False
    # The rank alone, from the factors that there are: no decomposition of large layers.
    return factorise(Projected(linear, seen).linear_part[0], context).rank == n


def _piece(segment: Segment, context: Context, quick: bool) -> _Piece:
    layer = segment.layer
    if quick or not isinstance(layer, LinearLayer):
        return _Piece(segment, None)
    found = spectrum_of(layer, context)
    if not found.deficient or len(segment.nodes) == 1:
        return _Piece(segment, found)
    return _Piece(segment, found, _culprit(segment, min(found.shape), context))


def _culprit(segment: Segment, full: int, context: Context) -> tuple[Node, Spectrum] | None:
    """The first layer of a run through which fewer than `full` dimensions pass."""
    for node in segment.nodes:
        if isinstance(node.layer, LinearLayer):
            own = spectrum_of(node.layer, context)
            if own.deficient or min(own.shape) < full:
                return node, own
    return None


def summary(network: Network) -> ModelSummary:
    """What was read, for headers."""
    return ModelSummary(
        path=network.source.path,
        format=network.source.format,
        dtype=network.dtype,
        parameters=network.parameters,
        input_shape=network.graph.input_shape,
        output_shape=network.graph.output_shape,
        notes=network.source.notes,
        input_parts=network.inputs.named_shapes,
        output_parts=network.outputs.named_shapes,
        output_names=network.output_names or (),
    )


def _decide(
    network: Network, pieces: list[_Piece], context: Context, quick: bool
) -> _Decision:
    n_in = network.n_in
    losing = [piece for piece in pieces if piece.one_to_one is False]
    if not losing:
        return _one_to_one(network, pieces, quick)
    if _onto(pieces) and not quick:
        first = losing[0]
        return _Decision(Verdict.SURJECTIVE, first.place, _about(first, n_in))
    singular = next((piece for piece in pieces if piece.singular), None)
    if singular is not None and _open_before(pieces, singular):
        n_out, n_in = singular.sizes
        if n_out == n_in:
            return _Decision(Verdict.SINGULAR, singular.place, _about(singular, n_in))
    narrow = min(pieces, key=lambda piece: piece.rank)
    continuous = all(piece.continuous for piece in pieces)
    if continuous and narrow.rank < n_in:
        first = next(piece for piece in pieces if piece.rank < n_in)
        alone = all(piece.one_to_one for piece in pieces if piece is not losing[0])
        others = ". The other layers lose nothing" if alone else ""
        witness = None if quick else _witness(network, context)
        return _Decision(
            Verdict.NOT_INJECTIVE, first.place, _about(first, n_in) + others, witness
        )
    witness = None if quick else _witness(network, context)
    first = losing[0]
    if witness is not None:
        return _Decision(Verdict.NOT_INJECTIVE, first.place, _about(first, n_in), witness)
    text = f"{_about(first, n_in)}; for the whole network it is not decided"
    return _Decision(Verdict.UNDECIDED, first.place, text)


def _one_to_one(network: Network, pieces: list[_Piece], quick: bool) -> _Decision:
    unknown = next((piece for piece in pieces if piece.one_to_one is None), None)
    if unknown is not None:
        square = all(piece.sizes[0] == piece.sizes[1] for piece in pieces)
        widths = "square layers" if square else "layers that never narrow"
        shapes = f"{widths} and one-to-one activations"
        sentence = (
            f"{shapes}; ranks were not computed"
            if quick
            else f"{_about(unknown, network.n_in)}"
        )
        return _Decision(Verdict.UNDECIDED, None if quick else unknown.place, sentence)
    taller = next((piece for piece in pieces if piece.sizes[0] > piece.sizes[1]), None)
    if taller is None:
        return _Decision(
            Verdict.BIJECTIVE, None, "all layers are square, nonsingular and one-to-one"
        )
    n_out, n_in = taller.sizes
    sentence = f"{_layer(taller)} widens {n_in} numbers to {n_out}: most y have no answer"
    return _Decision(Verdict.INJECTIVE, taller.place, sentence)


def _onto(pieces: list[_Piece]) -> bool:
    """Whether each segment is onto the whole domain of the next."""
    for position, piece in enumerate(pieces):
        if piece.is_linear:
            if not piece.rank_is_known or piece.rank != piece.sizes[0]:
                return False
        elif piece.segment.layer.facts.onto is not True and position < len(pieces) - 1:
            return False
    last = pieces[-1].segment.layer
    return isinstance(last, LinearLayer | Elementwise)


def _open_before(pieces: list[_Piece], wanted: _Piece) -> bool:
    """Whether all segments before map onto an open set, being square and one-to-one."""
    for piece in pieces:
        if piece is wanted:
            return True
        if piece.one_to_one is not True or piece.sizes[0] != piece.sizes[1]:
            return False
    return False


def _witness(network: Network, context: Context) -> Witness | None:
    return find_witness(network, default_near(network), context)


def _layer(piece: _Piece) -> str:
    index, name = piece.place
    return f"layer {index} '{name}'"


def _about(piece: _Piece, n_in: int) -> str:
    """Name a layer and what it loses of x, the network's `n_in` inputs."""
    if piece.singular:
        return f"{_layer(piece)}: {piece.reason}"
    m, n = piece.sizes
    if not piece.is_linear or n == n_in:
        return f"{_layer(piece)} {piece.reason}"
    # The reason of the layer counts directions of its own input.
    lost = f": at least {n_in - m} directions of x are lost" if m < n_in else ""
    return f"{_layer(piece)} maps {n} numbers to {m}{lost}"


def _image(pieces: list[_Piece], network: Network, verdict: Verdict) -> str:
    """Which targets have an answer, as a clause."""
    box = _box(pieces, network.n_out)
    if verdict is Verdict.SURJECTIVE:
        return box
    if verdict in (Verdict.INJECTIVE, Verdict.SINGULAR):
        return f"a part of {box}"
    if verdict is not Verdict.BIJECTIVE:
        return f"{box} or a part of it"
    hidden = [p for p in pieces[:-1] if not p.is_linear and not p.segment.layer.facts.onto]
    if not hidden:
        return box
    names = sorted({activation_name(p.segment.layer) for p in hidden})
    return (
        f"a part of {box}: hidden {', '.join(names)} layers bound it, so not every y in "
        "range has an answer"
    )


def _box(pieces: list[_Piece], n: int) -> str:
    """What the last layer's values lie in, as far as its structure tells."""
    image = None if pieces[-1].is_linear else pieces[-1].segment.layer.facts.image
    if image is None or image[0].is_everything:
        return f"R^{n}"
    text = " or ".join(str(interval) for interval in image)
    return f"{text}^{n}" if len(image) == 1 else f"({text})^{n}"


def _digits(pieces: list[_Piece]) -> DigitsReport:
    """log10 of the product of the condition numbers of the linear segments."""
    spectra = [piece.spectrum for piece in pieces if piece.spectrum is not None]
    exact = all(found.kind is Kind.EXACT for found in spectra)
    with np.errstate(divide="ignore"):
        lost = sum(float(np.log10(found.condition)) for found in spectra)
    return DigitsReport(lost, Kind.EXACT if exact else Kind.LOWER_BOUND)


def _above(
    findings: tuple[LayerFinding, ...], limit: float | None
) -> tuple[tuple[str, str], ...]:
    if limit is None:
        return ()
    return tuple(
        (found.index, found.name)
        for found in findings
        if found.condition is not None and found.condition.value > limit
    )
