""".nnet: a network with ReLU as text, with the scaling of its inputs and outputs.

Comments in ``//``; a line of the number of layers, inputs, outputs and the widest layer; a
line of all widths; a flag that is not used; lines of the inputs' least and greatest values,
of the means and of the ranges of all inputs and of the output; then for each layer its rows
of weights and its biases, one line each. Format: sisl/NNet, README, "File format of .nnet".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError
from nninvert.files import regular_size, unreadable
from nninvert.formats._base import Reader
from nninvert.formats._options import ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed, Place, Step, chain
from nninvert.layers import Dense, Elementwise, Layer, Rescaling
from nninvert.layers.activations import activation_from_text
from nninvert.linalg.stored import ArrayMatrix

Float64 = NDArray[np.float64]

MAX_TEXT_BYTES = 1 << 30
"""Text of more than a thousand million characters is a mistake, not a network."""

_COMMENT = "//"


class Nnet(Reader):
    """A network with ReLU in a .nnet file."""

    name = "NNet text"
    suffixes = (".nnet",)
    reads = "fully connected networks with ReLU, scaling of inputs and outputs included"

    def sniff(self, head: bytes, path: str) -> bool:
        """Comments, then a line of four whole numbers; or that line at once."""
        if not head.isascii():
            return False
        for line in head.decode("ascii").splitlines():
            if not line.startswith(_COMMENT):
                return _is_sizes(line)
        return head.startswith(_COMMENT.encode()) and path.lower().endswith(".nnet")

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read all of it: scale, layers, and the scale of the outputs back."""
        refuse_bare_options(path, options)
        try:
            return _parse(_Lines(path))
        except FormatError as error:
            raise error.at(file=path) from error


def _is_sizes(line: str) -> bool:
    parts = [part.strip() for part in line.strip().rstrip(",").split(",")]
    return len(parts) == 4 and all(part.isdecimal() for part in parts)


class _Lines:
    """The lines that are no comments, each as numbers."""

    def __init__(self, path: str) -> None:
        size = regular_size(path)
        if size > MAX_TEXT_BYTES:
            raise LimitError(
                "", got=f"{size:,} bytes of text", expected=f"at most {MAX_TEXT_BYTES:,}"
            )
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                self._lines = stream.read().splitlines()
        except OSError as error:
            raise unreadable(path, error) from error
        self._numbered = self._counted()

    def _counted(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self._lines, 1):
            if line.strip() and not line.startswith(_COMMENT):
                yield number, line

    def numbers(self, what: str, count: int | None = None) -> Float64:
        """The next line: `count` numbers with commas between them, or any number."""
        number, line = next(self._numbered, (len(self._lines), ""))
        parts = [part for part in line.strip().rstrip(",").split(",") if part.strip()]
        try:
            found = np.array([float(part) for part in parts], dtype=np.float64)
        except ValueError as error:
            raise FormatError(
                f"line {number}", got=f"{line[:40]!r}", expected=f"numbers: {what}"
            ) from error
        if not found.size or (count is not None and found.size != count):
            raise FormatError(
                f"line {number}",
                got=f"{found.size} numbers",
                expected=f"{count or 'some'}: {what}",
            )
        return found

    def wholes(self, what: str, count: int) -> list[int]:
        """The same for whole numbers of 1 or more."""
        found = self.numbers(what, count)
        whole = np.isfinite(found) & (found == np.round(found))
        if not whole.all() or (found < 1).any():
            raise FormatError(what, got=str(found), expected="whole numbers")
        return [int(n) for n in found]


def _parse(lines: _Lines) -> Parsed:
    count, n_in, n_out, _ = lines.wholes("layers, inputs, outputs, widest", 4)
    sizes = lines.wholes("widths", count + 1)
    if (sizes[0], sizes[-1]) != (n_in, n_out):
        raise FormatError(
            "widths", got=f"{sizes[0]} to {sizes[-1]}", expected=f"{n_in} to {n_out}"
        )
    lines.numbers("a flag that is not used")
    lower = lines.numbers("least inputs", n_in)
    upper = lines.numbers("greatest inputs", n_in)
    means = lines.numbers("means of the inputs and of the output", n_in + 1)
    ranges = lines.numbers("ranges of the inputs and of the output", n_in + 1)
    if (ranges == 0.0).any():
        raise FormatError("ranges", got="0", expected="positive numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        factor, shift = 1.0 / ranges[:-1], -means[:-1] / ranges[:-1]
    if not (np.isfinite(factor) & np.isfinite(shift)).all():
        expected = "means and ranges with quotients that are numbers"
        raise FormatError("ranges", got=_shown(ranges), expected=expected)
    built: list[tuple[Place, list[Layer]]] = [
        (
            Place("0", "scale", "Normalization"),
            [Rescaling((n_in,), factor, shift)],
        )
    ]
    for k, (width, height) in enumerate(pairwise(sizes)):
        rows = [lines.numbers(f"weights of layer {k}", width) for _ in range(height)]
        bias = np.array([lines.numbers(f"bias of layer {k}", 1)[0] for _ in range(height)])
        layers: list[Layer] = [Dense((width,), ArrayMatrix(np.array(rows)), bias)]
        if k < count - 1:
            layers.append(Elementwise((height,), activation_from_text("relu")))
        built.append((Place(str(k + 1), f"layer_{k}", "Dense"), layers))
    scale = np.full(n_out, ranges[-1]), np.full(n_out, means[-1])
    last = Place(str(count + 1), "scale_back", "Normalization")
    built.append((last, [Rescaling((n_out,), *scale)]))
    steps: list[Step] = [
        replace(step, input_shape=layers[0].input_shape).built(layers)
        for step, (_, layers) in zip(
            chain([place for place, _ in built]), built, strict=True
        )
    ]
    note = (
        f"the file is meant for inputs from {_shown(lower)} to {_shown(upper)}; keep them "
        "there with --lower and --upper"
    )
    return Parsed(Nnet.name, tuple(steps), (len(steps) - 1,), notes=(note,))


def _shown(values: Float64) -> str:
    return ",".join(f"{value:g}" for value in values)
