"""Which arrays of a file of bare weights are matrices and biases, told from their names.

Nothing prescribes names. Seen in the wild: W1, b1; weights1, bias1; layer1_weights;
dec1_W; fc_1/kernel; 0.weight; arr_0, arr_1. A word for a matrix or a bias and the rest of
the name, which both share, is what they have in common.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._options import IN_OUT, OUT_IN
from nninvert.linalg.stored import StoredMatrix

MATRIX_WORDS = frozenset({"w", "weight", "weights", "kernel", "kernels"})
BIAS_WORDS = frozenset({"b", "bias", "biases"})
OTHER_LAYERS = frozenset({"gamma", "beta", "moving", "running", "recurrent", "u"})
"""Words that belong to normalisations and recurrent layers: leaving such arrays out would
read another function."""

TEXTBOOK = "textbooks write it so"
"""The reason where nothing in the file gives one."""

Key = tuple[tuple[bool, int, str], ...]


@dataclass(frozen=True)
class BareLayer:
    """A matrix and its bias.

    Attributes
    ----------
    name : str
        The matrix's name, or its layer's.
    arrays : tuple of StoredArray
        The matrix and, if there is one, the bias.
    matrix : StoredMatrix
        As stored, whichever way round it is.
    bias : array, shape (n,), or None
    """

    name: str
    arrays: tuple[StoredArray, ...]
    matrix: StoredMatrix
    bias: NDArray[np.generic] | None


@dataclass(frozen=True)
class BareWeights:
    """The layers of a file of bare weights.

    Attributes
    ----------
    format : str
        For people.
    orders : tuple of tuples of BareLayer
        One or two orders that the names allow, the likelier first.
    orientation : str
        Which way round the matrices probably are, where shapes leave it open.
    why : str
        What says so, for a note.
    notes : tuple of str
    """

    format: str
    orders: tuple[tuple[BareLayer, ...], ...]
    orientation: str
    why: str
    notes: tuple[str, ...] = ()


def tokens(name: str) -> list[str]:
    """Words and numbers of a name, lower case."""
    return [part.lower() for part in re.findall(r"[A-Za-z]+|\d+", name)]


def is_matrix_or_bias(name: str) -> bool:
    """Whether a name says that it is a matrix or a bias."""
    return bool((MATRIX_WORDS | BIAS_WORDS) & set(tokens(name)))


def _split(name: str) -> tuple[str, Key]:
    """Role, "matrix", "bias" or "", and the rest of the name in a form that sorts."""
    parts = tokens(name)
    for place in range(len(parts) - 1, -1, -1):
        word = parts[place]
        if word in MATRIX_WORDS or word in BIAS_WORDS:
            role = "matrix" if word in MATRIX_WORDS else "bias"
            return role, _key(parts[:place] + parts[place + 1 :])
    return "", _key(parts)


def _key(parts: Sequence[str]) -> Key:
    """Numbers by value, so that 2 comes before 10."""
    return tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part) for part in parts
    )


def bare_weights(
    arrays: Mapping[str, StoredArray], format_name: str, left_out: Sequence[str]
) -> BareWeights:
    """Pair matrices with biases.

    Parameters
    ----------
    arrays : mapping of str to StoredArray
        In the file's order.
    format_name : str
        For people.
    left_out : sequence of str
        What the reader set aside already, as it holds no numbers.

    Raises
    ------
    FormatError
        If no matrices are found, or something would have to be left out that changes the
        function.
    """
    roles = {name: _split(name) for name in arrays}
    if not any(role for role, _ in roles.values()):
        return _positional(arrays, format_name, left_out)
    matrices = {key: name for name, (role, key) in roles.items() if role == "matrix"}
    biases = {key: name for name, (role, key) in roles.items() if role == "bias"}
    if len(matrices) + len(biases) < sum(bool(role) for role, _ in roles.values()):
        raise _unclear(arrays, "two arrays with one role")
    if not set(biases) <= set(matrices):
        lone = next(name for key, name in biases.items() if key not in matrices)
        raise _unclear(arrays, f"the bias '{lone}' without a matrix of that name")
    others = [name for name, (role, _) in roles.items() if not role]
    for name in others:
        if OTHER_LAYERS & set(tokens(name)) and arrays[name].size > 1:
            raise _unclear(arrays, f"'{name}', which is no part of a Dense layer")
    made = {
        key: _layer(name, arrays[name], arrays.get(biases.get(key, "")), name)
        for key, name in matrices.items()
    }
    orientation, why = _hint(list(made.values()), list(matrices.values()))
    return BareWeights(
        format_name,
        _orders(made),
        orientation,
        why,
        left_out_note([*others, *left_out]),
    )


def _orders(made: Mapping[Key, BareLayer]) -> tuple[tuple[BareLayer, ...], ...]:
    """By number where every name has one; else as stored, then by name."""
    stored = tuple(made.values())
    natural = tuple(made[key] for key in sorted(made))
    numbered = all(any(not word for word, _, _ in key) for key in made)
    if numbered or natural == stored:
        return (natural,)
    return stored, natural


def _positional(
    arrays: Mapping[str, StoredArray], format_name: str, left_out: Sequence[str]
) -> BareWeights:
    """arr_0, arr_1, ... as ``numpy.savez(*model.get_weights())`` writes them."""
    if not arrays or not all(re.fullmatch(r"arr_\d+", name) for name in arrays):
        raise _unclear(arrays, "no names such as W1, b1 or kernel, bias")
    ordered = sorted(arrays.items(), key=lambda item: int(item[0][4:]))
    pairs: list[list[tuple[str, StoredArray]]] = []
    for name, array in ordered:
        if pairs and len(pairs[-1]) == 1 and _is_bias_of(array, pairs[-1][0][1]):
            pairs[-1].append((name, array))
        else:
            pairs.append([(name, array)])
    layers = tuple(
        _layer(pair[0][0], pair[0][1], pair[1][1] if pair[1:] else None, pair[0][0])
        for pair in pairs
    )
    return BareWeights(
        format_name,
        (layers,),
        IN_OUT,
        "arr_0, arr_1, ... is how lists of Keras weights are saved",
        left_out_note(left_out),
    )


def _is_bias_of(array: StoredArray, matrix: StoredArray) -> bool:
    """A vector, or a row as long as the matrix has columns and not itself a matrix."""
    if len(array.shape) == 1:
        return True
    return len(matrix.shape) == 2 and array.shape == (1, matrix.shape[1])


def bare_layer(name: str, arrays: Sequence[StoredArray]) -> BareLayer:
    """A layer of one or two arrays that a file puts together.

    Raises
    ------
    FormatError
        If they are not a matrix and a bias.
    """
    kernel, *rest = arrays
    if len(rest) > 1:
        shown = ", ".join(f"'{array.where}' {array.shape}" for array in arrays)
        raise _not_dense(name, shown)
    return _layer(name, kernel, rest[0] if rest else None, kernel.where)


def _layer(
    name: str, kernel: StoredArray, bias: StoredArray | None, where: str
) -> BareLayer:
    if len(kernel.shape) != 2 or 0 in kernel.shape or kernel.dtype.kind not in "iufV":
        raise _not_dense(name, f"'{where}' {kernel.shape} {kernel.dtype}")
    if bias is None:
        return BareLayer(name, (kernel,), kernel.matrix(), None)
    if bias.size != max(bias.shape, default=0) or bias.dtype.kind not in "iufV":
        raise _not_dense(name, f"'{bias.where}' {bias.shape} {bias.dtype}")
    vector = bias.read().reshape(-1)
    return BareLayer(name, (kernel, bias), kernel.matrix(), vector)


def _hint(layers: Sequence[BareLayer], names: Sequence[str]) -> tuple[str, str]:
    """Which way round matrices are by custom, and which custom."""
    shapes = [layer.arrays[1].shape for layer in layers if layer.bias is not None]
    if any(len(shape) == 2 and shape[0] == 1 < shape[1] for shape in shapes):
        return IN_OUT, "the biases are rows"
    if any(len(shape) == 2 and shape[1] == 1 < shape[0] for shape in shapes):
        return OUT_IN, "the biases are columns"
    if all("kernel" in tokens(name) for name in names):
        return IN_OUT, "a 'kernel' is stored like that by Keras"
    if all(name.endswith(".weight") for name in names):
        return OUT_IN, "a '.weight' is stored like that by torch"
    return OUT_IN, TEXTBOOK


def left_out_note(names: Sequence[str]) -> tuple[str, ...]:
    """Name what of the file is not part of the network."""
    if not names:
        return ()
    return (f"left out, as their names are not those of weights: {_some(names)}",)


def _some(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def _not_dense(name: str, got: str) -> FormatError:
    return FormatError(
        f"'{name}'",
        got=got,
        expected="a matrix and a bias vector",
        because="without an architecture only Dense layers can be read",
        next_step="Save the model with its architecture, as Keras HDF5.",
    )


def _unclear(arrays: Mapping[str, StoredArray], got: str) -> FormatError:
    held = _some([f"{name} {array.shape}" for name, array in arrays.items()])
    return FormatError(
        "weights",
        got=f"{got}; the file holds {held or 'no arrays of numbers'}",
        expected="matrices and biases whose names belong together",
        next_step="Save them as W1, b1, W2, b2, ... with y = W x + b.",
    )
