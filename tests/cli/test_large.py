"""Large layers on the command line: plans, factor files, what an interrupt leaves.

What counts as large is set so that layers of 60 units do.
"""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cli_runner import run
from holes import write_holes

from nninvert import tolerances
from nninvert.analysis import planning
from nninvert.cli._resources import bytes_of
from nninvert.errors import Interrupted, OutOfTime, UsageError
from nninvert.linalg.panels import workspace
from nninvert.linalg.panels.file_store import FileStore
from nninvert.linalg.plan import SLACK
from nninvert.report.json import schema

N = 60
READ = ("--activations", "tanh,linear", "--orientation", "out,in")


def layer(rng, n=N):
    return (rng.standard_normal((n, n)) / n**0.5 + 2 * np.eye(n)).astype(np.float32)


def save_model(path, rng, n=N):
    """Two square layers of n units, tanh between, and targets y.npy of x.npy."""
    weights = {"W1": layer(rng, n), "W2": layer(rng, n)}
    for name in ("b1", "b2"):
        weights[name] = rng.standard_normal(n).astype(np.float32)
    np.savez(path, **weights)
    exact = {name: values.astype(np.float64) for name, values in weights.items()}
    x = rng.uniform(-0.4, 0.4, (3, n))
    hidden = np.tanh(x @ exact["W1"].T + exact["b1"])
    np.save("x.npy", x)
    np.save("y.npy", hidden @ exact["W2"].T + exact["b2"])


@pytest.fixture
def large(folder, rng, monkeypatch):
    """m.npz with two large layers in the current folder, which counts as a disk."""
    monkeypatch.setattr(tolerances, "SVD_WORK", 1e4)
    monkeypatch.setattr(workspace, "_MEMORY_FILESYSTEMS", ())
    save_model("m.npz", rng)
    return folder


def document(done):
    """The JSON on stdout, held against the schema that it names."""
    found = json.loads(done.out)
    name = found["schema"].removeprefix("nninvert.").removesuffix("/1")
    jsonschema.Draft202012Validator(schema(name)).validate(found)
    assert found["exit_code"] == done.code
    return found


def invert(*words):
    done = run("invert", "m.npz", "y.npy", *READ, "-o", "found.npy", *words)
    if done.code == 0:
        np.testing.assert_allclose(np.load("found.npy"), np.load("x.npy"), atol=1e-11)
    return done


def factored(*words):
    return run("factor", "m.npz", *READ, "-o", "m.factors", *words)


class TestSizes:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("16GiB", 16 << 30),
            ("512MiB", 512 << 20),
            ("512 MiB", 512 << 20),
            ("2e9", 2_000_000_000),
            ("9.2GB", 9_200_000_000),
            ("16G", 16 << 30),
            ("1.5k", 1536),
            ("100kB", 100_000),
            ("1T", 1 << 40),
            ("7B", 7),
        ],
    )
    def test_are_read(self, text, size):
        assert bytes_of(text, "--memory") == size

    @pytest.mark.parametrize("text", ["", "0", "lots", "16Gib", "-1", "1e", "3 %", "GiB"])
    def test_or_refused(self, text):
        with pytest.raises(UsageError, match="--memory 16GiB"):
            bytes_of(text, "--memory")


