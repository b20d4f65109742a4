"""Every document fits its schema, and the schemas refuse what does not."""

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hand_made import (
    CHECK,
    FORECAST,
    KEPT,
    LOSSY,
    MEASURED,
    MODEL,
    NOTHING_LARGE,
    SAME,
    SOLVE,
    TARGET,
    family,
    inversion,
    layer,
    several,
)

from nninvert.errors import FormatError
from nninvert.formats import Description, LayerDescription, PartDescription
from nninvert.outcome import Kind, RowStatus
from nninvert.report import json as report_json
from nninvert.report import json_parts
from nninvert.report.known_text import activation_rows, format_rows, keras_layers
from nninvert.report.plan_text import plan_document
from nninvert.result import ConditionEstimate

SCHEMAS = (
    *("check", "invert", "forward", "factor", "convert", "info", "layers"),
    *("plan", "error"),
)

SINGULAR = layer(
    0, "a", 2.0, condition=ConditionEstimate(np.inf, Kind.EXACT, "SVD"), largest=None
)

DESCRIPTION = Description(
    format="Keras 3 HDF5",
    layers=(
        LayerDescription("0", "pool", "AttnPool", (None, 4), None, "", 0, "", "", (), "?"),
    ),
    inputs=("x",),
    outputs=("pool",),
    notes=("a note",),
    input_parts=(PartDescription("a", (None, 4), 0), PartDescription("b", None, None)),
    output_parts=(PartDescription("y", (3,), 0),),
)

PARTS = replace(
    MODEL, input_parts=(("a", (2, 16)), ("b", (32,))), output_parts=(("c", (64,)),)
)

DOCUMENTS = [
    report_json.check_document(CHECK, 0),
    report_json.check_document(LOSSY, 4),
    report_json.check_document(replace(CHECK, layers=(SINGULAR,), quick=True), 4),
    report_json.check_document(replace(CHECK, target=TARGET, pairs=SAME), 5),
    report_json.check_document(
        replace(
            CHECK,
            pairs=MEASURED,
            max_condition=10.0,
            ill_conditioned=(("0", "dense"),),
            digits=replace(
                CHECK.digits, jacobian=np.array([1.0, np.inf]), jacobian_at="inputs"
            ),
        ),
        0,
    ),
    report_json.invert_document(inversion(list(RowStatus)), MODEL, "", 5),
    report_json.invert_document(
        inversion([RowStatus.FAILED], x=np.full((1, 64), np.nan, dtype=np.float32)),
        MODEL,
        "",
        5,
    ),
    report_json.invert_document(
        inversion([RowStatus.SOLVED], relative_tolerance=None), MODEL, "x.npy", 0
    ),
    report_json.invert_document(
        inversion([RowStatus.SOLVED], solves=(SOLVE,), kept=KEPT), MODEL, "x.npy", 0
    ),
    report_json.invert_document(
        inversion([RowStatus.SOLVED, RowStatus.NEAREST], answers=several([2, 0])),
        MODEL,
        "",
        5,
    ),
    report_json.invert_document(
        inversion(
            [RowStatus.SOLVED],
            families=(family(), family(basis=np.zeros((0, 64)), dimension=0)),
        ),
        MODEL,
        "x.npy",
        0,
        "family.h5",
    ),
    report_json.check_document(replace(CHECK, kept=KEPT), 0),
    report_json.factor_document(MODEL, KEPT),
    plan_document(FORECAST, 0),
    plan_document(NOTHING_LARGE, 0),
    report_json.forward_document(MODEL, np.array([[1.0, np.inf]]), ""),
    report_json.forward_document(MODEL, np.ones((2, 3)), "y.npy"),
    report_json.convert_document(MODEL, "m.h5"),
    report_json.info_document("m.h5", DESCRIPTION),
    report_json.known_document(format_rows(), keras_layers(), activation_rows()),
    report_json.error_document(FormatError("kernel", got="x", file="a", layer=(1, "b"))),
    report_json.error_document(FormatError("")),
    report_json.check_document(replace(CHECK, model=PARTS), 0),
    report_json.convert_document(PARTS, "m.npz"),
]


def validator(name):
    loaded = report_json.schema(name)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d["schema"])
def test_document_fits_its_schema(document):
    text = report_json.encode(document)
    assert "NaN" not in text
    assert "Infinity" not in text
    name = document["schema"].removeprefix("nninvert.").removesuffix("/1")
    validator(name).validate(json.loads(text))


