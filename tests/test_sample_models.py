"""The sample models: what MODELS.md says of them, and that they are inverted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nninvert
from nninvert import tolerances
from nninvert.arrays import read_array, read_bounds, write_array
from nninvert.errors import (
    DataError,
    NninvertError,
    ShapeError,
    UnsupportedLayerError,
)
from nninvert.outcome import Proof, RowStatus, Uniqueness, Verdict

FOLDER = Path(__file__).parent.parent / "sample_models"
UNIT = tolerances.EPS64 / 2


@dataclass(frozen=True)
class Sample:
    """One row of the table in MODELS.md."""

    file: str
    verdict: Verdict
    deciding: str | None = None
    sentence: str = ""
    image: str = ""
    activations: str | None = None
    until: str | None = None

    def load(self):
        return nninvert.load(
            str(FOLDER / self.file), activations=self.activations, until=self.until
        )


CAMERA = Sample("camera.h5", Verdict.BIJECTIVE, image="a part of (-1, 1)^64: hidden tanh")
FORMULA = Sample("formula.npz", Verdict.BIJECTIVE, activations="tanh,tanh")
LEAKY = Sample("leaky.h5", Verdict.BIJECTIVE, image="R^16")
FEATURES = Sample("features.h5", Verdict.BIJECTIVE, until="bend", image="a part of (-1, 1)")
PRUNED = Sample(
    "pruned.h5", Verdict.SINGULAR, "1", "rank 19 of 20", image="a part of (-1, 1)^20"
)
ENCODER = Sample("encoder.h5", Verdict.NOT_INJECTIVE, "hidden", "at least 32 directions")
CLASSIFIER = Sample("classifier.h5", Verdict.NOT_INJECTIVE, "0", "at least 32 directions")
REACTOR = Sample(
    "reactor.h5", Verdict.NOT_INJECTIVE, sentence="to 3: at least 3 directions"
)
PLANT = Sample(
    "plant.keras", Verdict.NOT_INJECTIVE, "outputs", "maps 12 numbers to 6: at least 6"
)

BIJECTIVE = (CAMERA, FORMULA, LEAKY, FEATURES)
ALL = (*BIJECTIVE, PRUNED, ENCODER, CLASSIFIER, REACTOR, PLANT)


def every(samples):
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.file)


@every(ALL)
def test_verdicts(sample):
    found = nninvert.check(sample.load())
    assert found.verdict is sample.verdict
    if sample.deciding is not None:
        assert sample.deciding in found.deciding
    assert sample.sentence in found.sentence
    assert found.image.startswith(sample.image)
    lossy = sample.verdict is Verdict.NOT_INJECTIVE
    assert (found.witness is not None) == lossy
    if lossy:
        witness = found.witness
        y = nninvert.forward(sample.load(), np.stack([witness.x1, witness.x2]))
        assert np.linalg.norm(witness.x1 - witness.x2) > 0.1
        np.testing.assert_allclose(y[0], y[1], rtol=1e-12, atol=1e-14)


def test_the_pruned_row_is_named():
    found = nninvert.check(PRUNED.load())
    assert "row 7 of its kernel is zero" in found.sentence
    assert found.advice == (
        "train layer 1 again without the pruned or dependent units (rank 19 of 20)",
    )


@pytest.mark.parametrize(
    ("sample", "conditions"),
    [(CAMERA, (487, 252, 120)), (FORMULA, (3.0, 2.4)), (LEAKY, (86, 24))],
)
def test_condition_numbers(sample, conditions):
    found = [layer.condition for layer in nninvert.check(sample.load()).layers]
    values = [c.value for c in found if c is not None]
    np.testing.assert_allclose(values, conditions, rtol=0.02)


def test_layers_that_cannot_be_read_are_named_together():
    with pytest.raises(UnsupportedLayerError) as caught:
        nninvert.load(str(FOLDER / "features.h5"))
    assert caught.value.exit_code == 3
    for name in ("tenfold", "Lambda", "memory", "LSTM"):
        assert name in str(caught.value)


# Round trips in float64: y = f(x0), x0 standard normal.


def settings():
    return read_bounds(str(FOLDER / "reactor_bounds.csv"))


def typical_inputs(sample, network, rng, rows=8):
    """Standard normal; for the reactor, as far around today's settings as bounds allow."""
    normal = rng.standard_normal((rows, network.n_in))
    if sample is not REACTOR:
        return normal
    table = settings()
    today = np.array([line.near for line in table])
    width = np.array([line.upper - line.lower for line in table])
    return today + 0.1 * width * normal


