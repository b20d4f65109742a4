"""Results made by hand, with fixed figures, for the tests of what is shown."""

from dataclasses import replace

import numpy as np

from nninvert.forecast import Forecast, LayerForecast, Machine
from nninvert.outcome import Kind, Proof, RowStatus, Uniqueness, Verdict
from nninvert.result import (
    Answers,
    CheckReport,
    ConditionEstimate,
    DigitsReport,
    Family,
    InversionResult,
    KeptFactors,
    LayerFinding,
    ModelSummary,
    PairsReport,
    Plan,
    PlanStep,
    SolveSummary,
    TargetReport,
    Witness,
)

MODEL = ModelSummary(
    path="camera.h5",
    format="Keras 3 HDF5",
    dtype="float32",
    parameters=12480,
    input_shape=(64,),
    output_shape=(64,),
    notes=(),
)

SVD = "SVD"


def layer(index, name, cond, **changes):
    """A square tanh layer without faults."""
    found = LayerFinding(
        index=str(index),
        name=name,
        label="Dense",
        input_shape=(64,),
        output_shape=(64,),
        activation="tanh",
        parameters=4160,
        square=True,
        rank=64,
        full_rank=64,
        rank_stored=64,
        largest=4.0,
        smallest=4.0 / cond,
        condition=ConditionEstimate(cond, Kind.EXACT, SVD),
        one_to_one=True,
        reason="",
    )
    return replace(found, **changes)


CHECK = CheckReport(
    model=MODEL,
    layers=(
        layer(0, "dense", 263.0),
        layer(1, "dense_1", 118.0),
        layer(2, "dense_2", 66.96),
    ),
    verdict=Verdict.BIJECTIVE,
    deciding=None,
    sentence="every layer is square, nonsingular and ends in tanh",
    image="a part of (-1, 1)^64: hidden tanh layers bound it, so not every y in range "
    "has an answer.",
    witness=None,
    digits=DigitsReport(weights=6.3, kind=Kind.EXACT),
    advice=(),
)

LOSSY = replace(
    CHECK,
    layers=(
        layer(0, "dense", 263.0),
        layer(
            1,
            "code",
            12.0,
            output_shape=(32,),
            square=False,
            rank=32,
            full_rank=32,
            one_to_one=False,
            condition=ConditionEstimate(12.0, Kind.ESTIMATE, "power iteration"),
            reason="maps 64 numbers to 32: at least 32 directions of x are lost",
        ),
    ),
    verdict=Verdict.NOT_INJECTIVE,
    deciding=("1", "code"),
    sentence="layer 1 'code' maps 64 numbers to 32: at least 32 directions of x are lost",
    image="",
    witness=Witness(np.zeros(64), np.ones(64), 8.0, 2e-16),
    digits=None,
    advice=("width 32 -> 64 in layer 1",),
)

TARGET = TargetReport(
    reachable=(True, False, None),
    status=(RowStatus.SOLVED, RowStatus.UNREACHABLE, RowStatus.NEAREST),
    layer=(None, ("1", "dense_1"), None),
    units=np.array([0, 20, 0]),
    unit=np.array([-1, 17, -1]),
    overshoot=np.array([0.0, 1.42, 0.0]),
    value=np.array([np.nan, 2.42, np.nan]),
    residual=np.array([1e-16, 0.21, 0.3]),
    digits=np.array([2.5, np.nan, np.nan]),
    proof=(Proof.NONE, Proof.PULL_BACK, Proof.NONE),
)

SAME = PairsReport(
    rows=297,
    largest=2e-7,
    median=1e-7,
    largest_absolute=3e-7,
    per_output=np.full(64, 1e-8),
    same=True,
    within="",
)

MEASURED = replace(
    SAME,
    largest=0.05,
    median=0.027,
    per_output=np.array([0.01, 0.03]),
    same=False,
    within="3%",
)


KEPT = KeptFactors("x.npy.factors", 9_216_000_000, 840.0)

