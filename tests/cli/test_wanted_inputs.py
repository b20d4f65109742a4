"""--integer and --constraints: from the command line to x."""

import io
import json

import numpy as np
import pytest
from cli_runner import run

from nninvert import from_arrays
from nninvert.cli._options import Wanted
from nninvert.cli._streams import Streams
from nninvert.cli._values import Sources
from nninvert.cli._wanted import resolve
from nninvert.errors import UsageError


@pytest.fixture
def network(rng):
    return from_arrays([(rng.standard_normal((2, 3)), None, "tanh")])


def asked(network, **options):
    streams = Streams(io.BytesIO(), io.StringIO(), io.StringIO())
    return resolve(Wanted(**options), network, Sources(streams))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("name,lower,upper\nfeed T,0,9\nflow,0,9\nvalve,0,1\n")
    return str(path)


class TestResolving:
    def test_whole_numbers_by_name_and_index(self, network, table):
        found = asked(network, bounds=table, integer=["valve", "x1", "flow"])
        assert found.keywords["integer"] == [1, 2]
        with pytest.raises(UsageError, match=r"--integer: got the input 'vlave', .*valve"):
            asked(network, bounds=table, integer=["vlave"])

    def test_constraints_by_name(self, network, table, tmp_path):
        path = tmp_path / "limits.txt"
        path.write_text('"feed T" + 2*flow <= 30\n0 <= x2 - flow # both\nvalve == 1\n')
        rows = asked(network, bounds=table, constraints=str(path)).keywords["constraints"]
        np.testing.assert_array_equal(
            rows.matrix, [[1, 2, 0], [0, 1, -1], [0, 0, 1], [0, 0, -1]]
        )
        np.testing.assert_array_equal(rows.limit, [30, 0, 1, -1])
        assert rows.names == (
            '"feed T" + 2*flow <= 30',
            "0 <= x2 - flow",
            "valve == 1",
            "valve == 1",
        )

    def test_two_names_of_one_input_add_up(self, network, table, tmp_path):
        path = tmp_path / "limits.txt"
        path.write_text("flow + x1 >= 3\n")
        rows = asked(network, bounds=table, constraints=str(path)).keywords["constraints"]
        np.testing.assert_array_equal(rows.matrix, [[0, -2, 0]])

    def test_an_unknown_name_is_located(self, network, table, tmp_path):
        path = tmp_path / "limits.txt"
        path.write_text("# caps\nflow + valv <= 3\n")
        with pytest.raises(UsageError) as caught:
            asked(network, bounds=table, constraints=str(path))
        assert str(caught.value) == (
            f"{path} > --constraints > line 2: got the input 'valv', expected one of "
            "feed T, flow, valve, or an index up to 2. Did you mean valve?"
        )

    def test_words_repeat_the_options(self):
        wanted = Wanted(
            fix=["a=1"], integer=["n", "m"], constraints="c.txt", bounds="b.csv"
        )
        assert wanted.words() == (
            *("--fix", "a=1", "--integer", "n", "--integer", "m"),
            *("--constraints", "c.txt", "--bounds", "b.csv"),
        )