@every(ALL)
def test_outputs_are_inverted(sample, rng, tmp_path):
    network = sample.load()
    x = typical_inputs(sample, network, rng)
    y = nninvert.forward(network, x)
    result = nninvert.invert(network, y)
    assert result.status == (RowStatus.SOLVED,) * len(x), result.reason
    path = str(tmp_path / "x.npy")
    write_array(path, result.x)
    written = read_array(path).values
    assert written.dtype == np.float64
    np.testing.assert_array_equal(written, result.x)
    error = np.linalg.norm(nninvert.forward(network, written) - y, axis=1)
    assert (error <= 1e-11 * np.linalg.norm(y, axis=1)).all()


@every(BIJECTIVE)
def test_inputs_come_back_as_well_as_the_question_is_conditioned(sample, rng):
    """||x - x0|| / ||x0|| <= 10 k u, k = max(cond(J), ||J^-1|| ||y|| / ||x0||)."""
    network = sample.load()
    x = typical_inputs(sample, network, rng)
    y = nninvert.forward(network, x)
    result = nninvert.invert(network, y)
    assert result.unique == (Uniqueness.YES,) * len(x)
    for found, truth, value in zip(result.x, x, y, strict=True):
        sizes = np.linalg.svd(network.linearize(truth[None]).dense()[0], compute_uv=False)
        size = np.linalg.norm(truth)
        k = max(sizes[0], np.linalg.norm(value) / size) / sizes[-1]
        assert np.linalg.norm(found - truth) / size <= 10.0 * k * UNIT


# The data beside the models.


@pytest.mark.parametrize(
    ("sample", "inputs", "outputs"),
    [
        (CAMERA, "camera_x", "camera_y"),
        (FORMULA, "formula_x", "formula_y"),
        (LEAKY, "leaky_x", "leaky_y"),
        (PRUNED, "pruned_x", "pruned_y"),
        (FEATURES, "features_x", "features_h"),
    ],
)
def test_pairs_show_that_the_files_are_read_right(sample, inputs, outputs):
    x, y = (np.load(FOLDER / f"{name}.npy") for name in (inputs, outputs))
    found = nninvert.check(sample.load(), pairs=(x, y)).pairs
    assert found.same
    assert found.reading == ""
    assert found.rows == len(x)


def test_parts_are_read_by_their_names():
    network = PLANT.load()
    assert network.inputs.named_shapes == (
        ("profile", (2, 3)),
        ("flow", (3,)),
        ("feed_T", (1,)),
    )
    assert network.outputs.named_shapes == (("levels", (4,)), ("purity", (2,)))
    ends = (("plant_x", network.inputs), ("plant_y", network.outputs))
    x, y = (
        read_array(str(FOLDER / f"{name}.npz"), parts=layout.named_shapes)
        for name, layout in ends
    )
    assert nninvert.check(network, pairs=(x, y)).pairs.same


def test_the_library_takes_parts_as_dicts(rng):
    network = PLANT.load()
    with np.load(FOLDER / "plant_x.npz") as x, np.load(FOLDER / "plant_y.npz") as y:
        x, y = dict(x), dict(y)
    said = network.outputs.unpack(nninvert.forward(network, x))
    np.testing.assert_allclose(said["purity"], y["purity"], rtol=1e-6)
    assert nninvert.check(network, pairs=(x, y), inputs=x, target=y).pairs.same
    result = nninvert.invert(network, y, near=x)
    assert result.solved.all()
    found = network.inputs.unpack(result.x)
    np.testing.assert_allclose(found["profile"], x["profile"], atol=1e-5)
    one = {name: values[0] for name, values in x.items()}
    np.testing.assert_allclose(nninvert.forward(network, one)[0, :4], y["levels"][0], 1e-5)
    with pytest.raises(ShapeError, match="x > flow: got no array of this name among prof"):
        nninvert.forward(network, {"profile": x["profile"], "feed_T": x["feed_T"]})
    with pytest.raises(DataError, match="y > levels: got complex numbers"):
        nninvert.invert(network, y | {"levels": y["levels"] * 1j})
    with pytest.raises(ShapeError, match="y: got a dict, expected an array because there"):
        nninvert.invert(CAMERA.load(), {"y": np.zeros((1, 64))})


