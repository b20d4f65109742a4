"""The parts of x and y: what a file calls its several inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nninvert.formats._description import PartDescription, PartialShape
from nninvert.formats._steps import Parsed
from nninvert.layout import Layout, part_names


def input_names(parsed: Parsed, sources: Sequence[int]) -> tuple[str, ...]:
    """The names of inputs by their numbers -1 - k; one alone has that of the format."""
    if len(sources) == 1:
        return parsed.names[:1]
    return part_names([parsed.input_names[-1 - source] for source in sources])


def output_names(parsed: Parsed, ends: Sequence[int]) -> tuple[str, ...]:
    """The names of outputs by the positions of their steps; one alone as for inputs."""
    if len(ends) == 1:
        return parsed.names[1:]
    if parsed.output_names and tuple(ends) == parsed.outputs:
        return part_names(parsed.output_names)
    return part_names(
        [parsed.steps[end].name if end >= 0 else parsed.names[1] for end in ends]
    )


def described_parts(
    parsed: Parsed,
) -> tuple[tuple[PartDescription, ...], tuple[PartDescription, ...]]:
    """The parts of x and of y, also where not every layer is known."""
    if parsed.layouts is not None:
        inputs, outputs = (_of_layout(layout) for layout in parsed.layouts)
        return inputs, outputs
    shapes = _input_shapes(parsed)
    sources = sorted(shapes, reverse=True)
    given = [shapes[source] for source in sources]
    made = [
        parsed.steps[end].output_shape if end >= 0 else shapes.get(end)
        for end in parsed.outputs
    ]
    return (
        _placed(input_names(parsed, sources), given),
        _placed(output_names(parsed, parsed.outputs), made),
    )


def _of_layout(layout: Layout) -> tuple[PartDescription, ...]:
    return _placed(
        [part.name for part in layout.parts], [part.shape for part in layout.parts]
    )


def _input_shapes(parsed: Parsed) -> dict[int, PartialShape | None]:
    """Of the inputs that something reads, as far as anything tells."""
    found: dict[int, PartialShape | None] = dict.fromkeys(
        end for end in parsed.outputs if end < 0
    )
    for step in parsed.steps:
        for source in step.sources:
            if source < 0 and found.get(source) is None:
                found[source] = step.input_shape if len(step.sources) == 1 else None
    if parsed.input_shapes is not None:
        found = {source: parsed.input_shapes[-1 - source] for source in found}
    return found


def _placed(
    names: Iterable[str], shapes: Iterable[PartialShape | None]
) -> tuple[PartDescription, ...]:
    """Parts one behind the other; where one is of unknown size, the next begin anywhere."""
    parts: list[PartDescription] = []
    start: int | None = 0
    for name, shape in zip(names, shapes, strict=True):
        parts.append(PartDescription(name, shape, start))
        size = parts[-1].size
        start = None if start is None or size is None else start + size
    return tuple(parts)
