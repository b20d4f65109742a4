"""``invert --answers`` and ``invert --family``: what is written, shown and refused."""

import io
import json
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest
from cli_runner import run

from nninvert.report.json import schema


@pytest.fixture
def wide(folder, rng):
    """wide.npz: 3 -> 2, tanh, so that each y has a line of x; y.npy holds two."""
    weights = rng.standard_normal((2, 3))
    np.savez("w.npz", W1=weights, b1=np.zeros(2))
    read = ("--activations", "tanh", "--orientation", "out,in")
    assert run("convert", "w.npz", *read, "-o", "wide.npz").code == 0
    np.save("y.npy", np.tanh(0.3 * rng.standard_normal((2, 3)) @ weights.T))
    return folder


BOX = ("--lower", "-1", "--upper", "1")


def reached(x):
    np.save("again.npy", np.asarray(x).reshape(-1, 3))
    run("forward", "wide.npz", "again.npy", "-o", "f.npy")
    return np.load("f.npy")


def test_answers_to_an_array(wide):
    done = run("invert", "wide.npz", "y.npy", *BOX, "--answers", "4", "-o", "x.npy")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("wrote x.npy (2, 4, 3) float64\n")
    x = np.load("x.npy")
    assert x.shape == (2, 4, 3)
    assert (np.abs(x) <= 1.0).all()
    np.testing.assert_allclose(reached(x), np.load("y.npy").repeat(4, axis=0), atol=1e-9)


def distances(path):
    rows = [line.split(",") for line in Path(path).read_text().splitlines()[1:]]
    return np.array([float(row[4]) for row in rows]).reshape(2, -1)


def test_the_first_is_nearest_and_no_farther_than_without(wide):
    words = ("invert", "wide.npz", "y.npy", *BOX, "--near", "0.5", "-o", "x.npy")
    run(*words, "--answers", "2", "--rows", "two.csv")
    two = np.load("x.npy")
    run(*words)
    far = distances("two.csv")
    assert (far[:, 0] < far[:, 1]).all()
    # Tolerances are used to their edge only without --answers.
    np.testing.assert_allclose(two[:, 0], np.load("x.npy"), atol=1e-8)