class TestDryRun:
    def test_hundred_thousand_units_by_a_hundred_thousand(self, folder, monkeypatch):
        monkeypatch.setattr(workspace, "_MEMORY_FILESYSTEMS", ())
        write_holes(Path("big.h5"), 100_000)
        assert Path("big.h5").stat().st_size > 2e10
        words = ("--activations", "tanh", "--memory", "16GiB", "--dry-run")
        found = document(run("check", "big.h5", *words, "--json"))
        (planned,) = found["layers"]
        assert (planned["inputs"], planned["outputs"]) == (100_000, 100_000)
        assert (planned["stored"], planned["precision"]) == ("float16", "float32")
        assert planned["in_file"]
        assert 4.0e10 <= found["disk"]["needed"] <= 4.2e10
        assert found["memory"]["needed"] <= found["memory"]["allowed"] == 16 << 30
        assert found["disk"]["file"] == "big.h5.factors"

    def test_says_what_and_why_and_what_next(self, large):
        done = run("check", "m.npz", *READ, "--dry-run", "-v")
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        header = next(line.split() for line in lines if line.startswith(" #"))
        wanted = ["#", "layer", "shape", "engine", "memory", "disk", "passes", "time"]
        assert header == wanted
        assert "panel float32" in done.out
        assert "\nmachine    products " in done.out
        assert lines[-1] == (
            "next       nninvert check m.npz --activations tanh,linear --orientation out,in"
        )

    def test_knows_the_number_of_targets(self, large):
        done = run("invert", "m.npz", "y.npy", *READ, "--dry-run", "--json")
        assert document(done)["targets"] == 3
        words = ("--target", "y.npy", "--dry-run")
        done = run("check", "m.npz", *READ, *words)
        assert "with 3 targets" in done.out
        assert "--target y.npy" in done.out.splitlines()[-1]
        assert not Path("x.npy.factors").exists()

    def test_next_command_of_invert_says_the_same_without_dry_run(self, large):
        more = ("--memory", "2GiB", "--engine", "panel", "--method", "exact")
        done = run("invert", "m.npz", "y.npy", *READ, *more, "--dry-run", "-o", "f.npy")
        next_step = done.out.splitlines()[-1].split()
        assert next_step[0] == "next"
        assert "--dry-run" not in next_step
        assert run(*next_step[2:]).code == 0
        assert Path("f.npy").exists()

    def test_of_factor_counts_the_disk(self, large):
        found = document(factored("--dry-run", "--json"))
        assert found["disk"]["needed"] > 2 * 4 * N * N
        assert found["disk"]["file"] == "m.factors"
        assert not list(Path().glob("*.factors*"))

    def test_plain(self, large):
        header, *rows = run("check", "m.npz", *READ, "--dry-run", "--plain").out.split("\n")
        assert header.split("\t")[:3] == ["index", "name", "inputs"]
        assert rows[1].split("\t")[:3] == ["1", "W2", "60"]

    def test_of_a_small_network(self, model):
        done = run("check", "m.h5", "--dry-run")
        assert done.code == 0
        assert "2 small layers, seconds at most: nothing to plan" in done.out
        assert document(run("check", "m.h5", "--dry-run", "--json"))["machine"] is None

    def test_without_room_is_6_but_shown(self, large, monkeypatch):
        no_room(monkeypatch)
        done = factored("--dry-run")
        assert done.code == 6
        assert "NOT ENOUGH" in done.out

    def test_of_a_memory_that_does_not_suffice(self, large):
        done = run("check", "m.npz", *READ, "--memory", "1MiB", "--dry-run")
        assert done.code == 6
        assert done.err.startswith("--memory: got 0 MiB left for factors of order 60")


def no_room(monkeypatch):
    usage = planning.shutil.disk_usage(".")
    monkeypatch.setattr(
        planning.shutil, "disk_usage", lambda folder: usage._replace(free=100)
    )