def test_bounds_and_tolerances_are_dicts_of_parts_too():
    network = PLANT.load()
    with np.load(FOLDER / "plant_y.npz") as y:
        y = {name: values[:3] for name, values in y.items()}
    profile, flow = (dict(network.inputs.named_shapes)[k] for k in ("profile", "flow"))
    least, most = np.full(flow, -2.0), np.full(profile, 1.5)
    within = {"levels": "3%", "purity": np.full(y["purity"].shape[1:], 0.02)}
    result = nninvert.invert(
        network,
        y,
        lower={"flow": least},
        upper={"flow": 2.0, "profile": most},
        within=within,
    )
    places = network.inputs.offsets
    lower, upper = (np.full(network.n_in, side) for side in (-np.inf, np.inf))
    lower[places["flow"]], upper[places["flow"]] = -2.0, 2.0
    upper[places["profile"]] = 1.5
    levels = dict(network.outputs.named_shapes)["levels"]
    each = ["3%"] * int(np.prod(levels)) + [0.02] * (network.n_out - int(np.prod(levels)))
    assert list(dict(network.outputs.named_shapes)) == ["levels", "purity"]
    same = nninvert.invert(network, y, lower=lower, upper=upper, within=each)
    np.testing.assert_array_equal(result.x, same.x)
    np.testing.assert_array_equal(result.status, same.status)
    assert result.solved.all()


def test_inputs_are_held_by_name():
    network = PLANT.load()
    with np.load(FOLDER / "plant_y.npz") as y:
        y = {name: values[:2] for name, values in y.items()}
    named = {"feed_T": 0.5, "profile": np.full((2, 3), 0.25), "flow[1]": 2.0}
    places = network.inputs.offsets
    held = dict.fromkeys(range(*places["profile"].indices(10)), 0.25)
    held |= {places["flow"].start + 1: 2.0, places["feed_T"].start: 0.5}
    by_name = nninvert.invert(network, y, fix=named, integer=["flow"])
    by_index = nninvert.invert(
        network, y, fix=held, integer=range(*places["flow"].indices(10))
    )
    np.testing.assert_array_equal(by_name.x, by_index.x)
    assert (by_name.x[:, places["profile"]] == 0.25).all()
    assert (by_name.x[:, places["flow"]] % 1.0 == 0.0).all()
    mixed = nninvert.invert(network, y, fix={"feed_T": 0.5, 0: 0.25})
    assert (mixed.x[:, [0, 9]] == [0.25, 0.5]).all()


def test_single_numbers_have_names_too():
    network = CAMERA.load()
    y = np.load(FOLDER / "camera_y.npy")[:1]
    result = nninvert.invert(network, y, lower={"x3": 0.5}, within=0.2)
    assert result.x[0, 3] >= 0.5


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"lower": {"fluw": 1.0}}, r"--lower: got the input 'fluw'.*Did you mean flow\?"),
        (
            {"upper": {"flow": [1.0] * 7}},
            r"upper > flow: got shape \(7,\), expected one number",
        ),
        ({"within": {"levels": 0.1}}, r"within: got nothing for the output 'purity\[0\]'"),
        ({"lower": {"flow": 0.0, "flow[1]": 1.0}}, r"--lower: got 'flow\[1\]' twice"),
        ({"fix": {"feed_T": 0.5, 9: 0.25}}, "--fix: got 'feed_T' twice"),
        ({"integer": ["feed"]}, "--integer: got the input 'feed'"),
        ({"upper": "high"}, "--upper: got 'high', expected numbers"),
    ],
)
def test_names_that_do_not_fit(option, message):
    with np.load(FOLDER / "plant_y.npz") as y:
        y = dict(y)
    with pytest.raises(NninvertError, match=message):
        nninvert.invert(PLANT.load(), y, **option)


def test_codes_and_probabilities_belong_to_the_first_digits():
    digits = np.load(FOLDER / "camera_x.npy")
    for sample, name in [(ENCODER, "encoder_code"), (CLASSIFIER, "classifier_y")]:
        y = np.load(FOLDER / f"{name}.npy")
        found = nninvert.forward(sample.load(), digits[: len(y)])
        np.testing.assert_allclose(found, y, rtol=2e-5, atol=2e-6)


