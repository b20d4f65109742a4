"""A network from NumPy arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nninvert.errors import DataError, FormatError, ShapeError, UsageError
from nninvert.formats._options import IN_OUT, ORIENTATIONS, OUT_IN
from nninvert.formats.bare import activation_from_option
from nninvert.layers import Dense, Elementwise, Graph, Layer, Node
from nninvert.layers.activations import Activation
from nninvert.linalg.compressed import PARTS, compressed
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix
from nninvert.network import Network, Source


@runtime_checkable
class SparseLike(Protocol):
    """A sparse matrix or array of SciPy, told without importing SciPy."""

    def tocsr(self) -> Any:
        """The same in compressed rows."""
        ...


LayerArrays = tuple[ArrayLike | SparseLike, ArrayLike | None, str | Activation | None]


def from_arrays(
    layers: Iterable[LayerArrays],
    *,
    orientation: str = OUT_IN,
    names: Sequence[str] | None = None,
) -> Network:
    """Build a network of Dense layers from arrays.

    Parameters
    ----------
    layers : iterable of (W, b, activation)
        W : array or SciPy sparse matrix, shape (n_out, n_in), or (n_in, n_out) for
        ``orientation="in,out"``. Not copied; not to be changed afterwards.
        b : array, shape (n_out,), or None.
        activation : str, Activation or None
        A name as in ``--activations`` ("tanh", "leaky_relu:0.1", "softmax"); None for
        linear.
    orientation : str, default "out,in"
        What the axes of W count: "out,in" for y = W x + b, "in,out" for y = x W + b.
    names : sequence of str or None, default None
        One for each layer; None: "dense", "dense_1", ...

    Raises
    ------
    UsageError
        For an unknown activation or orientation, or no layers.
    ShapeError
        If the arrays do not fit each other.
    DataError
        If they are not real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> net = from_arrays([([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0], None)])
    >>> net.forward(np.array([[1.0, 1.0]]))
    array([[3., 5.]])
    """
    if orientation not in ORIENTATIONS:
        raise UsageError(
            "orientation", got=repr(orientation), expected=" or ".join(ORIENTATIONS)
        )
    given = list(layers)
    if not given:
        raise UsageError("layers", got="none", expected="at least one")
    if names is None:
        names = ["dense" if k == 0 else f"dense_{k}" for k in range(len(given))]
    if len(names) != len(given):
        raise UsageError("names", got=str(len(names)), expected=str(len(given)))
    nodes: list[Node] = []
    for index, (name, (weights, bias, activation)) in enumerate(
        zip(names, given, strict=True)
    ):
        place = (index, name)
        kernel = _matrix(weights, place)
        vector = None if bias is None else _numbers(bias, 1, "b", place)
        matrix = kernel.transposed if orientation == IN_OUT else kernel
        try:
            dense = Dense((matrix.shape[1],), matrix, vector)
            made = [dense, *_activation(activation, dense)]
        except (ShapeError, UsageError) as error:
            raise error.at(layer=place) from error
        nodes += [Node(layer, str(index), name, "Dense") for layer in made]
    return Network.of_graph(Graph(nodes[0].layer.input_shape, nodes), Source())


def _activation(given: str | Activation | None, dense: Dense) -> list[Layer]:
    if given is None:
        return []
    if isinstance(given, Activation):
        return [Elementwise(dense.output_shape, given)]
    return activation_from_option(given, dense.output_shape)


def _matrix(given: ArrayLike | SparseLike, place: tuple[int, str]) -> StoredMatrix:
    """A dense matrix, or a sparse one where a SciPy matrix is given."""
    if not isinstance(given, SparseLike):
        return ArrayMatrix(_numbers(given, 2, "W", place))
    rows = given.tocsr()
    parts = {name: np.asarray(getattr(rows, name)) for name in PARTS["csr"]}
    try:
        return compressed("csr", parts, rows.shape, "W")
    except FormatError as error:
        raise DataError("W", got=error.got, expected=error.expected, layer=place) from error


def _numbers(
    given: ArrayLike, axes: int, field: str, place: tuple[int, str]
) -> NDArray[np.generic]:
    """An array of real numbers with so many axes."""
    array = np.asarray(given)
    if array.dtype.kind not in "iuf":
        raise DataError(
            field, got=f"type {array.dtype}", expected="real numbers", layer=place
        )
    if array.ndim != axes or array.size == 0:
        shape = "(n_out, n_in)" if axes == 2 else "(n_out,)"
        raise ShapeError(field, got=f"shape {array.shape}", expected=shape, layer=place)
    return array
