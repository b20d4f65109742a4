"""Text attributes, in each of the ways in which they have been written, and numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nninvert.errors import FormatError, LimitError
from nninvert.hdf5._failure import reading

if TYPE_CHECKING:
    import h5py

MAX_NAMES = 65_536  # entries of one attribute; Keras splits at 64,512 bytes
MAX_NUMBERS = 32  # of one attribute: HDF5's largest count of axes
MAX_TEXT = 1 << 28  # bytes of one text; architectures seen stay below a thousandth


def attribute_text(node: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """A text attribute, or None where there is none of that name.

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        What the attribute belongs to.
    name : str
        The attribute's name.

    Returns
    -------
    str or None
        None if there is no such attribute; ``""`` if it holds nothing.

    Raises
    ------
    FormatError
        If it is not one UTF-8 text.
    LimitError
        If it is longer than any architecture.
    """
    texts = _attribute(node, name)
    if texts is None:
        return None
    if len(texts) > 1:
        raise _refusal(node, name, f"{len(texts)} values", "one text")
    return texts[0] if texts else ""


def attribute_names(node: h5py.Group | h5py.Dataset, name: str) -> list[str] | None:
    """A list of names, whole or split by Keras into ``name0``, ``name1``, ...

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        What the attribute belongs to.
    name : str
        For example ``layer_names`` or ``weight_names``.

    Returns
    -------
    list of str or None
        None where there is neither `name` nor ``name0``. An empty list is stored as an
        empty float64 array, and read as what it was.

    Raises
    ------
    FormatError
        If it is not a list of UTF-8 texts.
    LimitError
        If it has more entries than any network.
    """
    whole = _attribute(node, name)
    if whole is not None:
        return whole
    names: list[str] = []
    index = 0
    while (part := _attribute(node, f"{name}{index}")) is not None:
        names += part
        index += 1
    return names if index else None


def attribute_numbers(node: h5py.Group | h5py.Dataset, name: str) -> tuple[int, ...] | None:
    """An attribute of a few whole numbers, or None where there is none of that name.

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        What the attribute belongs to.
    name : str
        The attribute's name, for example ``shape``.

    Raises
    ------
    FormatError
        If it holds something else, or more than `MAX_NUMBERS`.
    """
    with reading(node, name):
        if name not in node.attrs:
            return None
        handle = node.attrs.get_id(name)
        shape, dtype = handle.shape, handle.dtype
    if shape is None or math.prod(shape) > MAX_NUMBERS or dtype.kind not in "iu":
        raise _refusal(node, name, f"type {dtype}, shape {shape}", "whole numbers")
    with reading(node, name):
        values = np.asarray(node.attrs[name]).reshape(-1)
    return tuple(int(value) for value in values)


def _attribute(node: h5py.Group | h5py.Dataset, name: str) -> list[str] | None:
    """All texts of one attribute; None if absent; [] if it holds nothing."""
    import h5py

    with reading(node, name):
        if name not in node.attrs:
            return None
        handle = node.attrs.get_id(name)
        shape, dtype = handle.shape, handle.dtype
    count = math.prod(shape) if shape is not None else 0
    if count == 0:
        return []
    text = h5py.check_string_dtype(dtype)
    if text is None:
        raise _refusal(node, name, f"type {dtype}", "text")
    if count > MAX_NAMES or (text.length or 0) * count > MAX_TEXT:
        raise LimitError(
            f"'{node.name}' > attribute '{name}'",
            got=f"{count:,} texts of type {dtype}",
            expected=f"at most {MAX_NAMES:,} texts and {MAX_TEXT:,} bytes",
            file=node.file.filename,
        )
    with reading(node, name):
        values = np.asarray(node.attrs[name]).reshape(-1).tolist()
    return [_decoded(node, name, value) for value in values]


def _decoded(node: h5py.Group | h5py.Dataset, name: str, value: object) -> str:
    """UTF-8, whichever of its forms h5py chose to hand over."""
    try:
        # h5py smuggles bytes that are not UTF-8 through str as lone surrogates.
        text = value.decode() if isinstance(value, bytes) else str(value)
        text.encode()
    except UnicodeError as error:
        raise _refusal(node, name, "bytes that are not UTF-8", "text") from error
    return text


def _refusal(
    node: h5py.Group | h5py.Dataset, name: str, got: str, expected: str
) -> FormatError:
    return FormatError(
        f"'{node.name}' > attribute '{name}'",
        got=got,
        expected=expected,
        file=node.file.filename,
    )