SOLVE = SolveSummary(
    index="0",
    name="dense",
    path="float32 LU, refined",
    passes=4,
    contraction=1e-3,
    backward_error=6e-17,
    componentwise=np.nan,
    seconds=8.4,
    memory=400_000_000,
)

FORECAST = Forecast(
    model=MODEL,
    layers=(
        LayerForecast(
            index="0",
            name="dense",
            shape=(100_000, 100_000),
            stored="float16",
            engine="panel",
            precision="float32",
            in_file=True,
            memory=17_100_000_000,
            disk=40_100_000_000,
            passes=7.6,
            seconds=6720.0,
            why="float32 factors, refined to float64, in a file",
        ),
        LayerForecast(
            index="1",
            name="out",
            shape=(10, 100_000),
            stored="float16",
            engine="qr",
            precision="float64",
            in_file=False,
            memory=88_000_000,
            disk=0,
            passes=3.0,
            seconds=2.0,
            why="QR: it is not square",
        ),
    ),
    small=2,
    rows=3,
    allowed=17_179_869_184,
    place="x.npy.factors",
    room=68_900_000_000,
    machine=Machine(single=1.69e11, double=6e10, memory=9.6e9, disk=4e8),
)

NOTHING_LARGE = Forecast(MODEL, (), 3, 1, 1_000_000_000, "", None, None)


def inversion(statuses, **changes):
    """An inversion of one row for each status, 64 inputs and outputs."""
    rows = len(statuses)
    solved = [s is RowStatus.SOLVED for s in statuses]
    found = InversionResult(
        x=np.zeros((rows, 64)),
        fitted=np.zeros((rows, 64)),
        status=tuple(statuses),
        unique=tuple(Uniqueness.YES if s else Uniqueness.UNKNOWN for s in solved),
        free_dimensions=np.zeros(rows, dtype=np.int64),
        residual=np.where(solved, 1e-16, 0.21),
        relative_residual=np.where(solved, 1.9e-15, 0.03),
        tolerance=np.full((rows, 64), 1e-6),
        movement=np.where(solved, 0.004, np.nan),
        digits=np.where(solved, 2.4, np.nan),
        method=("exact",) * rows,
        reason=tuple("" if s else "inverting dense_1 needs |h| = 2.42" for s in solved),
        proof=tuple(
            Proof.PULL_BACK if s is RowStatus.UNREACHABLE else Proof.NONE for s in statuses
        ),
        edge_values=np.zeros(rows, dtype=np.int64),
        plan=Plan("auto", (PlanStep("exact", rows, "layer by layer (square layers)"),)),
        precision="float32",
        relative_tolerance=1.9e-6,
        tolerance_origin="T max(|y_i|, c_i), T = 1.9e-06 for y in float32",
        seconds=0.0476,
    )
    return replace(found, **changes)


def several(counts, most=3, **changes):
    """Answers for `inversion`: so many of `most` in each row, of 25 where it has all."""
    counts = np.asarray(counts)
    given = np.arange(most) < np.maximum(counts, 1)[:, None]
    steps = np.where(given, np.arange(most), np.nan)
    found = Answers(
        x=np.where(given[:, :, None], np.zeros((len(counts), most, 64)), np.nan),
        residual=np.where(given, 1e-16, np.nan),
        distance=steps + 1.5,
        count=counts,
        found=np.where(counts == most, 25, counts),
        starts=np.full(len(counts), 24),
        apart=np.where(counts > 1, 2.418, np.nan),
    )
    return replace(found, **changes)


def family(row=0, dimension=48, **changes):
    """Two directions of 64 inputs, mostly 3 and 10; the second has the longer interval."""
    basis = np.zeros((2, 64))
    basis[0, [3, 4]] = 0.8, -0.6
    basis[1, [9, 10]] = 0.6, 0.8
    found = Family(
        row=row,
        x=np.zeros(64),
        dimension=dimension,
        basis=basis,
        intervals=np.array([[-0.01, 0.02], [-0.14, 0.2]]),
        points=np.array([64, 57]),
    )
    return replace(found, **changes)
