"""Networks of several inputs and outputs: .npz with an array for each, in and out."""

import io
from dataclasses import replace

import numpy as np
import pytest
from cli_runner import run
from problems import dense

from nninvert import load
from nninvert.cli._options import Wanted
from nninvert.cli._streams import Streams
from nninvert.cli._values import Sources
from nninvert.cli._wanted import resolve
from nninvert.errors import UsageError
from nninvert.formats.own import save
from nninvert.layers import Add, Concatenate, Elementwise, Graph, Node, Reshape, Slice
from nninvert.layers.activations import activation_from_text
from nninvert.layout import Layout, Part
from nninvert.network import Network


@pytest.fixture
def two(folder, rng):
    """m.h5 from a (2, 2) and b (3,) to p (4,) and q (3,): linear maps, a sum, a tanh."""
    layers = [
        ("a", Slice((7,), [(0, 4, None)]), (-1,)),
        ("a", Reshape((4,), (2, 2)), (0,)),
        ("b", Slice((7,), [(4, 7, None)]), (-1,)),
        ("flat", Reshape((2, 2), (4,)), (1,)),
        ("p", dense(np.eye(4) + 0.1 * rng.standard_normal((4, 4))), (3,)),
        ("d", dense(0.3 * rng.standard_normal((3, 4))), (3,)),
        ("t", Elementwise((3,), activation_from_text("tanh")), (5,)),
        ("q", Add([(3,), (3,)]), (6, 2)),
        ("out", Concatenate([(4,), (3,)]), (4, 7)),
    ]
    nodes = [
        Node(layer, str(k), name, type(layer).__name__, read)
        for k, (name, layer, read) in enumerate(layers)
    ]
    network = replace(
        Network.of_graph(Graph((7,), nodes)),
        inputs=Layout((Part("a", (2, 2)), Part("b", (3,)))),
        outputs=Layout((Part("p", (4,)), Part("q", (3,)))),
    )
    save(network, "m.h5")
    a, b = rng.standard_normal((5, 2, 2)), rng.standard_normal((5, 3))
    np.savez("x.npz", b=b, a=a)
    y = network.forward(np.concatenate([a.reshape(5, 4), b], axis=1))
    np.savez("y.npz", p=y[:, :4], q=y[:, 4:])
    return folder


def test_forward_takes_and_gives_parts(two):
    ran = run("forward", "m.h5", "x.npz", "-o", "again.npz")
    assert ran.code == 0, ran.err
    again, y = np.load("again.npz"), np.load("y.npz")
    assert sorted(again) == ["p", "q"]
    for name in again:
        np.testing.assert_array_equal(again[name], y[name])


def test_invert_takes_and_gives_parts(two):
    ran = run("invert", "m.h5", "y.npz", "-o", "found.npz")
    assert ran.code == 0, ran.err
    found, x = np.load("found.npz"), np.load("x.npz")
    assert found["a"].shape == (5, 2, 2)
    for name in ("a", "b"):
        np.testing.assert_allclose(found[name], x[name], rtol=1e-7, atol=1e-8)


def test_flat_rows_are_taken_too(two):
    y = np.load("y.npz")
    np.save("y.npy", np.concatenate([y["p"], y["q"]], axis=1))
    ran = run("invert", "m.h5", "y.npy", "-o", "found.npy", "--near", "x.npz")
    assert ran.code == 0, ran.err
    assert np.load("found.npy").shape == (5, 7)


def test_a_part_that_is_missing_or_of_another_shape_is_named(two):
    y = np.load("y.npz")
    np.savez("less.npz", p=y["p"])
    ran = run("invert", "m.h5", "less.npz", "-o", "found.npz")
    assert (ran.code, "y > q: got no array of this name" in ran.err) == (3, True)
    np.savez("other.npz", p=y["p"], q=y["q"][:, :2])
    ran = run("invert", "m.h5", "other.npz", "-o", "found.npz")
    assert (ran.code, "y > q: got shape (5, 2), expected (5, 3)" in ran.err) == (3, True)


def test_check_and_info_open_it(two):
    ran = run("check", "m.h5", "--target", "y.npz")
    assert ran.code in (0, 4), ran.err
    assert run("info", "m.h5").code == 0


def test_columns_of_tables_are_named_by_part_and_place(two):
    ran = run("invert", "m.h5", "y.npz", "-o", "found.csv")
    assert ran.code == 0, ran.err
    header, *_ = (two / "found.csv").read_text().splitlines()
    assert header == "a[0],a[1],a[2],a[3],b[0],b[1],b[2]"
    ran = run("forward", "m.h5", "found.csv", "-o", "again.csv")
    assert ran.code == 0, ran.err
    assert (two / "again.csv").read_text().startswith("p[0],p[1],p[2],p[3],q[0]")


