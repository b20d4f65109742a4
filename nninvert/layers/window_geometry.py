"""From the options of layers with windows to where the windows lie.

Frameworks name the same few geometries by words, numbers and pairs of numbers; here they
become `Windows`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nninvert.errors import ShapeError
from nninvert.linalg.windows import Windows

Axes = tuple[int, ...]
Padding = str | Sequence[int | Sequence[int]]
"""A word, or for each axis the width before and after; one number stands for both."""

CHANNELS_LAST, CHANNELS_FIRST = "channels_last", "channels_first"


def split_shape(shape: Axes, data_format: str) -> tuple[Axes, int]:
    """Sizes of the spatial axes, and how many channels.

    Raises
    ------
    ShapeError
        Unless there are one to three spatial axes, and for another word.
    """
    if data_format not in (CHANNELS_LAST, CHANNELS_FIRST):
        raise ShapeError(
            "data_format",
            got=repr(data_format),
            expected=f"{CHANNELS_LAST!r} or {CHANNELS_FIRST!r}",
        )
    if not 2 <= len(shape) <= 4:
        raise ShapeError(
            "input shape",
            got=str(shape),
            expected="one to three spatial axes and one of channels",
        )
    if data_format == CHANNELS_LAST:
        return shape[:-1], shape[-1]
    return shape[1:], shape[0]


def with_channels(sizes: Axes, channels: int, data_format: str) -> Axes:
    """Undo `split_shape`."""
    first = data_format == CHANNELS_FIRST
    return (channels, *sizes) if first else (*sizes, channels)


def per_axis(value: int | Sequence[int], rank: int, field: str, least: int = 1) -> Axes:
    """One number for each axis; a single one counts for all.

    Raises
    ------
    ShapeError
        For another count, or a number below `least`.
    """
    found = (value,) * rank if isinstance(value, int) else tuple(int(k) for k in value)
    if len(found) != rank or min(found) < least:
        raise ShapeError(
            field,
            got=str(found),
            expected=f"{rank} whole number(s), {least} or more",
            because=f"there are {rank} spatial axes",
        )
    return found


def spans(kernel: Axes, dilation: Axes) -> Axes:
    """From the first to the last tap of a window, both counted."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def padding_pairs(
    padding: int | Sequence[int | Sequence[int]], rank: int
) -> tuple[Axes, Axes]:
    """Widths before and after, of explicit pairs or single numbers.

    Raises
    ------
    ShapeError
        For another count, or negative ones.
    """
    sides: list[Axes] = []
    for each in (padding,) * rank if isinstance(padding, int) else padding:
        pair = (each, each) if isinstance(each, int) else tuple(int(k) for k in each)
        sides.append(pair)
    if len(sides) != rank or any(len(p) != 2 or min(p) < 0 for p in sides):
        raise ShapeError(
            "padding",
            got=str(padding),
            expected=f"widths before and after for each of {rank} spatial axes, 0 or more",
        )
    return tuple(p[0] for p in sides), tuple(p[1] for p in sides)


def same_padding(sizes: Axes, span: Axes, strides: Axes) -> tuple[Axes, Axes]:
    """TensorFlow's "same": ceil(size / stride) windows, what is odd comes after."""
    totals = [
        max((-(-size // stride) - 1) * stride + k - size, 0)
        for size, k, stride in zip(sizes, span, strides, strict=True)
    ]
    before = tuple(total // 2 for total in totals)
    return before, tuple(t - b for t, b in zip(totals, before, strict=True))


MOST_PADDED, MOST_TIMES = 1 << 22, 64
"""Places of a padded grid: so many, or so many times those of the grid itself."""


def _require_room(sizes: Axes, before: Axes, after: Axes) -> None:
    """Refuse paddings that no memory holds, as those of a dilation by a million."""
    padded = math.prod(sum(axis) for axis in zip(before, sizes, after, strict=True))
    if padded > max(MOST_PADDED, MOST_TIMES * math.prod(sizes)):
        raise ShapeError(
            "padding",
            got=f"{padded:,} places of a grid of {sizes}",
            expected=f"at most {MOST_PADDED:,}, or {MOST_TIMES} times those of the grid",
        )


def windows_over(
    sizes: Axes,
    kernel: Axes,
    strides: Axes,
    dilation: Axes,
    padding: Padding | int,
    *,
    circular: bool = False,
) -> Windows:
    """Windows wherever a whole one fits into the padded grid.

    Parameters
    ----------
    sizes, kernel, strides, dilation : tuple of int
        One number for each axis.
    padding : str or sequence
        "valid" (none), "same" (TensorFlow's rule), "causal" (all before, one axis only),
        or widths.
    circular : bool, default False
        What the padding holds: the grid from its other end, not zeros.

    Raises
    ------
    ShapeError
        If no window fits, or the padding makes no sense.
    """
    span, rank = spans(kernel, dilation), len(sizes)
    if not isinstance(padding, str):
        before, after = padding_pairs(padding, rank)
    elif padding == "valid":
        before = after = (0,) * rank
    elif padding == "same":
        before, after = same_padding(sizes, span, strides)
    elif padding == "causal" and rank == 1:
        before, after = (span[0] - 1,), (0,)
    else:
        raise ShapeError(
            "padding",
            got=repr(padding),
            expected="'valid', 'same', 'causal' (one axis only) or widths",
        )
    _require_room(sizes, before, after)
    counts = tuple(
        (first + size + last - k) // stride + 1
        for first, size, last, k, stride in zip(
            before, sizes, after, span, strides, strict=True
        )
    )
    if min(counts) < 1:
        raise ShapeError(
            "kernel size",
            got=f"windows of {span}",
            expected=f"not larger than the padded input, {sizes} and {before}, {after}",
        )
    if circular and any(
        max(pair) > size for *pair, size in zip(before, after, sizes, strict=True)
    ):
        raise ShapeError(
            "padding",
            got=f"circular, {before} before and {after} after",
            expected=f"not wider than the input, {sizes}",
        )
    return Windows(sizes, counts, kernel, strides, dilation, before, after, circular)
