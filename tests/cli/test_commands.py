"""Each command on small files: streams, outputs, exit codes, JSON."""

import io
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cli_runner import READ, SAMPLES, run

from nninvert.arrays import read_array
from nninvert.cli._streams import Streams
from nninvert.cli.demo import Demo
from nninvert.errors import MachineError
from nninvert.report.json import schema


def document(done):
    """The JSON on stdout, held against the schema that it names."""
    found = json.loads(done.out)
    name = found["schema"].removeprefix("nninvert.").removesuffix("/1")
    jsonschema.Draft202012Validator(schema(name)).validate(found)
    assert found["exit_code"] == done.code
    return found


class TestCheck:
    def test_bijective(self, model):
        done = run("check", "m.h5")
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        assert lines[0].startswith("m.h5   nninvert")
        assert lines[-1] == "next      nninvert invert m.h5 y.npy -o x.npy"
        assert "\nBIJECTIVE onto its image" in done.out

    def test_the_last_line_can_be_run(self, tiny):
        truth = np.load("x.npy")
        last = run("check", "w.npz", *READ).out.splitlines()[-1]
        assert last.startswith("next      nninvert invert w.npz y.npy --activations")
        assert run(*last.split()[2:]).code == 0
        assert np.allclose(np.load("x.npy"), truth, atol=1e-9)
        assert not np.array_equal(np.load("x.npy"), truth)

    def test_not_bijective_is_4(self, folder):
        np.savez("wide.npz", W1=np.ones((2, 3)))
        done = run("check", "wide.npz", "--activations", "linear")
        assert done.code == 4
        assert "NOT ONE-TO-ONE" in done.out or "SINGULAR" in done.out

    def test_reachable_targets(self, model):
        done = run("check", "m.h5", "--target", "y.npy")
        assert done.code == 0
        assert "target  y.npy: 4 of 4 rows reachable" in done.out

    def test_unreachable_target_is_5(self, model):
        y = np.load("y.npy")
        y[1] = 1e3
        np.save("far.npy", y)
        done = run("check", "m.h5", "--target", "far.npy")
        assert done.code == 5
        assert "far.npy: 3 of 4 rows reachable" in done.out
        assert done.out.splitlines()[-1].startswith("next      nninvert invert m.h5 far")

    def test_target_from_stdin(self, model):
        done = run("check", "m.h5", "--target", "-", stdin=Path("y.npy").read_bytes())
        assert done.code == 0

    def test_stdin_only_once(self, model):
        done = run("check", "m.h5", "--pairs", "-", "-", stdin=Path("x.npy").read_bytes())
        assert done.code == 2
        assert "standard input only once" in done.err

    def test_the_file_of_a_wrong_pair_is_named(self, model):
        np.save("nan.npy", np.full_like(np.load("y.npy"), np.nan))
        done = run("check", "m.h5", "--pairs", "x.npy", "nan.npy")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert done.err.startswith("nan.npy > Y of --pairs > row 0")
        done = run("check", "m.h5", "--target", "nan.npy")
        assert done.err.startswith("nan.npy > y > row 0 > output 0: got NaN")

    def test_pairs_agree(self, model):
        done = run("check", "m.h5", "--pairs", "x.npy", "y.npy")
        assert done.code == 0
        assert "your file was read right: f(X) = Y to" in done.out

    def test_pairs_find_the_reading_and_propose_it(self, tiny):
        wrong = ("--activations", "relu,linear", "--orientation", "in,out")
        done = run("check", "w.npz", *wrong, "--pairs", "x.npy", "y.npy")
        assert "your file was read right" in done.out
        last = done.out.splitlines()[-1]
        assert "--orientation out,in --activations tanh,linear" in last

    def test_pairs_and_parts_of_the_model_are_proposed_together(self, tiny):
        wrong = ("--activations", "relu,linear", "--until", "1")
        done = run("check", "w.npz", *wrong, "--pairs", "x.npy", "y.npy")
        last = done.out.splitlines()[-1]
        assert last.endswith("--activations tanh,linear --until 1 -o x.npy")

    def test_standard_input_is_not_proposed_again(self, model):
        done = run("check", "m.h5", "--target", "-", stdin=Path("y.npy").read_bytes())
        assert done.out.endswith("next      nninvert invert m.h5 y.npy -o x.npy\n")

    def test_options_are_proposed_again(self, model):
        words = ("--target", "y.npy", "--within", "0.5", "--fix", "x0=0.1")
        last = run("check", "m.h5", *words).out.splitlines()[-1]
        assert "y.npy --within 0.5 --fix x0=0.1 -o x.npy" in last

    def test_max_condition(self, model):
        done = run("check", "m.h5", "--max-condition", "1")
        assert "above --max-condition 1e0: layers 0 " in done.out

    def test_json(self, model):
        done = run("check", "m.h5", "--target", "y.npy", "--inputs", "x.npy", "--json")
        found = document(done)
        assert found["verdict"] == "BIJECTIVE"
        assert found["target"]["reachable"] == 4
        assert found["digits"]["jacobian"]["at"] == "inputs"
        assert done.err == ""

    def test_plain(self, model):
        done = run("check", "m.h5", "--plain")
        header, *rows = (line.split("\t") for line in done.out.splitlines())
        assert header[0] == "index"
        assert len(rows) == 2
        assert float(rows[0][header.index("cond")]) > 1

    def test_quick(self, model):
        assert "not computed (--quick)" in run("check", "m.h5", "--quick").out

    def test_colour_only_where_a_terminal_may_have_it(self, model):
        shown = run("check", "m.h5", stdout_terminal=True, colour=True).out
        assert "\x1b[32;1mBIJECTIVE\x1b[0m" in shown
        assert "\x1b" not in run("check", "m.h5", stdout_terminal=True).out
        assert "\x1b" not in run("check", "m.h5", colour=True).out

    def test_width_of_the_terminal_is_used_only_by_a_terminal(self, model):
        def widest(**options):
            lines = run("check", "m.h5", **options).out.splitlines()
            return max(len(line) for line in lines if line.startswith("  "))

        assert widest(stdout_terminal=True, width=200) > 80
        assert widest(stdout_terminal=False, width=200) <= 80