def test_every_schema_is_met_by_a_document():
    shown = {d["schema"] for d in DOCUMENTS}
    assert shown == {f"nninvert.{name}/1" for name in SCHEMAS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_refuses_missing_and_unknown_fields(name):
    document = next(d for d in DOCUMENTS if d["schema"] == f"nninvert.{name}/1")
    for key in document:
        without = {k: v for k, v in document.items() if k != key}
        assert not validator(name).is_valid(without), key
    assert not validator(name).is_valid({**document, "surprise": 1})


def test_not_finite_is_null_with_a_reason():
    assert json_parts.figure("a", 1.5) == {"a": 1.5}
    assert json_parts.figure("a", np.inf) == {"a": None, "a_reason": "infinite"}
    assert json_parts.figure("a", -np.inf) == {"a": None, "a_reason": "-infinite"}
    assert json_parts.figure("a", np.nan) == {"a": None, "a_reason": "not known"}
    assert json_parts.figure("a", None, "no") == {"a": None, "a_reason": "no"}


def test_not_finite_left_in_a_document_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        report_json.encode({"a": np.inf})


def test_floats_read_back_as_the_same_bits(rng):
    y = rng.standard_normal((3, 4)) * 10.0 ** rng.integers(-200, 200, (3, 4))
    text = report_json.encode(report_json.forward_document(MODEL, y, ""))
    assert np.array_equal(np.array(json.loads(text)["y"]), y)


def test_estimates_say_so():
    row = DOCUMENTS[5]["rows"][0]
    assert row["movement_kind"] == row["digits_kind"] == "estimate"


def test_solves_and_what_is_kept_are_told():
    found = report_json.invert_document(
        inversion([RowStatus.SOLVED], solves=(SOLVE,), kept=KEPT), MODEL, "x.npy", 0
    )
    (solve,) = found["solves"]
    assert (solve["path"], solve["passes"]) == ("float32 LU, refined", 4)
    assert solve["backward_error"] == 6e-17
    assert solve["componentwise_backward_error"] is None
    assert solve["componentwise_backward_error_reason"] == "not measured"
    assert found["kept_factors"] == {
        "file": "x.npy.factors",
        "bytes": 9_216_000_000,
        "seconds": 840.0,
    }


def test_a_plan_says_that_it_is_one():
    found = plan_document(FORECAST, 6)
    assert (found["kind"], found["exit_code"]) == ("predicted", 6)
    assert found["seconds"] == 6722.0
    assert found["memory"] == {"needed": 17_188_000_000, "allowed": 17_179_869_184}
    assert found["layers"][1]["precision"] == "float64"


def test_several_answers_are_all_inside():
    found = report_json.invert_document(
        inversion([RowStatus.SOLVED, RowStatus.NEAREST], answers=several([2, 0])),
        MODEL,
        "",
        5,
    )
    assert found["x_shape"] == [2, 3, 64]
    assert found["x"][0][2] == [None] * 64
    assert found["x"][1][0] == [0.0] * 64
    first, second = found["answers"]["rows"]
    assert (first["count"], first["found"], first["starts"]) == (2, 2, 24)
    assert first["residual"] == [1e-16, 1e-16]
    assert first["distance"] == [1.5, 2.5]
    assert first["apart"] == 2.418
    assert (second["count"], second["residual"]) == (0, [])
    assert second["apart_reason"] == "fewer than two answers"
    assert found["families"] is None


def test_families_are_summarised():
    found = report_json.invert_document(
        inversion([RowStatus.SOLVED], families=(family(),)), MODEL, "x.h5", 0, "x.h5"
    )
    assert found["families"]["file"] == "x.h5"
    (row,) = found["families"]["rows"]
    assert (row["row"], row["dimension"], row["directions"]) == (0, 48, 2)
    assert row["kind"] == "estimate"
    assert row["longest"] == {
        "direction": 1,
        "main_input": 10,
        "from": -0.14,
        "to": 0.2,
        "points": 57,
    }


def test_parts_say_where_they_lie():
    found = report_json.model_document(PARTS)
    assert found["input_parts"] == [
        {"name": "a", "shape": [2, 16], "start": 0, "size": 32},
        {"name": "b", "shape": [32], "start": 32, "size": 32},
    ]
    assert report_json.model_document(MODEL)["input_parts"] == []
    described = report_json.info_document("m.h5", DESCRIPTION)
    assert described["input_parts"] == [
        {"name": "a", "shape": [None, 4], "start": 0, "size": None},
        {"name": "b", "shape": None, "start": None, "size": None},
    ]
    assert described["output_parts"] == []
