"""What every layer offers: forward, linearisation, facts, preimage, description.

Layers see arrays (batch, *shape) in float64. A layer is bound to its input shape when it
is constructed, so that its output shape, its linear map and its facts are properties, and
its preimage knows what to give back. Layers are immutable; those that are shared in a file
become several objects over the same stored weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers.activations import Interval
from nninvert.linalg.box import Box
from nninvert.linalg.map import LinearMap
from nninvert.linalg.stored import StoredMatrix

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]
Weights = Mapping[str, StoredMatrix | NDArray[np.generic]]


def size_of(shape: Shape) -> int:
    """How many numbers an array of this shape holds."""
    return math.prod(shape)


@dataclass(frozen=True)
class Facts:
    """What is true of a layer for every x, as far as its structure tells.

    Attributes
    ----------
    one_to_one : bool or None
        Different x give different y; None: it depends on the numbers (rank).
    onto : bool or None
        Every y is reached.
    image : tuple of Interval or None
        Elementwise range of y, disjoint and ascending; None where it is not elementwise.
    lost : int
        Dimensions of x that are lost whatever the weights are.
    reason : str
        Why it is not one-to-one, for people; "" where it is.
    """

    one_to_one: bool | None
    onto: bool | None
    image: tuple[Interval, ...] | None
    lost: int
    reason: str


@dataclass(frozen=True)
class Preimage:
    """What is known about the x of given y, for each row.

    Attributes
    ----------
    x : float64 array, shape (batch, *input_shape)
        One origin; where y has none, the origin of the nearest value of the image (for
        linear layers the least-squares solution of minimum norm). Always finite for
        finite y.
    radius : float64 array, shape of x
        How far x may move when y moves within the radius that was given with it, unit by
        unit, plus the rounding made here; `tolerances.RADIUS_CAP` where unbounded.
    outside : int array, shape (batch,)
        Number of units of y outside the image by more than their radius.
    overshoot : float64 array, shape (batch,)
        Largest distance of such a unit from the image; 0 where none.
    unit : int array, shape (batch,)
        Which unit that is (flat index into y); -1 where none.
    value : float64 array, shape (batch,)
        Its value; NaN where none.
    place : int array, shape (batch,)
        In a graph: index of the segment that y left, the last one on the way; else 0.
    proved : bool array, shape (batch,)
        Whether leaving the image proves that no value within the radius has an origin:
        everything later had exactly one way back.
    free : bool array, shape (batch, n_in), or None
        Entries of x of which only an interval is known; None: no entry.
    free_dimensions : int array, shape (batch,)
        Dimensions that the given values say nothing about: kernels of linear maps, and
        units of which only an interval is known.
    origins : float64 array, shape (batch,)
        log2 of the number of combinations of branches that reach y.
    """

    x: Float64
    radius: Float64
    outside: NDArray[np.int64]
    overshoot: Float64
    unit: NDArray[np.int64]
    value: Float64
    place: NDArray[np.int64]
    proved: NDArray[np.bool_]
    free: NDArray[np.bool_] | None
    free_dimensions: NDArray[np.int64]
    origins: Float64

    @property
    def unique(self) -> NDArray[np.bool_]:
        """Rows in which x is the only origin: nothing free, no other branch."""
        return np.asarray((self.origins == 0.0) & (self.free_dimensions == 0))

    @classmethod
    def of_inside(cls, x: Float64, radius: Float64, kernel: int = 0) -> Preimage:
        """A preimage of values that all lie in the image, `kernel` dimensions lost."""
        rows = x.shape[0]
        return cls(
            x=x,
            radius=radius,
            outside=np.zeros(rows, dtype=np.int64),
            overshoot=np.zeros(rows),
            unit=np.full(rows, -1, dtype=np.int64),
            value=np.full(rows, np.nan),
            place=np.zeros(rows, dtype=np.int64),
            proved=np.zeros(rows, dtype=np.bool_),
            free=None,
            free_dimensions=np.full(rows, kernel, dtype=np.int64),
            origins=np.zeros(rows),
        )

    @classmethod
    def stacked(cls, parts: Sequence[Preimage]) -> Preimage:
        """The rows of several, at least one, in order."""
        joined = {
            item.name: np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(cls)
            if item.name != "free"
        }
        free = None
        if any(part.free is not None for part in parts):
            free = np.concatenate([part._known_free() for part in parts])
        return cls(free=free, **joined)

    def _known_free(self) -> NDArray[np.bool_]:
        if self.free is not None:
            return self.free
        return np.zeros((len(self.x), size_of(self.x.shape[1:])), dtype=np.bool_)


class Linearization(ABC):
    """A layer, or a network, near one x of each row: y and the products with Jacobians.

    The products take any number of leading axes before the batch:
    (..., batch, *input_shape) to (..., batch, *output_shape) and back.

    Attributes
    ----------
    y : float64 array, shape (batch, *output_shape)
        The value at x, by the plain forward pass.
    """

    y: Float64

    @abstractmethod
    def jvp(self, dx: Float64) -> Float64:
        """J dx."""

    @abstractmethod
    def vjp(self, dy: Float64) -> Float64:
        """J^T dy."""

    @abstractmethod
    def magnitude(self, dx: Float64) -> Float64:
        """|J| |dx|: how far y can move when each x_i moves by up to |dx_i|."""

    @abstractmethod
    def solve(self, dy: Float64, context: Context) -> Float64:
        """A dx with J dx = dy, layer by layer.

        Exact for layers that are square and nonsingular; else each layer's least-squares
        solution of minimum norm. Where a slope is zero, so is the step.
        """

    def solve_roughly(self, dy: Float64, context: Context) -> Float64:
        """The same to a few digits, where that is cheaper: for error estimates."""
        return self.solve(dy, context)


class Layer(ABC):
    """One step of a network.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        Without the batch axis.
    kind : str
        Key in the registry `LAYERS`.
    """

    kind: ClassVar[str]
    input_shape: Shape

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of y without the batch axis."""

    @abstractmethod
    def forward(self, x: Float64) -> Float64:
        """Evaluate in float64, (batch, *input_shape) to (batch, *output_shape)."""

    @abstractmethod
    def linearize(self, x: Float64) -> Linearization:
        """Value and Jacobian products at x."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What the structure tells about invertibility."""

    @property
    def seen(self) -> LinearMap | None:
        """The projection P with f(x) = f(P x) that says what f sees of x; None: all."""
        return None

    @property
    def chooses(self) -> bool:
        """Whether `preimage` picks one of many x, so that a centre says which one.

        False for linear layers: whether they do, their rank says.
        """
        return False

    @abstractmethod
    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Invert each row; never raises because of the data.

        Parameters
        ----------
        y : float64 array, shape (batch, *output_shape)
            Finite.
        radius : float64 array, shape of y
            How far each unit may be off: rounding of the stored type, or the errors that
            the solves before made. A value outside the image by no more than that counts
            as lying on its edge.
        context : Context
            Holds the factorisations.
        inside : Box or None, default None
            Where x should lie, units flattened: the range of the layer before, or the
            bounds of the inputs. Layers that leave a choice, wide linear ones, take an x
            inside, near its centre; if there is none, y counts as outside. Without it the
            x of least norm is taken.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Parameters as JSON can hold them, without weights and input shape."""

    def weights(self) -> Weights:
        """Named arrays and matrices as stored; empty for layers without."""
        return {}

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Rebuild a layer from `config`, `weights` and its input shape."""


def capped(radius: Float64) -> Float64:
    """Error radii, those that stand for "anything" replaced by the largest one."""
    bounded = radius < tolerances.UNBOUNDED_RADIUS
    return np.where(bounded, radius, tolerances.RADIUS_CAP)