class TestInvert:
    def test_to_a_file(self, model):
        truth = np.load("x.npy")
        done = run("invert", "m.h5", "y.npy", "-o", "found.npy")
        assert (done.code, done.out) == (0, "")
        assert done.err.startswith("solved 4 of 4 rows, |f(x) - y|/|y| <= ")
        assert done.err.endswith("wrote found.npy (4, 3) float64\n")
        assert done.err.count("\n") == 1
        assert np.allclose(np.load("found.npy"), truth, atol=1e-9)

    def test_whole_screen_on_a_terminal(self, model):
        done = run("invert", "m.h5", "y.npy", "-o", "f.npy", stderr_terminal=True)
        labels = [line.split("  ")[0] for line in done.err.splitlines() if line[0] != " "]
        assert labels == ["plan", "solved", "residual", "accuracy", "wrote"]

    def test_verbose_tells_a_file_as_much(self, model):
        assert "\nresidual" in run("invert", "m.h5", "y.npy", "-o", "f.npy", "-v").err

    def test_quiet(self, model):
        assert run("invert", "m.h5", "y.npy", "-o", "f.npy", "-q").err == ""

    def test_without_output_a_pipe_gets_csv_with_every_digit(self, model):
        done = run("invert", "m.h5", "y.npy")
        assert done.out.splitlines()[0] == "x0,x1,x2"
        run("invert", "m.h5", "y.npy", "-o", "f.npy")
        Path("again.csv").write_text(done.out)
        assert np.array_equal(read_array("again.csv").values, np.load("f.npy"))

    def test_without_output_a_terminal_gets_a_small_table(self, model):
        done = run("invert", "m.h5", "y.npy", stdout_terminal=True)
        lines = done.out.splitlines()
        assert lines[0].split() == ["row", "x0", "x1", "x2"]
        assert len(lines) == 5

    def test_plain_table(self, model):
        done = run("invert", "m.h5", "y.npy", "--plain", stdout_terminal=True)
        assert done.out.splitlines()[0] == "x0\tx1\tx2"

    def test_echo_through_a_pipe(self, model):
        text = ",".join(map(repr, np.load("y.npy")[0].tolist())).encode()
        done = run("invert", "m.h5", "-", stdin=text + b"\n")
        assert done.code == 0
        assert len(done.out.splitlines()) == 2

    def test_npy_to_a_pipe_and_back(self, model):
        done = run("invert", "m.h5", "y.npy", "-o", "-")
        assert done.err.endswith("wrote x to stdout (4, 3) float64\n")
        x = np.load(io.BytesIO(done.raw))
        again = run("forward", "m.h5", "-", "-o", "-", stdin=done.raw)
        assert np.allclose(np.load(io.BytesIO(again.raw)), np.load("y.npy"), atol=1e-12)
        assert x.shape == (4, 3)

    def test_binary_is_not_written_to_a_terminal(self, model):
        done = run("invert", "m.h5", "y.npy", "-o", "-", stdout_terminal=True)
        assert (done.code, done.raw) == (2, b"")
        assert "the output is binary" in done.err

    def test_json_holds_x_unless_it_is_written(self, model):
        inside = document(run("invert", "m.h5", "y.npy", "--json"))
        assert np.array(inside["x"]).shape == (4, 3)
        assert inside["counts"]["solved"] == 4
        outside = document(run("invert", "m.h5", "y.npy", "--json", "-o", "f.npy"))
        assert (outside["x"], outside["output"]) == (None, "f.npy")
        assert np.array_equal(np.load("f.npy"), np.array(inside["x"]))

    def test_json_and_npy_cannot_share_stdout(self, model):
        done = run("invert", "m.h5", "y.npy", "--json", "-o", "-")
        assert done.code == 2
        assert "--json: got -o - as well" in done.err
        assert json.loads(done.out)["exit_code"] == 2

    def test_unsolved_row_is_5_and_written(self, model):
        y = np.load("y.npy")
        y[2] = 1e3
        np.save("far.npy", y)
        done = run("invert", "m.h5", "far.npy", "-o", "f.npy", "--rows", "r.csv")
        assert done.code == 5
        assert done.err.startswith("solved 3 of 4 rows")
        assert np.load("f.npy").shape == (4, 3)
        header, *rows = Path("r.csv").read_text().splitlines()
        assert header == (
            "row,status,residual,relative_residual,digits,unique,free_dimensions,"
            "method,proof,reason"
        )
        assert [row.split(",")[1] == "solved" for row in rows] == [True, True, False, True]

    def test_input_is_not_replaced_without_force(self, model):
        before = Path("y.npy").read_bytes()
        done = run("invert", "m.h5", "y.npy", "-o", "y.npy")
        assert done.code == 2
        assert "--force" in done.err
        assert Path("y.npy").read_bytes() == before
        assert run("invert", "m.h5", "y.npy", "-o", "y.npy", "--force").code == 0
        assert Path("y.npy").read_bytes() != before

    def test_an_ordinary_output_is_replaced(self, model):
        np.save("f.npy", np.zeros(3))
        assert run("invert", "m.h5", "y.npy", "-o", "f.npy").code == 0
        assert np.load("f.npy").shape == (4, 3)

    def test_output_that_cannot_be_written_is_6(self, model):
        done = run("invert", "m.h5", "y.npy", "-o", "no/such/f.npy")
        assert done.code == 6
        assert done.err.startswith("no/such/f.npy: got a folder that does not exist")

    def test_data_that_cannot_be_used_is_3(self, model):
        Path("bad.csv").write_text("1,2,zwei\n")
        assert run("invert", "m.h5", "bad.csv").code == 3
        np.save("nan.npy", np.full((2, 3), np.nan))
        assert run("invert", "m.h5", "nan.npy").code == 3

    def test_a_file_whose_shape_does_not_fit_is_named(self, model):
        np.save("turned.npy", np.load("y.npy").T)
        done = run("invert", "m.h5", "turned.npy")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert done.err.startswith("turned.npy > y: got shape (")
        assert done.err.endswith("It may be transposed: rows come first.\n")
        np.save("short.npy", np.zeros(1 + np.load("x.npy").shape[1]))
        for word, field in (("--near", "near"), ("--lower", "--lower")):
            done = run("invert", "m.h5", "y.npy", word, "short.npy")
            assert done.err.startswith(f"short.npy > {field}: got shape (")

    def test_nan_is_free(self, model):
        y = np.load("y.npy")
        y[:, 1] = np.nan
        np.save("some.npy", y)
        assert "--nan-is-free" in run("invert", "m.h5", "some.npy").err
        assert run("invert", "m.h5", "some.npy", "--nan-is-free", "-o", "f.npy").code == 0

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--method", "exat"], "Did you mean exact?"),
            (["--dtype", "float46"], "Did you mean float64?"),
            (["--time-limit", "0"], "--time-limit: got 0, expected more than 0"),
            (["--rows", "r.txt"], "expected .csv"),
            (["-o", "x.xyz"], "got the suffix '.xyz'"),
            (["-o", "r.csv", "--rows", "r.csv"], "--rows: got the file of -o"),
            (["--single", "--as-rows"], "--single: got --as-rows as well"),
            (["--fix", "x9=1"], "--fix: got the input 'x9'"),
            (["--fix", "x0"], "--fix: got 'x0', expected NAME=VALUE with a number"),
            (["--within", "1,2"], "--within: got 2 numbers, expected one, or 3"),
            (["--lower", "1,2"], "--lower"),
        ],
    )
    def test_usage_errors_come_before_the_work(self, words, message, model):
        done = run("invert", "m.h5", "y.npy", *words)
        assert done.code == 2
        assert message in done.err
        assert done.out == ""

    def test_float32_is_what_is_written_and_judged(self, model):
        np.save("y32.npy", np.load("y.npy").astype(np.float32))
        done = run("invert", "m.h5", "y32.npy", "--dtype", "float32", "-o", "f.npy")
        assert done.code == 0
        assert done.err.endswith("wrote f.npy (4, 3) float32\n")
        x = np.load("f.npy")
        assert x.dtype == np.float32
        run("forward", "m.h5", "f.npy", "-o", "again.npy")
        worst = np.linalg.norm(np.load("again.npy") - np.load("y32.npy"), axis=1)
        assert worst.max() > 1e-9

    def test_bounds_fixed_and_near_by_name(self, model):
        Path("b.csv").write_text(
            "name,lower,upper,fixed,near\nfeed,-2,2,,0.1\nT,-2,2,,\nflow,,,,\n"
        )
        near = np.load("x.npy")[0]
        np.save("target.npy", np.load("y.npy")[:1])
        done = run(
            *("invert", "m.h5", "target.npy", "--within", "0.5", "--bounds", "b.csv"),
            *("--fix", f"T={float(near[1])!r}", "-o", "f.csv"),
        )
        assert done.code == 0
        assert Path("f.csv").read_text().splitlines()[0] == "feed,T,flow"
        assert read_array("f.csv").values[0, 1] == near[1]

    def test_images_keep_their_shape_in_binary_files(self, folder):
        # A file of bare weights has flat inputs; the model's own shape is (3,).
        np.savez("eye.npz", W1=np.eye(3))
        np.save("y.npy", np.arange(3.0))
        assert (
            run("invert", "eye.npz", "y.npy", "--activations", "linear", "-o", "x.npy").code
            == 0
        )
        assert np.load("x.npy").shape == (1, 3)