def test_stored_targets_are_solved():
    """float32 targets by the formula: solved, and x as near as their digits allow."""
    for sample, name in [(CAMERA, "camera"), (LEAKY, "leaky"), (FORMULA, "formula")]:
        x, y = (np.load(FOLDER / f"{name}_{k}.npy")[:20] for k in "xy")
        result = nninvert.invert(sample.load(), y)
        assert result.solved.all(), name
        error = np.linalg.norm(result.x - x, axis=1) / np.linalg.norm(x, axis=1)
        assert (error <= 30.0 * result.movement + 1e-15).all(), name


def test_probabilities_down_to_two_in_a_billion_are_met():
    """Least squares on probabilities would not see the small ones: logits do."""
    y = np.load(FOLDER / "classifier_y.npy")
    assert y.min() < 3e-9
    result = nninvert.invert(CLASSIFIER.load(), y)
    assert result.solved.all()
    np.testing.assert_allclose(result.fitted, y, rtol=3e-5)


# Measured targets.


@pytest.fixture(scope="module")
def measured():
    return np.load(FOLDER / "camera_measured.npy")


def test_measured_targets_are_out_of_reach(measured):
    """Row 92 alone lies in the image, with an x far from every picture."""
    network = CAMERA.load()
    result = nninvert.invert(network, measured, method="exact")
    np.testing.assert_array_equal(np.flatnonzero(result.solved), [92])
    fitted = nninvert.forward(network, result.x[92])
    np.testing.assert_allclose(fitted[0], measured[92], atol=1e-12)
    assert np.abs(result.x[92]).max() > 10.0
    unreachable = [status is RowStatus.UNREACHABLE for status in result.status]
    assert sum(unreachable) >= 294
    for row in np.flatnonzero(unreachable):
        assert result.proof[row] in (Proof.OUTPUT_RANGE, Proof.PULL_BACK)


def test_measured_targets_are_met_within_what_the_model_knows(measured):
    network = CAMERA.load()
    near = np.load(FOLDER / "camera_near.npy")
    result = nninvert.invert(network, measured[:5], within="3%", near=near)
    assert result.status == (RowStatus.SOLVED,) * 5
    fitted = nninvert.forward(network, result.x)
    assert (np.abs(fitted - measured[:5]) <= 0.03).all()
    assert result.x.min() > -0.5
    assert result.x.max() < 1.5
    truth = np.load(FOLDER / "camera_x.npy")[:5]
    moved = np.linalg.norm(result.x - truth, axis=1)
    assert (moved < 0.8 * np.linalg.norm(near - truth, axis=1)).all()


def test_pairs_propose_what_the_model_knows(measured):
    x = np.load(FOLDER / "camera_x.npy")
    found = nninvert.check(CAMERA.load(), pairs=(x, measured)).pairs
    assert not found.same
    assert found.median == pytest.approx(0.026, abs=0.001)
    assert found.largest == pytest.approx(0.081, abs=0.001)
    share = float(found.within.removesuffix("%")) / 100.0
    error = np.abs(nninvert.forward(CAMERA.load(), x) - measured).max(axis=1)
    assert np.mean(error <= share) >= 0.95
    assert np.mean(error <= 0.5 * share) < 0.95


def test_the_reactor_reaches_one_target_and_not_the_other():
    table = settings()
    limits = {
        "lower": [line.lower for line in table],
        "upper": [line.upper for line in table],
        "near": [line.near for line in table],
    }
    y = read_array(str(FOLDER / "reactor_y.csv"))
    network = REACTOR.load()
    result = nninvert.invert(network, y, **limits)
    assert result.status == (RowStatus.SOLVED, RowStatus.NEAREST)
    assert (np.abs(result.fitted[0] - y.values[0]) <= y.half_step[0]).all()
    missed = np.abs(result.fitted[1] - y.values[1]) / y.half_step[1]
    assert missed.max() > 10.0
    fixed = nninvert.invert(
        network, y.values[:1], within=[0.005, 0.5, 0.005], fix={0: 310.0, 5: 5.0}, **limits
    )
    assert fixed.solved.all()
    assert (fixed.x[0, [0, 5]] == [310.0, 5.0]).all()


def test_they_are_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_000_000
