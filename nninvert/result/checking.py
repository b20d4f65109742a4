"""The answer of ``check``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.outcome import Kind, Proof, RowStatus, Verdict
from nninvert.result.shared import Float64, KeptFactors, ModelSummary, Shape


@dataclass(frozen=True)
class ConditionEstimate:
    """A condition number that says what it is.

    Attributes
    ----------
    value : float
        May be inf.
    norm : str
        "2": the only norm that verdicts use.
    kind : Kind
    method : str
        "SVD", "diagonal", "Lanczos steps with LU factors", ...
    """

    value: float
    kind: Kind
    method: str
    norm: str = "2"


@dataclass(frozen=True)
class LayerFinding:
    """One layer of the file, seen by itself.

    Attributes
    ----------
    index, name, label : str
        0-based place, name and class in the file.
    input_shape, output_shape : tuple of int
    activation : str
        "" where there is none.
    parameters : int
    square : bool or None
        Of the linear part; None where there is none.
    rank, full_rank : int or None
        Numerical rank in float64 and the largest possible one; None where unknown
        (``--quick``), or where there is no linear part.
    rank_stored : int or None
        Rank at the spacing of the type in which the weights are stored; None, too, where
        that says nothing of a matrix of this size (float16 from 1,024 units on).
    largest, smallest : float or None
        Extreme singular values.
    condition : ConditionEstimate or None
    one_to_one : bool or None
        None: not decided.
    reason : str
        Why it is not one-to-one, or what is worth knowing; may be "".
    """

    index: str
    name: str
    label: str
    input_shape: Shape
    output_shape: Shape
    activation: str
    parameters: int
    square: bool | None
    rank: int | None
    full_rank: int | None
    rank_stored: int | None
    largest: float | None
    smallest: float | None
    condition: ConditionEstimate | None
    one_to_one: bool | None
    reason: str


@dataclass(frozen=True)
class Witness:
    """Two inputs with one output: a proof that the network is not one-to-one.

    Attributes
    ----------
    x1, x2 : float64 arrays, shape (n_in,)
    distance : float
        ||x1 - x2||.
    difference : float
        ||f(x1) - f(x2)||, at rounding level.
    """

    x1: Float64
    x2: Float64
    distance: float
    difference: float


@dataclass(frozen=True)
class DigitsReport:
    """How many decimal digits inversion costs.

    Attributes
    ----------
    weights : float
        log10 of the product of the condition numbers: an upper bound of what the linear
        parts can cost.
    kind : Kind
    jacobian : float64 array, shape (rows,), or None
        log10 of the condition number of the Jacobian at the given inputs or at the
        preimages of the given targets.
    jacobian_at : str
        "inputs", "targets" or "".
    """

    weights: float
    kind: Kind
    jacobian: Float64 | None = None
    jacobian_at: str = ""


@dataclass(frozen=True)
class TargetReport:
    """Whether each target can be reached, by pulling it back through the layers.

    Attributes
    ----------
    reachable : list of bool or None
        True: x was found and f(x) recomputed; False: proved that there is none; None:
        not decided by layers.
    status : tuple of RowStatus
    layer : tuple of (str, str) or None, per row
        Index and name of the layer whose range the row leaves.
    units : int array
        How many units of that layer lie outside.
    unit : int array
        The worst one; -1 where none.
    overshoot : float64 array
        Its distance from the range.
    value : float64 array
        The value needed there; NaN where none.
    residual : float64 array
        Largest |f(x) - y| at the best x.
    digits : float64 array
        Digits of x to trust; NaN where unknown.
    proof : tuple of Proof
    """

    reachable: tuple[bool | None, ...]
    status: tuple[RowStatus, ...]
    layer: tuple[tuple[str, str] | None, ...]
    units: NDArray[np.int64]
    unit: NDArray[np.int64]
    overshoot: Float64
    value: Float64
    residual: Float64
    digits: Float64
    proof: tuple[Proof, ...]


@dataclass(frozen=True)
class PairsReport:
    """How well f(X) agrees with Y.

    Attributes
    ----------
    rows : int
    largest, median : float
        Of the relative errors ||f(x) - y|| / ||y|| of the rows.
    largest_absolute : float
        Largest |f(x)_i - y_i|.
    per_output : float64 array, shape (n_out,)
        Root mean square error of each output.
    same : bool
        Whether they agree to the precision in which Y is stored: the file was read right.
    within : str
        Proposed value of ``--within`` for measured pairs: "3%"; "" where `same`.
    reading : str
        For bare weights, the combination of orientation and activations that fits best;
        "" where nothing had to be tried.
    tried : int
        How many combinations were tried.
    """

    rows: int
    largest: float
    median: float
    largest_absolute: float
    per_output: Float64
    same: bool
    within: str
    reading: str = ""
    tried: int = 1


@dataclass(frozen=True)
class CheckReport:
    """The answer of ``check``.

    Attributes
    ----------
    model : ModelSummary
    layers : tuple of LayerFinding
    verdict : Verdict
    deciding : (str, str) or None
        Index and name of the layer that decides the verdict; None where all do.
    sentence : str
        Why, for a person who is no specialist.
    image : str
        Which targets have an answer.
    witness : Witness or None
    digits : DigitsReport or None
    advice : tuple of str
        The smallest changes that would make the network invertible.
    ill_conditioned : tuple of (str, str)
        Layers above ``--max-condition``.
    max_condition : float or None
    target : TargetReport or None
    pairs : PairsReport or None
    quick : bool
        Structure only: no rank and no condition was computed.
    kept : KeptFactors or None
        Factors that are left on the disk.
    """

    model: ModelSummary
    layers: tuple[LayerFinding, ...]
    verdict: Verdict
    deciding: tuple[str, str] | None
    sentence: str
    image: str
    witness: Witness | None
    digits: DigitsReport | None
    advice: tuple[str, ...]
    ill_conditioned: tuple[tuple[str, str], ...] = ()
    max_condition: float | None = None
    target: TargetReport | None = None
    pairs: PairsReport | None = None
    quick: bool = False
    kept: KeptFactors | None = None