class TestForward:
    def test_to_a_file(self, model):
        done = run("forward", "m.h5", "x.npy", "-o", "f.npy")
        assert (done.code, done.err) == (0, "wrote f.npy (4, 3) float64\n")
        assert np.allclose(np.load("f.npy"), np.load("y.npy"), atol=1e-14)

    def test_table_and_json(self, model):
        assert run("forward", "m.h5", "x.npy").out.startswith("y0,y1,y2\n")
        found = document(run("forward", "m.h5", "x.npy", "--json"))
        assert np.allclose(found["y"], np.load("y.npy"), atol=1e-14)

    def test_wrong_shape_is_3(self, model):
        np.save("five.npy", np.ones((2, 5)))
        assert run("forward", "m.h5", "five.npy").code == 3


class TestConvert:
    def test_round_trip(self, tiny):
        done = run("convert", "w.npz", *READ, "-o", "own.npz")
        assert (done.code, done.out) == (0, "")
        assert done.err == "wrote own.npz 2 layers, 24 parameters, float64\n"
        run("forward", "own.npz", "x.npy", "-o", "f.npy")
        assert np.allclose(np.load("f.npy"), np.load("y.npy"), atol=1e-14)

    def test_json(self, model):
        found = document(run("convert", "m.h5", "-o", "own.npz", "--json"))
        assert found["output"] == "own.npz"

    def test_output_is_asked_for(self, model):
        assert run("convert", "m.h5").code == 2

    def test_a_part(self, model):
        assert run("convert", "m.h5", "--until", "0", "-o", "part.h5").code == 0
        assert "1 layer, all known" in run("info", "part.h5").out

    def test_input_is_not_replaced(self, model):
        assert run("convert", "m.h5", "-o", "m.h5").code == 2