def test_answers_to_a_table_have_a_line_each(wide):
    words = ("--answers", "2", "-o", "x.csv", "--rows", "rows.csv")
    assert run("invert", "wide.npz", "y.npy", *BOX, *words).code == 0
    lines = [line.split(",") for line in Path("x.csv").read_text().splitlines()]
    assert lines[0] == ["row", "answer", "x0", "x1", "x2"]
    places = [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
    assert [line[:2] for line in lines[1:]] == places
    rows = [line.split(",") for line in Path("rows.csv").read_text().splitlines()]
    assert rows[0][:5] == ["row", "answer", "status", "residual", "distance"]
    assert [row[:2] for row in rows[1:]] == places
    assert {row[2] for row in rows[1:]} == {"solved"}
    distance = [float(row[4]) for row in rows[1:]]
    assert distance[0] <= distance[1]


def test_answers_without_output(wide):
    words = ("invert", "wide.npz", "y.npy", *BOX, "--answers", "2")
    piped = run(*words)
    assert piped.out.splitlines()[0] == "row,answer,x0,x1,x2"
    plain = run(*words, "--plain", stdout_terminal=True).out.splitlines()
    assert plain[0] == "row\tanswer\tx0\tx1\tx2"
    shown = run(*words, stdout_terminal=True).out.splitlines()
    assert shown[0].split() == ["row", "answer", "x0", "x1", "x2"]
    assert len(piped.out.splitlines()) == len(plain) == len(shown) == 5


def test_answers_to_a_pipe(wide):
    done = run("invert", "wide.npz", "y.npy", *BOX, "--answers", "2", "-o", "-")
    assert np.load(io.BytesIO(done.raw)).shape == (2, 2, 3)


def test_a_row_without_an_answer_decides_the_exit_code(wide):
    np.save("y.npy", np.vstack([np.load("y.npy")[0], [0.99999, -0.99999]]))
    words = ("--answers", "3", "-o", "x.npy", "--rows", "r.csv", "--lower", "-0.2")
    done = run("invert", "wide.npz", "y.npy", *words, "--upper", "1")
    assert done.code == 5
    x = np.load("x.npy")
    assert np.isfinite(x[1, 0]).all()
    assert np.isnan(x[1, 1:]).all()
    assert Path("r.csv").read_text().splitlines()[-1].startswith("1,0,")


def test_answers_on_a_terminal(wide):
    words = ("--answers", "4", "-o", "x.npy")
    done = run("invert", "wide.npz", "y.npy", *BOX, *words, stderr_terminal=True)
    assert "\nanswers   4 of " in done.err
    said = " ".join(done.err.split())
    assert "found in a row, from 24 starts; the closest two are " in said


def test_a_family_beside_x(wide):
    words = ("--family", "family.h5", "-o", "x.npy")
    done = run("invert", "wide.npz", "y.npy", *BOX, *words, stderr_terminal=True)
    assert done.code == 0
    assert "\nfamily    1 free direction in each row that is solved; longest" in done.err
    assert "all in family.h5" in " ".join(done.err.split())
    x, y = np.load("x.npy"), np.load("y.npy")
    with h5py.File("family.h5") as file:
        assert file["family/rows"][()].tolist() == [0, 1]
        for row in range(2):
            group = file[f"family/row_{row}"]
            assert group["dimension"][()] == 1
            np.testing.assert_array_equal(group["x"], x[row])
            (direction,), (ends,) = group["basis"][()], group["interval"][()]
            assert abs(np.linalg.norm(direction) - 1.0) < 1e-14
            moved = x[row] + ends[:, None] * direction
            np.testing.assert_allclose(reached(moved), y[[row, row]], atol=1e-7)
            assert group["points"][()].tolist() == [64]


def test_a_family_in_the_file_of_x(wide):
    for name in ("both.h5", "both.npz"):
        words = ("--family", name, "-o", name, "--answers", "2")
        assert run("invert", "wide.npz", "y.npy", *BOX, *words).code == 0
    with h5py.File("both.h5") as file, np.load("both.npz") as archive:
        assert file["x"].shape == archive["x"].shape == (2, 2, 3)
        for name in ("x", "family/rows", "family/row_1/basis", "family/row_1/interval"):
            np.testing.assert_array_equal(file[name][()], archive[name])
    done = run("forward", "wide.npz", "both.npz:family/row_1/x", "-o", "f.npy")
    assert done.code == 0


def test_json_holds_both(wide):
    words = ("--answers", "2", "--family", "family.npz", "--json")
    done = run("invert", "wide.npz", "y.npy", *BOX, *words)
    found = json.loads(done.out)
    jsonschema.Draft202012Validator(schema("invert")).validate(found)
    assert found["x_shape"] == [2, 2, 3]
    assert found["answers"]["rows"][1]["count"] == 2
    assert found["families"]["file"] == "family.npz"
    assert found["families"]["rows"][0]["dimension"] == 1


def test_one_answer_is_what_there_is_without_the_option(wide):
    run("invert", "wide.npz", "y.npy", "-o", "one.npy")
    assert run("invert", "wide.npz", "y.npy", "--answers", "1", "-o", "x.npy").code == 0
    np.testing.assert_array_equal(np.load("x.npy"), np.load("one.npy"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--answers", "0"], "--answers: got 0, expected 1 to 1,000"),
        (["--answers", "5000"], "--answers: got 5,000, expected 1 to 1,000 because every"),
        (["--answers", "some"], "--answers"),
        (["--family", "f.npy"], "got the suffix '.npy', expected .h5 .hdf5 .npz"),
        (["--family", "y.npz", "-o", "none/x.npy"], "a folder that does not exist"),
        (["--rows", "r.csv", "-o", "r.csv"], "--rows: got the file of -o"),
        (["--family", "wide.npz"], "got the name of an input file"),
    ],
)
def test_refused_before_the_work(words, message, wide):
    done = run("invert", "wide.npz", "y.npy", *words)
    assert done.code in (2, 6)
    assert message in done.err
    assert done.out == ""


def test_options_are_proposed_again_with_a_plan(wide):
    words = ("--answers", "3", "--family", "f.h5", "--dry-run")
    assert "--answers 3 --family f.h5" in run("invert", "wide.npz", "y.npy", *words).out
