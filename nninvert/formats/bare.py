"""Files of bare weights: matrices and biases, but neither activations nor architecture.

The user names the activations. Which axis of a matrix counts the outputs is told from
shapes that must follow one another and from biases; where square matrices leave it open,
custom decides and a note says so.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from nninvert.errors import FormatError, NninvertError, UsageError
from nninvert.formats._base import Reader
from nninvert.formats._building import build
from nninvert.formats._options import IN_OUT, ORIENTATIONS, OUT_IN, ReadOptions
from nninvert.formats._steps import Parsed, Place, chain
from nninvert.formats.bare_names import TEXTBOOK, BareLayer, BareWeights
from nninvert.layers import Dense, Elementwise, Layer, Shape
from nninvert.layers.activations import activation_from_text
from nninvert.layers.softmax import LogSoftmax, Softmax, SoftmaxLayer
from nninvert.network import Network

_SOFTMAX: dict[str, type[SoftmaxLayer]] = {
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
}

HIDDEN_TRIED = (
    "tanh",
    "relu",
    "sigmoid",
    "leaky_relu:0.01",
    "leaky_relu:0.2",
    "leaky_relu:0.3",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "silu",
    "gelu",
    "gelu_tanh",
    "linear",
)
"""Activations that `candidates` tries between layers, the commonest first."""

LAST_TRIED = ("linear", "sigmoid", "softmax", "tanh")
"""Activations that `candidates` tries at the end beside the hidden one."""


class BareReader(Reader):
    """A reader of a file of bare weights; subclasses collect the arrays."""

    @abstractmethod
    def collect(self, path: str) -> BareWeights:
        """Find the matrices and biases."""

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Chain the matrices; without `options.activations` none are put between."""
        try:
            return parsed_weights(self.collect(path), options)
        except NninvertError as error:
            raise error.at(file=path) from error

    def read(self, path: str, options: ReadOptions) -> Network:
        """Build the network.

        Raises
        ------
        UsageError
            If `options.activations` is missing; the message shows what to write.
        """
        parsed = self.parse(path, options)
        if options.activations is None:
            raise _no_activations(parsed, path)
        return build(parsed, path, options)

    def candidates(self, path: str) -> Iterator[tuple[ReadOptions, Network]]:
        """Every plausible reading of the file; see `nninvert.formats.candidates`."""
        try:
            weights = self.collect(path)
            best = choose(weights, None)
        except NninvertError as error:
            raise error.at(file=path) from error
        layers, preferred, _ = best
        for orientation in sorted(ORIENTATIONS, key=lambda key: key != preferred):
            if not _fits(layers, orientation):
                continue
            for activations in _combinations(len(layers)):
                options = ReadOptions(activations=activations, orientation=orientation)
                ordered = replace(weights, orders=(layers,))
                yield options, build(parsed_weights(ordered, options), path, options)


def parsed_weights(weights: BareWeights, options: ReadOptions) -> Parsed:
    """Chain matrices, biases and activations.

    Raises
    ------
    FormatError
        If the shapes cannot follow one another.
    UsageError
        For activations that are not known, or not as many as matrices.
    """
    layers, orientation, notes = choose(weights, options.orientation)
    texts = _activation_texts(options.activations, layers)
    steps = chain([Place(str(k), layer.name, "Dense") for k, layer in enumerate(layers)])
    built = []
    for step, layer, text in zip(steps, layers, texts, strict=True):
        matrix = layer.matrix if orientation == OUT_IN else layer.matrix.transposed
        dense = Dense((matrix.shape[1],), matrix, layer.bias)
        made: list[Layer] = [dense]
        if text is not None:
            made += activation_from_option(text, dense.output_shape)
        made_step = replace(step, arrays=layer.arrays).built(made)
        built.append(made_step if text else replace(made_step, activation="?"))
    return Parsed(
        format=weights.format,
        steps=tuple(built),
        outputs=(len(built) - 1,),
        notes=(*weights.notes, *notes),
    )


def activation_from_option(text: str, shape: Shape) -> list[Layer]:
    """The layers for one name of ``--activations``; none for "linear"."""
    if text in _SOFTMAX:
        return [_SOFTMAX[text](shape, -1)]
    activation = activation_from_text(text)
    return [] if activation.name == "linear" else [Elementwise(shape, activation)]