def test_a_pipe_gives_parts_as_a_file_does(two):
    ran = run("forward", "m.h5", "-", "-o", "again.npz", stdin=_bytes("x.npz"))
    assert ran.code == 0, ran.err
    assert ran.err == "wrote again.npz with p (5, 4) and q (5, 3), float64\n"
    np.testing.assert_array_equal(np.load("again.npz")["q"], np.load("y.npz")["q"])


def _bytes(path):
    with open(path, "rb") as stream:
        return stream.read()


def test_pairs_and_typical_inputs_are_taken_by_parts(two):
    ran = run("check", "m.h5", "--pairs", "x.npz", "y.npz", "--inputs", "x.npz")
    assert "your file was read right" in ran.err + ran.out
    assert ran.out.endswith("nninvert invert m.h5 y.npz -o x.npz\n")


def test_headlines_show_the_shapes_of_all_parts(two):
    for command in ("info", "check"):
        assert run(command, "m.h5").out.splitlines()[0].endswith("   2x2 + 3 -> 4 + 3")
    assert "\n a      2x2    x0 to x3\n b      3      x4 to x6\n" in run("info", "m.h5").out


def test_the_last_line_on_a_terminal_names_the_parts(two):
    ran = run("invert", "m.h5", "y.npz", "-o", "found.npz", stderr_terminal=True)
    said = " ".join(ran.err.split())
    assert "wrote found.npz with a (5, 2, 2) and b (5, 3), float64 in" in said
    ran = run("invert", "m.h5", "y.npz", "-o", "found.npy")
    assert ran.err.endswith("wrote found.npy (5, 7) float64\n")


def test_parts_of_a_coarser_type_are_judged_as_such(two):
    y = np.load("y.npz")
    np.savez("mixed.npz", p=y["p"].astype(np.float32), q=y["q"])
    ran = run("invert", "m.h5", "mixed.npz", "-o", "found.npz", "-v")
    assert ran.code == 0, ran.err
    assert "for y in float32" in ran.err


BOX = ("--lower", "-9", "--upper", "9")


def test_several_answers_and_families_are_written_by_parts(two):
    y = np.load("y.npz")
    np.savez("y1.npz", p=y["p"][:1], q=np.full((1, 3), np.nan))
    words = ("--nan-is-free", "--answers", "2", "--family", "found.npz")
    ran = run("invert", "m.h5", "y1.npz", *BOX, *words, "-o", "found.npz")
    assert ran.code == 0, ran.err
    with np.load("found.npz") as found:
        assert (found["a"].shape, found["b"].shape) == ((1, 2, 2, 2), (1, 2, 3))
        assert found["family/row_0/x/a"].shape == (2, 2)
        k = int(found["family/row_0/dimension"])
        assert found["family/row_0/basis/a"].shape == (k, 2, 2)
        assert found["family/row_0/basis/b"].shape == (k, 3)
        assert found["family/row_0/interval"].shape == (k, 2)
        again = {name: found[name][:, 1] for name in "ab"}
    np.savez("again.npz", **again)
    assert run("forward", "m.h5", "again.npz", "-o", "f.npz").code == 0
    np.testing.assert_allclose(np.load("f.npz")["p"], y["p"][:1], rtol=1e-7)
    ran = run("invert", "m.h5", "y1.npz", *BOX, *words[:3], "-o", "one_each.npz")
    assert np.load("one_each.npz")["a"].shape == (1, 2, 2, 2)
    run("invert", "m.h5", "y1.npz", *BOX, *words[:3], "-o", "lines.csv")
    header, *lines = (two / "lines.csv").read_text().splitlines()
    assert header.startswith("row,answer,a[0]")
    assert len(lines) == 2


def asked(**options):
    streams = Streams(io.BytesIO(), io.StringIO(), io.StringIO())
    return resolve(Wanted(**options), load("m.h5"), Sources(streams)).keywords


def test_bounds_by_part_and_number(two):
    (two / "b.csv").write_text(
        'name,lower,upper,fixed,near\n"a[1,0]",-1,,,0.5\na,-3,3,,\nb,,,2,\n'
    )
    found = asked(bounds="b.csv", fix=["b[1]=7"], upper="a[0]=1,b=9", integer=["b"])
    np.testing.assert_array_equal(found["lower"], [-3, -3, -1, -3, *3 * [-np.inf]])
    np.testing.assert_array_equal(found["upper"], [1, 3, 3, 3, 9, 9, 9])
    np.testing.assert_array_equal(found["near"], [0, 0, 0.5, 0, 2, 2, 2])
    assert found["fix"] == {4: 2.0, 5: 7.0, 6: 2.0}
    assert found["integer"] == [4, 5, 6]


