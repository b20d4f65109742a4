"""Products of arrays summed over shared indices: MatMul of stacks of matrices, Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.values import RowsMixed, Shape, Signal, Value
from nninvert.layers import Contraction, EinsumDense, Layer

_LETTERS, _BATCH = ascii_letters[:-1], ascii_letters[-1]
"""The last letter stands for the batch and nothing else."""

Word = list[str]


def product(call: Call) -> list[Layer]:
    """MatMul of two signals, or of a signal and a stack of constant matrices."""
    if len(call.inputs) != 2:
        raise FormatError("MatMul", got=f"{len(call.inputs)} inputs", expected="2")
    shapes = [_shape(call, place) for place in (0, 1)]
    ranks = [len(shape) for shape in shapes]
    if min(ranks) < 1:
        raise FormatError("MatMul", got="a number", expected="arrays with axes")
    rows, summed, columns, *stack = list(_LETTERS[: max(*ranks, 2) + 1])
    left = [*stack[len(stack) - ranks[0] + 2 :], rows, summed]
    right = [*stack[len(stack) - ranks[1] + 2 :], summed, columns]
    out = [*stack, rows, columns]
    if ranks[0] == 1:
        left, out = [summed], [one for one in out if one != rows]
    if ranks[1] == 1:
        right, out = [summed], [one for one in out if one != columns]
    return _contracted(call, shapes, [left, right], out)


def einsum(call: Call) -> list[Layer]:
    """One signal permuted, or the product of two arrays."""
    shapes = [_shape(call, place) for place in range(len(call.inputs))]
    words, out = _words(call.attributes.text("equation", ""), shapes)
    if len(words) == 2:
        return _contracted(call, shapes, words, out)
    if len(words) > 2 or sorted(words[0]) != sorted(out):
        raise UnsupportedLayerError(
            "equation",
            got=call.attributes.text("equation", ""),
            expected="a product of two arrays, or a permutation",
        )
    if call.batched and out[0] != words[0][0]:
        raise RowsMixed("moves the batch")
    order = [words[0].index(letter) - call.rows for letter in out[call.rows :]]
    return call.chain.permute(order).layers


def _shape(call: Call, place: int) -> Shape:
    """All axes of the file; the batch counts as 1."""
    value = call.inputs[place]
    if isinstance(value, Signal):
        return (1, *value.shape) if value.rows else value.shape
    return call.constant(place, "factor").shape


def _words(equation: str, shapes: Sequence[Shape]) -> tuple[list[Word], Word]:
    """A letter for each axis, of the inputs and of the output."""
    given, arrow, after = equation.replace(" ", "").partition("->")
    texts = given.split(",")
    spread = max(
        [len(s) - len(t) + 3 for t, s in zip(texts, shapes, strict=False) if "..." in t],
        default=0,
    )
    if not arrow:
        letters = given.replace(".", "").replace(",", "")
        once = "".join(sorted(one for one in set(letters) if letters.count(one) == 1))
        after = ("..." if "..." in given else "") + once
    places: dict[str, str] = {}
    words: list[Word] = []
    for text in (*texts, after):
        before, dots, behind = text.partition("...")
        count = spread
        if len(words) < len(shapes):
            count = len(shapes[len(words)]) - len(before) - len(behind)
        axes = [f"{spread - count + k}" for k in range(count)] if dots else []
        found = [*before, *axes, *behind]
        words.append([places.setdefault(one, _LETTERS[len(places) % 51]) for one in found])
    fits = len(texts) == len(shapes) and all(
        len(word) == len(shape) == len(set(word))
        for word, shape in zip(words, shapes, strict=False)
    )
    if not fits or len(places) > len(_LETTERS):
        raise UnsupportedLayerError(
            "equation",
            got=repr(equation),
            expected=f"different letters for the axes of {list(shapes)}",
        )
    return words[:-1], words[-1]


def _contracted(
    call: Call, shapes: Sequence[Shape], words: Sequence[Word], out: Word
) -> list[Layer]:
    """The product of both inputs, of which one may be a constant."""
    sizes: dict[str, int] = {}
    for word, shape in zip(words, shapes, strict=True):
        for letter, size in zip(word, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    if call.batched:
        words, out = _without_batch(call, words, out)
    # An axis of length 1 that is repeated along the other array's is no axis.
    pairs = [
        [
            (letter, size)
            for letter, size in zip(word, shape[len(shape) - len(word) :], strict=True)
            if size == sizes[letter]
        ]
        for word, shape in zip(words, shapes, strict=True)
    ]
    left, right = ("".join(letter for letter, _ in pair) for pair in pairs)
    kept = [tuple(size for _, size in pair) for pair in pairs]
    made = "".join(out)
    if len(call.signals) == 2:
        return [Contraction(kept, f"{left},{right}->{made}")]
    turned = not isinstance(call.inputs[0], Signal)
    if turned:
        left, right = right, left
    kernel = call.values(1 - turned, "factor").reshape(kept[1 - turned])
    chain = Chain(call.signals[0].shape).reshape(kept[turned])
    equation = f"{_BATCH}{left},{right}->{_BATCH}{made}"
    return chain.then(EinsumDense(chain.shape, equation, kernel)).layers


def _without_batch(call: Call, words: Sequence[Word], out: Word) -> tuple[list[Word], Word]:
    """The same words less the first letter of all signals and of the output."""
    batch = out[0] if out else ""
    found = []
    for value, word in zip(call.inputs, words, strict=True):
        starts = word[:1] == [batch]
        one = isinstance(value, Signal) or (starts and _is_one(value))
        if isinstance(value, Signal) and not starts:
            raise RowsMixed("multiplies along the batch")
        left = word[1:] if one else word
        if batch in left:
            raise RowsMixed("has a factor for each row")
        found.append(left)
    return found, out[1:]


def _is_one(value: Value | None) -> bool:
    return isinstance(value, StoredArray) and value.shape[:1] == (1,)
