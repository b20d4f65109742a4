"""Scalers in files: everything is in the units of the data, in and out."""

import json

import numpy as np
import pytest
from cli_runner import run

MEAN, SCALE = np.array([300.0, 101325.0, -2.0]), np.array([20.0, 5000.0, 0.25])
LEAST, MOST = np.array([-1.0, 100.0, 0.0]), np.array([3.0, 900.0, 0.5])

INPUTS = "statistic,feed_T,pressure,flow\nmean,300,101325,-2\nscale,20,5000,0.25\n"
OUTPUTS = "what,yield,heat,purity\nmin,-1,100,0\nmax,3,900,0.5\n"


@pytest.fixture
def scaled(model):
    """m.h5 with in.csv and out.npz, and the data in their own units."""
    (model / "in.csv").write_text(INPUTS)
    np.savez(model / "out.npz", min=LEAST, max=MOST, feature_range=np.array([-1.0, 1.0]))
    np.save(model / "raw_x.npy", MEAN + SCALE * np.load("x.npy"))
    share = 0.5 * (np.load("y.npy") + 1.0)
    np.save(model / "raw_y.npy", LEAST + share * (MOST - LEAST))
    return model


UNITS = ("--input-scaler", "in.csv", "--output-scaler", "out.npz")


def test_forward_takes_and_gives_measured_numbers(scaled):
    ran = run("forward", "m.h5", "raw_x.npy", *UNITS, "-o", "again.npy")
    assert ran.code == 0, ran.err
    np.testing.assert_allclose(np.load("again.npy"), np.load("raw_y.npy"), rtol=1e-12)


def test_invert_in_the_units_of_the_data(scaled):
    ran = run("invert", "m.h5", "raw_y.npy", *UNITS, "-o", "found.csv")
    assert ran.code == 0, ran.err
    header, *_ = (scaled / "found.csv").read_text().splitlines()
    assert header == "feed_T,pressure,flow"
    found = np.loadtxt("found.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(found, np.load("raw_x.npy"), rtol=1e-9)


def test_bounds_fixed_inputs_and_near_are_in_units_and_by_name(scaled):
    ran = run(
        *("invert", "m.h5", "raw_y.npy", *UNITS, "-o", "found.npy"),
        *("--within", "20%", "--fix", "pressure=101000", "--lower", "250,90000,-4"),
    )
    assert ran.code in (0, 5), ran.err
    found = np.load("found.npy")
    np.testing.assert_array_equal(found[:, 1], 101000.0)
    assert (found >= [250.0, 90000.0, -4.0]).all()
    ran = run("invert", "m.h5", "raw_y.npy", *UNITS, "--fix", "nothing=1", "-o", "z.npy")
    assert ran.code != 0
    assert "feed_T, pressure, flow" in ran.err


def test_what_nobody_names_is_near_the_mean(scaled):
    ran = run("invert", "m.h5", "raw_y.npy", *UNITS, "--within", "1e9", "-o", "f.npy")
    assert ran.code == 0, ran.err
    np.testing.assert_allclose(np.load("f.npy"), np.tile(MEAN, (4, 1)), rtol=1e-12)


def test_check_shows_the_scalers_and_judges_pairs_in_units(scaled):
    ran = run("check", "m.h5", *UNITS, "--pairs", "raw_x.npy", "raw_y.npy", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    names = [layer["name"] for layer in report["layers"]]
    assert (names[0], names[-1]) == ("input scaler", "output scaler")
    assert report["layers"][0]["condition"]["value"] == pytest.approx(20000.0)
    assert report["verdict"] == "BIJECTIVE"
    text = run("check", "m.h5", *UNITS).out
    assert "inputs are in the units of in.csv" in text
    assert "outputs are in the units of out.npz" in text


def test_bare_weights_are_read_otherwise_with_their_scalers(scaled):
    ran = run(
        *("check", "w.npz", "--activations", "sigmoid,linear", "--orientation", "out,in"),
        *(*UNITS, "--pairs", "raw_x.npy", "raw_y.npy"),
    )
    assert ran.code == 0, ran.out + ran.err
    assert "tanh" in ran.out


def test_a_converted_network_keeps_its_units(scaled):
    assert run("convert", "m.h5", *UNITS, "-o", "units.h5").code == 0
    assert run("invert", "units.h5", "raw_y.npy", "-o", "found.npy").code == 0
    np.testing.assert_allclose(np.load("found.npy"), np.load("raw_x.npy"), rtol=1e-9)


def test_commands_that_are_proposed_name_the_scalers(scaled):
    text = run("check", "m.h5", *UNITS, stdout_terminal=True).out
    assert "--input-scaler in.csv" in text.replace("\n", " ")


def test_columns_are_found_by_their_names(scaled):
    (scaled / "out.csv").write_text(f"{OUTPUTS}range_min,-1,-1,-1\nrange_max,1,1,1\n")
    y, x = np.load("raw_y.npy"), np.load("raw_x.npy")
    turned = [2, 0, 1]
    for name, header, values in (
        ("y.csv", "purity,yield,heat", y[:, turned]),
        ("x.csv", "flow,feed_T,pressure", x[:, turned]),
        ("low.csv", "flow,feed_T,pressure", x[:1, turned] - [[0.5, 50.0, 20000.0]]),
    ):
        np.savetxt(name, values, fmt="%.17g", delimiter=",", header=header, comments="")
    units = ("--input-scaler", "in.csv", "--output-scaler", "out.csv")
    assert run("forward", "m.h5", "x.csv", *units, "-o", "again.csv").code == 0
    header, *_ = (scaled / "again.csv").read_text().splitlines()
    assert header == "yield,heat,purity"
    again = np.loadtxt("again.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(again, y, rtol=1e-12)
    ran = run("invert", "m.h5", "y.csv", *units, "--near", "x.csv", "-o", "found.npy")
    assert ran.code == 0, ran.err
    np.testing.assert_allclose(np.load("found.npy"), x, rtol=1e-9)
    assert run("check", "m.h5", *units, "--pairs", "x.csv", "y.csv").code == 0
    ran = run(
        *("invert", "m.h5", "y.csv", *units, "--lower", "low.csv"),
        *("--within", "1e9", "-o", "near.npy"),
    )
    assert ran.code == 0, ran.err
    assert (np.load("near.npy") >= x[:1] - [[50.0, 20000.0, 0.5]]).all()