def test_values_by_name_leave_others_open(two):
    found = asked(lower="b=-1", near="a=2,b[0]=1")
    np.testing.assert_array_equal(found["lower"], [*4 * [-np.inf], -1, -1, -1])
    np.testing.assert_array_equal(found["near"], [2, 2, 2, 2, 1, 0, 0])
    assert found["upper"] is None


def test_bounds_and_tolerances_from_a_file_of_parts(two):
    np.savez("low.npz", a=np.zeros((2, 2)), b=np.full(3, -np.inf))
    np.savez("tol.npz", p=np.full(4, 0.1), q=np.full(3, 0.2))
    found = asked(lower="low.npz", within="tol.npz")
    np.testing.assert_array_equal(found["lower"], [*4 * [0], *3 * [-np.inf]])
    np.testing.assert_array_equal(found["within"], [[*4 * [0.1], *3 * [0.2]]])


def test_tolerances_by_part(two):
    assert asked(within="q=3%,p=0.1")["within"] == [*4 * [0.1], *3 * ["3%"]]
    words = ("--within", "p=0.5,q=10%", "--near", "b=0.1", "-o", "found.npz")
    ran = run("invert", "m.h5", "y.npz", *words)
    assert ran.code == 0, ran.err
    assert run("forward", "m.h5", "found.npz", "-o", "f.npz").code == 0
    f, y = np.load("f.npz"), np.load("y.npz")
    assert np.abs(f["p"] - y["p"]).max() <= 0.5
    size = np.abs(y["q"]).max()
    assert 0.1 * size < 0.5
    assert np.abs(f["q"] - y["q"]).max() <= 0.1 * size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": "p=0.1"}, r"got nothing for the output 'q\[0\]', expected a tolerance"),
        ({"within": "a=0.1"}, "--within: got the output 'a', expected one of p, q"),
        ({"lower": "p=1"}, "--lower: got the input 'p', expected one of a, b"),
        ({"upper": "a=3%"}, r"--upper: got 'a\[0\]=3%', expected a number"),
        ({"lower": "x.npz"}, r"--lower: got shape \(5, 7\), expected one number, or 7"),
        ({"near": "a[9]=1"}, r"--near: got the input 'a\[9\]'"),
    ],
)
def test_names_and_shapes_that_cannot_be_meant_are_refused(two, options, message):
    with pytest.raises(UsageError, match=message):
        asked(**options)


def test_constraints_name_numbers_of_parts(two):
    (two / "c.txt").write_text("a[1,0] + 2*b[2] <= 3\n")
    found = asked(constraints="c.txt")["constraints"]
    np.testing.assert_array_equal(found.matrix, [[0, 0, 1, 0, 0, 0, 2]])
    (two / "c.txt").write_text("a <= 3\n")
    message = r"line 1: got 'a', which is 4 inputs, .* called a\[0\] to a\[3\]"
    with pytest.raises(UsageError, match=message):
        asked(constraints="c.txt")


def test_names_of_tables_reach_notes_and_reasons(model):
    (model / "b.csv").write_text("name,lower,upper\nT,0,1\nflow,2,3\nvalve,0,1\n")
    words = ("--bounds", "b.csv", "--near", "0.5", "-o", "f.npy")
    ran = run("invert", "m.h5", "y.npy", *words)
    assert "searches begin inside (input 1 'flow' at 2, not 0.5)" in ran.err
    ran = run("invert", "m.h5", "y.npy", *words[:2], "--fix", "valve=4")
    assert "--fix > input 2 'valve': got 4" in ran.err
    (model / "y.csv").write_text("purity,yield,loss\n0.5,nan,1\n")
    ran = run("invert", "m.h5", "y.csv", *words[:2])
    assert "y.csv > y > row 0 > output 1 'yield': got NaN" in ran.err


def test_parts_reach_messages_about_rows(two):
    x = dict(np.load("x.npz"))
    x["b"][3, 1] = np.nan
    np.savez("nan.npz", **x)
    ran = run("check", "m.h5", "--pairs", "nan.npz", "y.npz")
    assert "nan.npz > X of --pairs > row 3 > column 5 'b[1]': got nan" in ran.err
    y = dict(np.load("y.npz"))
    y["q"][2, 0] += 100.0
    np.savez("off.npz", **y)
    ran = run("check", "m.h5", "--pairs", "x.npz", "off.npz")
    assert "worst output 4 'q[0]'" in " ".join(ran.out.split())