def choose(
    weights: BareWeights, wanted: str | None
) -> tuple[tuple[BareLayer, ...], str, list[str]]:
    """The order of the matrices and which way round they are, with notes on choices."""
    for order in weights.orders:
        possible = [key for key in ORIENTATIONS if _fits(order, key)]
        if wanted in possible:
            return order, str(wanted), _order_notes(weights, order)
        if wanted is None and possible:
            orientation, notes = _oriented(weights, possible)
            return order, orientation, [*notes, *_order_notes(weights, order)]
    raise _no_chain(weights, wanted)


def _fits(layers: Sequence[BareLayer], orientation: str) -> bool:
    """Whether each matrix takes what the one before gives, and biases are as long."""
    sizes = [_in_and_out(layer, orientation) for layer in layers]
    if any(left[1] != right[0] for left, right in pairwise(sizes)):
        return False
    return all(
        layer.bias is None or layer.bias.size == size[1]
        for layer, size in zip(layers, sizes, strict=True)
    )


def _in_and_out(layer: BareLayer, orientation: str) -> tuple[int, int]:
    first, second = layer.matrix.shape
    return (first, second) if orientation == IN_OUT else (second, first)


def _oriented(weights: BareWeights, possible: list[str]) -> tuple[str, list[str]]:
    custom = weights.orientation
    formula = {OUT_IN: "y = W x + b", IN_OUT: "y = x W + b"}
    if len(possible) > 1:
        other = IN_OUT if custom == OUT_IN else OUT_IN
        return custom, [
            f"the shapes fit both ways round; read as {custom}, {formula[custom]}, "
            f"because {weights.why}. The other way: --orientation {other}"
        ]
    found = possible[0]
    if found == custom or weights.why == TEXTBOOK:
        return found, []
    return found, [f"read as {found}, {formula[found]}: the shapes fit only this way"]


def _order_notes(weights: BareWeights, taken: tuple[BareLayer, ...]) -> list[str]:
    """Say the order where names do not number it and another would fit as well."""
    others = [
        order
        for order in weights.orders
        if order is not taken and any(_fits(order, key) for key in ORIENTATIONS)
    ]
    if not others:
        return []
    names = ", ".join(layer.name for layer in taken)
    return [f"taken in the order {names}; their names do not number them"]


def _activation_texts(
    option: str | None, layers: Sequence[BareLayer]
) -> list[str] | list[None]:
    """One text for each matrix."""
    if option is None:
        return [None] * len(layers)
    texts = [text.strip() for text in option.split(",")]
    if len(texts) == 1:
        return texts * len(layers)
    if len(texts) == len(layers):
        return texts
    raise UsageError(
        "--activations",
        got=f"{len(texts)}: {option}",
        expected=f"{len(layers)}, one for each matrix ({_shown(layers)}), or 1 for all",
    )


def _combinations(count: int) -> Iterator[str]:
    """Values of ``--activations`` for `count` matrices, the likelier first."""
    if count == 1:
        yield from dict.fromkeys((*LAST_TRIED, *HIDDEN_TRIED))
        return
    for hidden in HIDDEN_TRIED:
        for last in dict.fromkeys((hidden, *LAST_TRIED)):
            yield ",".join([hidden] * (count - 1) + [last])


def _shown(layers: Sequence[BareLayer]) -> str:
    return ", ".join(f"{layer.name} {layer.matrix.shape}" for layer in layers)


def _no_chain(weights: BareWeights, wanted: str | None) -> FormatError:
    """The shapes, and why they are no network."""
    shapes = ", ".join(
        f"{array.where} {array.shape}"
        for layer in weights.orders[0]
        for array in layer.arrays
    )
    turned = [key for key in ORIENTATIONS if _fits(weights.orders[0], key)]
    if wanted is not None and turned:
        return FormatError(
            "weights",
            got=f"{shapes} with --orientation {wanted}",
            expected=f"--orientation {turned[0]}: only that way they fit",
        )
    return FormatError(
        "weights",
        got=shapes,
        expected="matrices of which each takes what the one before gives, and biases as "
        "long as what is given",
        next_step="Branches, convolutions and recurrent layers need a format that has "
        "the architecture, as Keras HDF5.",
    )


def _no_activations(parsed: Parsed, path: str) -> UsageError:
    shapes = ", ".join(f"{step.name} {step.arrays[0].shape}" for step in parsed.steps)
    example = ",".join(["tanh"] * (len(parsed.steps) - 1) + ["linear"])
    return UsageError(
        "--activations",
        got=f"none for {len(parsed.steps)} matrices: {shapes}",
        expected="one for each matrix, or one for all",
        because="weights alone do not tell which activations stand between them",
        next_step=f"For example: --activations {shlex.quote(example)}",
        file=path,
    )
