"""Operators that are affine in their signal: products with matrices, scale and shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import DataError, FormatError, UnsupportedLayerError
from nninvert.formats._arrays import PieceArray, StoredArray
from nninvert.formats.onnx.call import MAX_PARAMETERS, Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.operators.products import product
from nninvert.formats.onnx.tensors import MadeArray, small
from nninvert.formats.onnx.values import RowsMixed, Value
from nninvert.layers import BatchNormalization, Layer, size_of
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

EPSILON = 1e-5
"""Of all normalisations, where the node says none."""


def gemm(call: Call) -> list[Layer]:
    """``alpha A' B' + beta C``, one of A and B a constant matrix."""
    first = call.inputs[0]
    turned = (
        bool(call.attributes.whole("transA", 0)),
        bool(call.attributes.whole("transB", 0)),
    )
    alpha = call.attributes.number("alpha", 1.0)
    if isinstance(first, StoredArray):
        if call.batched:
            raise RowsMixed("multiplies from the left")
        matrix = _matrix(call.constant(0, "A"), not turned[0], alpha)
        chain = Chain(call.last_signal.shape)
        if len(chain.shape) != 2:
            raise FormatError("B", got=f"{len(chain.shape)} axes", expected="2")
        if not turned[1]:
            chain.permute((1, 0))
        chain.dense(matrix, None).permute((1, 0))
        return _plus(call, chain)
    chain = call.chain
    if call.rank() != 2:
        raise FormatError(
            "A", got=f"{call.rank()} axes", expected="2", because="Gemm has matrices"
        )
    if turned[0]:
        if call.batched:
            raise RowsMixed("transposes the batch")
        chain.permute((1, 0))
    matrix = _matrix(call.constant(1, "B"), turned[1], alpha)
    if call.has(2):
        bias = _bias(call, matrix.shape[0])
        if bias is not None:
            return chain.dense(matrix, bias).layers
    return _plus(call, chain.dense(matrix, None))


def _bias(call: Call, width: int) -> NDArray[np.generic] | None:
    """C as a bias in its stored type; None where it is no row of `width` numbers."""
    stored = call.constant(2, "C")
    beta = call.attributes.number("beta", 1.0)
    if stored.size not in (1, width) or stored.shape[:-1].count(1) < len(stored.shape) - 1:
        return None
    values = small(stored, MAX_PARAMETERS, "C").reshape(-1)
    if beta != 1.0:
        values = beta * values.astype(np.float64)
    return values if values.size == width else np.repeat(values, width)


def _plus(call: Call, chain: Chain) -> list[Layer]:
    """C of any shape that broadcasts to the product."""
    if call.has(2):
        beta = call.attributes.number("beta", 1.0)
        shift, shape = call.aligned(beta * call.numbers(2, "C"), chain.shape)
        if shape != chain.shape:
            raise FormatError("C", got=str(shift.shape), expected=str(chain.shape))
        chain.affine(1.0, shift)
    return chain.layers


def _matrix(array: StoredArray, out_first: bool, alpha: float = 1.0) -> StoredMatrix:
    """(n_out, n_in) from a stored matrix; it is copied only where alpha scales it."""
    if len(array.shape) != 2:
        raise FormatError(
            f"'{array.where}'", got=f"shape {array.shape}", expected="a matrix"
        )
    if array.dtype.kind not in "fV":
        raise UnsupportedLayerError("", got=f"'{array.where}' holds {array.dtype}")
    if not array.size:
        raise UnsupportedLayerError("", got=f"'{array.where}' has no numbers")
    matrix = array.matrix()
    if alpha != 1.0:
        matrix = ArrayMatrix(alpha * matrix.to_float64())
    return matrix if out_first else matrix.transposed


def _flat_matrix(array: StoredArray) -> StoredArray:
    """A stack of one matrix as a matrix, a vector as a column."""
    shape = array.shape
    if len(shape) == 2:
        return array
    wanted = shape[-2:] if len(shape) > 2 else (size_of(shape), 1)
    if isinstance(array, PieceArray):
        return array.reshaped(wanted)
    return MadeArray(array.read().reshape(wanted), array.where)


def _stacked(value: Value | None) -> bool:
    return isinstance(value, StoredArray) and size_of(value.shape[:-2]) > 1


def matmul(call: Call) -> list[Layer]:
    """A product with a constant matrix, from the right or from the left."""
    if len(call.signals) > 1 or any(_stacked(one) for one in call.inputs):
        return product(call)
    if isinstance(call.inputs[0], StoredArray):
        return _from_left(call)
    chain = call.chain
    weights = call.constant(1, "matrix")
    if call.rank() < 2 and call.batched:
        raise RowsMixed("multiplies along the batch")
    chain.dense(_matrix(_flat_matrix(weights), False), None)
    if len(weights.shape) == 1:
        chain.reshape(chain.shape[:-1])
    return chain.layers


def _from_left(call: Call) -> list[Layer]:
    """W x with x a vector, a matrix, or a stack of matrices."""
    weights = call.constant(0, "matrix")
    signal = call.last_signal
    if call.batched and len(signal.shape) < 2:
        raise RowsMixed("multiplies from the left")
    if len(weights.shape) == 1:
        raise UnsupportedLayerError("", got="a vector from the left")
    matrix = _matrix(_flat_matrix(weights), True)
    chain = Chain(signal.shape)
    if len(signal.shape) == 1:
        return chain.dense(matrix, None).layers
    swapped = list(range(len(signal.shape)))
    swapped[-2:] = swapped[:-3:-1]
    return chain.permute(swapped).dense(matrix, None).permute(swapped).layers


def scaled(call: Call, scale: object, offset: object) -> list[Layer]:
    """``scale x + offset``, each as it broadcasts."""
    chain = call.chain
    factors, first = call.aligned(np.asarray(scale), chain.shape)
    shifts, second = call.aligned(np.asarray(offset), chain.shape)
    return chain.stretch(np.broadcast_shapes(first, second)).affine(factors, shifts).layers


def reciprocal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / values.

    Raises
    ------
    DataError
        If one of them is zero.
    """
    if not values.all():
        raise DataError("divisor", got="0", expected="numbers that can be divided by")
    return np.asarray(1.0 / values)


def batch_normalization(call: Call) -> list[Layer]:
    """Stored mean and variance along axis 1."""
    if call.attributes.whole("training_mode", 0):
        raise UnsupportedLayerError(
            "training_mode", got="1", expected="0: else rows depend on each other"
        )
    if not call.attributes.whole("spatial", 1):
        raise UnsupportedLayerError("spatial", got="0", expected="1")
    axis = call.axis(1) if call.rank() > 1 else call.axis(0)
    names = ("gamma", "beta", "mean", "variance")
    parameters = {name: call.values(k, name) for k, name in enumerate(names, 1)}
    epsilon = call.attributes.number("epsilon", EPSILON)
    chain = call.chain
    return chain.then(BatchNormalization(chain.shape, parameters, epsilon, (axis,))).layers