class TestFactor:
    def test_then_invert_and_check_with_the_factors(self, large):
        done = factored()
        assert (done.code, done.out) == (0, "")
        first, last = done.err.splitlines()
        assert first.startswith("wrote m.factors 0 MB, made in ")
        assert "--factors m.factors" in last
        assert run(*last.split()[2:]).code == 0
        done = invert("--factors", "m.factors", "-v")
        assert done.code == 0
        assert done.err.count("factors of order 60 taken from the file") == 2
        done = run("check", "m.npz", *READ, "--factors", "m.factors", "--verify")
        assert done.code == 0

    def test_json(self, large):
        found = document(factored("--json"))
        assert found["factors"]["file"] == "m.factors"
        assert found["factors"]["bytes"] == Path("m.factors").stat().st_size

    def test_check_makes_them_too(self, large):
        done = run("check", "m.npz", *READ, "-o", "m.factors", "--json")
        assert document(done)["kept_factors"]["file"] == "m.factors"
        Path("m.factors").unlink()
        done = run("check", "m.npz", *READ, "-o", "m.factors")
        assert "\n  factors   kept m.factors, 0 MB, made in " in done.out
        assert done.out.splitlines()[-1].endswith("--factors m.factors -o x.npy")
        assert invert("--factors", "m.factors").code == 0

    def test_layers_of_one_size_get_their_own_factors(self, large):
        factored()
        planned = document(
            run("check", "m.npz", *READ, "--factors", "m.factors", "--dry-run", "--json")
        )
        assert [found["engine"] for found in planned["layers"]] == ["file", "file"]
        assert planned["disk"]["needed"] == 0

    def test_factors_of_another_model_are_refused(self, large, rng):
        factored()
        save_model("m.npz", rng)
        done = invert("--factors", "m.factors")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert done.err.startswith("m.factors > weights: got factors of other weights")
        assert run("check", "m.npz", *READ, "--factors", "m.factors").code == 3

    def test_factors_for_a_small_model_are_refused(self, large, monkeypatch):
        factored()
        monkeypatch.setattr(tolerances, "SVD_WORK", 1e9)
        done = invert("--factors", "m.factors")
        assert done.code == 3
        assert "got factors of another model" in done.err

    def test_nothing_to_factor(self, model):
        for words in (["factor", "m.h5"], ["check", "m.h5"]):
            done = run(*words, "-o", "m.factors")
            assert done.code == 2
            assert done.err.startswith("m.h5 > factors: got no layer that is large, dense")

    def test_a_file_that_is_there_is_kept_unless_forced(self, large):
        Path("m.factors").write_bytes(b"precious")
        for made in (factored(), run("check", "m.npz", *READ, "-o", "m.factors")):
            assert made.code == 2
            assert "--force" in made.err
            assert Path("m.factors").read_bytes() == b"precious"
        assert factored("--force").code == 0
        assert invert("--factors", "m.factors").code == 0

    def test_without_room_nothing_begins(self, large, monkeypatch):
        no_room(monkeypatch)
        done = factored()
        assert done.code == 6
        assert "m.factors > factors: got 0.0 GB free on this disk" in done.err
        assert not list(Path().glob("*.factors*"))

    def test_memory_in_disguise_is_refused(self, large, monkeypatch):
        monkeypatch.setattr(workspace, "_MEMORY_FILESYSTEMS", ("pretended",))
        monkeypatch.setattr(workspace, "_filesystem", lambda folder: ("pretended", "/"))
        done = factored()
        assert done.code == 6
        assert "which is memory" in done.err

    def test_factors_are_no_model(self, large):
        factored()
        for words in (["check"], ["info"], ["invert", "y.npy"]):
            done = run(words[0], "m.factors", *words[1:])
            assert done.code == 3
            assert done.err.startswith("m.factors: got factors that nninvert made, not a")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["check", "--engine", "panell"], "Did you mean panel?"),
            (["check", "--verify"], "--verify: got no --factors"),
            (["check", "--factors", "f", "--engine", "iterative"], "--engine: got iter"),
            (["factor", "-o", "f", "--engine", "lapack"], "--engine: got lapack, and a"),
            (["check", "-o", "f", "--quick"], "-o: got --quick as well"),
            (["check", "-o", "f", "--factors", "g"], "-o: got --factors as well"),
            (["check", "-o", "f", "--scratch", "."], "--scratch: got -o as well"),
            (["check", "--memory", "much"], "--memory: got 'much'"),
            (["factor", "-o", "-"], "-o: got a stream"),
            (["factor", "-o", "f", "--scratch", "."], "has no option --scratch"),
            (["factor", "-o", "m.npz"], "got the name of an input file"),
        ],
    )
    def test_usage_errors_come_before_the_work(self, words, message, large):
        command, *more = words
        done = run(command, "m.npz", *READ, *more)
        assert done.code == 2
        assert message in done.err

    def test_places_that_are_not_there(self, large):
        assert run("factor", "m.npz", *READ, "-o", "no/such/f").code == 6
        done = invert("--scratch", "nowhere")
        assert done.code == 6
        assert done.err.startswith("nowhere > --scratch: got no such folder")


SMALL = 600
LITTLE = SLACK + 8 * 8 * 3 * SMALL + 6 * 32 * 4 * SMALL
"""Memory in which a layer of 600 units has to be factored in a file, in six blocks."""


@pytest.fixture
def in_file(large, rng):
    """Layers that do not fit into the memory that is allowed."""
    save_model("m.npz", rng, SMALL)
    return ("--memory", str(LITTLE))