class TestInfo:
    def test_known_layers_end_with_a_command_that_runs(self, tiny):
        done = run("info", "w.npz")
        last = done.out.splitlines()[-1]
        assert last == "next      nninvert check w.npz --activations tanh,linear"
        assert run(*last.split()[2:]).code == 0

    def test_where_things_are(self, model):
        done = run("info", str(SAMPLES / "camera.h5"))
        assert "/model_weights/dense/" in done.out
        assert "3 layers, all known" in done.out

    def test_json_and_plain(self, model):
        found = document(run("info", "m.h5", "--json"))
        assert found["layers_known"] is True
        plain = run("info", "m.h5", "--plain").out.splitlines()
        assert plain[0].startswith("index\tname\tclass")

    def test_unknown_layers_are_marked_and_left_out(self):
        path = SAMPLES.parent / "tests" / "formats" / "data" / "keras3_lambda.h5"
        done = run("info", str(path))
        assert done.code == 0
        assert "\n!" in done.out
        assert document(run("info", str(path), "--json"))["layers_known"] is False

    def test_registry(self):
        done = run("info", "--layers")
        assert "tanh" in done.out
        assert "Dense" in done.out
        assert document(run("info", "--layers", "--json"))["keras_layers"]
        assert "tanh\tyes\t(-1, 1)" in run("info", "--layers", "--plain").out


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder that the demo kept, and what it printed."""
    kept = tmp_path_factory.mktemp("demo") / "kept"
    return kept, run("demo", "--keep", str(kept))


class TestDemo:
    def test_prints_what_it_runs_and_shows_the_digit(self, told):
        _, done = told
        assert (done.code, done.err) == (0, "")
        commands = [line for line in done.out.splitlines() if line.startswith("$ ")]
        assert commands == [
            "$ nninvert check camera.h5",
            "$ nninvert invert camera.h5 camera_y.npy -o x.npy",
            "$ nninvert invert camera.h5 measured.npy --method exact -o exact.npy",
            "$ nninvert invert camera.h5 measured.npy --within 3% --near "
            "camera_near.npy -o near.npy",
        ]
        assert "solved 297 of 297 rows" in done.out
        assert "██" in done.out

    def test_kept_files_repeat_every_command(self, told, monkeypatch):
        kept, done = told
        assert f"files     {kept}" in done.out
        monkeypatch.chdir(kept)
        before = np.load("near.npy")
        for line in done.out.splitlines():
            if line.startswith("$ nninvert"):
                assert run(*line.split()[2:]).code in (0, 5)
        assert np.array_equal(np.load("near.npy"), before)

    def test_the_lesson_is_true(self, told):
        kept, _ = told
        truth = np.load(kept / "camera_x.npy")[:12]
        exact, near = np.load(kept / "exact.npy"), np.load(kept / "near.npy")
        assert np.abs(exact).max() > 50
        assert np.linalg.norm(near - truth) < 0.5 * np.linalg.norm(truth)

    def test_leaves_nothing_behind(self, folder, monkeypatch):
        temporary = folder / "temporary"
        temporary.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        assert run("demo").code == 0
        assert list(temporary.iterdir()) == []

    def test_a_folder_that_cannot_be_made_is_6(self, folder):
        Path("taken").write_bytes(b"")
        assert run("demo", "--keep", "taken").code == 6

    def test_a_command_that_fails_ends_the_story(self, folder, monkeypatch):
        told = Demo(Streams(io.BytesIO(), io.StringIO(), io.StringIO()))
        with pytest.raises(MachineError, match="exit code 3 from: nninvert check none"):
            told._run("check", "none.h5")

    def test_missing_samples_are_6(self, monkeypatch):
        monkeypatch.setattr("nninvert.cli.demo.FILES", ("no-such-file",))
        assert run("demo").code == 6