class TestInverting:
    """The model maps 3 inputs to 3 outputs, one to one."""

    def ask_for(self, folder, x, *options):
        np.save(folder / "x.npy", np.atleast_2d(x))
        assert run("forward", "m.h5", "x.npy", "-o", "y.npy").code == 0
        return run("invert", "m.h5", "y.npy", "--json", *options, "-o", "f.npy")

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_whole_numbers_are_written_exactly(self, model, dtype):
        ran = self.ask_for(
            model,
            [1.0, 0.25, -2.0],
            "--integer",
            "x0",
            "--integer",
            "2",
            *("--within", "1e-3", "--lower", "-5", "--upper", "5", "--dtype", dtype),
        )
        assert ran.code == 0, ran.err
        found = np.load(model / "f.npy")
        assert found.dtype == dtype
        # Saturated units may let a nearer x do.
        assert np.linalg.norm(found) <= np.linalg.norm([1.0, 0.25, -2.0]) + 1e-3
        np.testing.assert_array_equal(found[0, [0, 2]], np.round(found[0, [0, 2]]))

    def test_without_a_tolerance(self, model):
        ran = self.ask_for(
            model,
            [[1.0, 0.25, -2.0], [0.0, -0.5, 3.0]],
            "--integer",
            "0",
            *("--integer", "2", "--lower", "-5", "--upper", "5"),
        )
        assert ran.code == 0, ran.err
        found = np.load(model / "f.npy")
        np.testing.assert_array_equal(found[:, [0, 2]], [[1, -2], [0, 3]])

    def test_targets_of_no_whole_numbers_are_not_solved(self, model):
        ran = self.ask_for(
            model, [0.5, 0.25, 0.0], "--integer", "x0", "--lower", "-5", "--upper", "5"
        )
        assert ran.code == 5
        found = np.load(model / "f.npy")
        assert found[0, 0] == np.round(found[0, 0])
        assert json.loads(ran.out)["rows"][0]["status"] != "solved"

    def test_constraints_are_kept(self, model):
        (model / "limits.txt").write_text("x0 + x1 + x2 == 1\nx0 >= x1\n")
        ran = self.ask_for(
            model,
            [0.5, 0.25, 0.25],
            "--constraints",
            "limits.txt",
            "--within",
            "0.5",
            *("--near", "2"),
        )
        assert ran.code == 0, ran.err
        found = np.load(model / "f.npy")[0]
        assert abs(found.sum() - 1.0) < 1e-14
        assert found[0] >= found[1]
        assert "near lies outside the constraints" in ran.out

    def test_constraints_without_a_tolerance(self, model):
        (model / "limits.txt").write_text("x0 + x1 + x2 == 1\n")
        ran = self.ask_for(model, [0.5, 0.25, 0.25], "--constraints", "limits.txt")
        assert ran.code == 0, ran.err
        np.testing.assert_allclose(np.load(model / "f.npy"), [[0.5, 0.25, 0.25]], atol=1e-7)

    def test_what_breaks_a_constraint_is_not_solved(self, model):
        (model / "limits.txt").write_text("x0 + x1 + x2 <= 0.9\n")
        ran = self.ask_for(model, [0.5, 0.25, 0.25], "--constraints", "limits.txt")
        assert ran.code == 5
        assert np.load(model / "f.npy").sum() <= 0.9 + 1e-12

    def test_all_inputs_fixed(self, model):
        fixed = ("--fix", "x0=0.5", "--fix", "x1=0.25", "--fix", "x2=0")
        ran = self.ask_for(model, [0.5, 0.25, 0.0], *fixed)
        assert ran.code == 0
        np.testing.assert_array_equal(np.load(model / "f.npy"), [[0.5, 0.25, 0.0]])
        assert "all inputs are fixed: nothing is searched" in ran.out
        assert self.ask_for(model, [0.5, 0.25, 0.1], *fixed).code == 5

    def test_check_takes_them_for_targets(self, model):
        np.save(model / "x.npy", np.array([[0.3, 2.0, -0.1], [0.3, 1.5, -0.1]]))
        run("forward", "m.h5", "x.npy", "-o", "y.npy")
        asked = ("check", "m.h5", "--target", "y.npy", "--integer", "x1", "--json")
        ran = run(*asked, "--lower", "-1", "--upper", "2")
        assert ran.code == 5, ran.err
        target = json.loads(ran.out)["target"]
        assert target["row"][0]["reachable"] is True
        assert target["row"][1]["reachable"] is not True
        (model / "limits.txt").write_text("x1 <= 1\nx1 >= 2\n")
        assert run(*asked, "--constraints", "limits.txt").code == 2

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_sums_are_kept_by_the_type_that_is_written(self, model, dtype):
        (model / "limits.txt").write_text("x0 + x1 + x2 == 1\nx0 >= x1\n")
        ran = self.ask_for(
            model,
            [0.5, 0.25, 0.25],
            *("--constraints", "limits.txt", "--within", "0.5", "--dtype", dtype),
        )
        assert ran.code == 0, ran.err
        found = np.load(model / "f.npy")[0]
        assert abs(found.sum(dtype=np.float64) - 1.0) <= 4 * np.finfo(dtype).eps

    @pytest.mark.parametrize(
        ("text", "code", "match"),
        [
            ("x0 + <= 3\n", 3, "limits.txt > line 1 > character 6: got '<='"),
            ("x9 <= 3\n", 2, "--constraints > line 1: got the input 'x9'"),
            ("x0 <= 1\nx0 >= 2\n", 2, "got 'x0 <= 1', 'x0 >= 2', which no input can keep"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, model, text, code, match):
        (model / "limits.txt").write_text(text)
        ran = run("invert", "m.h5", "y.npy", "--constraints", "limits.txt", "-o", "f.npy")
        assert ran.code == code
        assert match in ran.err
        assert ran.err.count("\n") == 1

    def test_a_missing_file(self, model):
        ran = run("invert", "m.h5", "y.npy", "--constraints", "no.txt", "-o", "f.npy")
        assert (ran.code, "no.txt: " in ran.err) == (3, True)

    def test_the_file_is_not_overwritten(self, model):
        (model / "limits.csv").write_text("x0,sense,limit\n1,<=,3\n")
        ran = run(
            "invert", "m.h5", "y.npy", "--constraints", "limits.csv", "-o", "limits.csv"
        )
        assert ran.code == 2
        assert "--force" in ran.err

    def test_a_plan_repeats_them(self, model):
        (model / "limits.txt").write_text("x0 <= 3\n")
        ran = run(
            "invert",
            "m.h5",
            "y.npy",
            "--dry-run",
            "--integer",
            "x0",
            "--constraints",
            "limits.txt",
        )
        assert ran.code == 0
        assert "--integer x0 --constraints limits.txt" in " ".join(
            (ran.out + ran.err).split()
        )