class TestScratch:
    def test_lies_beside_the_output_and_is_removed(self, in_file, monkeypatch):
        seen = set()
        keep = FileStore.keep

        def watched(store, *arguments):
            seen.update(path.name for path in Path("out").iterdir())
            keep(store, *arguments)

        Path("out").mkdir()
        monkeypatch.setattr(FileStore, "keep", watched)
        done = run("invert", "m.npz", "y.npy", *READ, "-o", "out/f.npy", *in_file)
        assert done.code == 0
        assert seen == {"f.npy.factors.part", "f.npy.factors.part.journal"}
        assert {path.name for path in Path("out").iterdir()} == {"f.npy"}

    def test_that_took_long_is_kept_and_used_again(self, in_file, monkeypatch):
        monkeypatch.setattr(workspace, "WORTH_KEEPING", 0.0)
        done = invert(*in_file)
        assert ", kept found.npy.factors, 3 MB, made in " in done.err
        assert "--factors found.npy.factors next time, or delete it" in done.err
        assert invert("--factors", "found.npy.factors").code == 0

    def test_that_took_long_is_removed_if_asked(self, in_file, monkeypatch):
        monkeypatch.setattr(workspace, "WORTH_KEEPING", 0.0)
        assert "kept" not in invert(*in_file, "--discard-factors").err
        assert not list(Path().glob("*.factors*"))

    def test_of_check_is_called_after_the_model(self, in_file, monkeypatch):
        monkeypatch.setattr(workspace, "WORTH_KEEPING", 0.0)
        Path("elsewhere").mkdir()
        words = ("check", "m.npz", *READ, *in_file, "--scratch", "elsewhere")
        assert run(*words).code == 0
        assert Path("elsewhere/m.npz.factors").exists()


def cut_short(monkeypatch, how=KeyboardInterrupt):
    """Let the work end after three panels were kept."""
    calls = []
    keep = FileStore.keep

    def interrupted(store, *arguments):
        keep(store, *arguments)
        calls.append(1)
        if len(calls) == 3:
            raise how

    monkeypatch.setattr(FileStore, "keep", interrupted)


class TestResume:
    @pytest.mark.parametrize(
        ("how", "code"),
        [
            (KeyboardInterrupt, 130),
            (Interrupted("LU factorisation", got="an interrupt"), 130),
            (OutOfTime("--time-limit", got="3 seconds"), 6),
        ],
    )
    def test_whatever_ends_it_the_same_command_goes_on(
        self, in_file, monkeypatch, how, code
    ):
        cut_short(monkeypatch, how)
        done = factored(*in_file)
        assert done.code == code
        assert "m.factors.part (0.0 GB) keeps" in done.err
        assert "the same command goes on from there" in done.err
        assert not Path("m.factors").exists()
        done = run("info", "m.factors.part")
        assert done.err.startswith("m.factors.part: got unfinished factors of nninvert")
        done = factored(*in_file, "-v")
        assert done.code == 0
        assert "  going on with " in done.err
        assert not Path("m.factors.part").exists()
        assert invert("--factors", "m.factors").code == 0

    def test_other_weights_do_not_go_on(self, in_file, monkeypatch, rng):
        cut_short(monkeypatch)
        assert factored(*in_file).code == 130
        save_model("m.npz", rng, SMALL)
        done = factored(*in_file)
        assert done.code == 3
        assert "unfinished factors of other weights" in done.err

    def test_nothing_is_left_where_nothing_was_finished(self, in_file):
        done = invert(*in_file, "--time-limit", "1e-9")
        assert done.code == 6
        assert "--time-limit: got 1e-09 seconds" in done.err
        assert not list(Path().glob("*.factors*"))


class TestNotices:
    def test_structure_and_conditions_come_as_they_are_known(self, large):
        done = run("check", "m.npz", *READ, stderr_terminal=True)
        assert done.code == 0
        lines = done.err.splitlines()
        assert lines[0].startswith("  structure: square layers and one-to-one activations")
        assert lines[1].startswith("  layer 0 'W1': 60 x 60 float32, square; ")
        conditions = [line for line in lines if ": condition about " in line]
        assert len(conditions) == 2

    def test_nobody_is_told_where_nobody_reads(self, large):
        assert run("check", "m.npz", *READ).err == ""
        assert run("check", "m.npz", *READ, "-q", stderr_terminal=True).err == ""

    def test_small_networks_are_silent(self, model):
        assert run("check", "m.h5", stderr_terminal=True).err == ""
