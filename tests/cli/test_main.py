"""What holds for all commands: help, version, wrong words, errors, exit codes."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runner import SAMPLES, run

from nninvert import __version__, cli
from nninvert.cli import COMMANDS, check, convert, demo, factor, forward, info, invert
from nninvert.cli._boundary import guarded
from nninvert.cli._options import Manner
from nninvert.cli._options.resources import _ENGINES
from nninvert.cli._streams import Streams, may_colour
from nninvert.cli._work import PATIENCE, Bar, interruptible
from nninvert.context import Context, Notice, Progress
from nninvert.errors import ExitCode
from nninvert.linalg.plan import ENGINES
from nninvert.methods import METHODS
from nninvert.report.json import schema

MODULES = (demo, info, check, invert, forward, factor, convert)
SOURCE = Path(cli.__file__).resolve().parents[2]


def process(*words, **options):
    """Start the command line as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)} | options.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "nninvert", *words],
        capture_output=True,
        env=environment,
        timeout=120,
        **options,
    )


def test_version():
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"nninvert {__version__}\n".encode())


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_begins_with_examples_and_lists_the_commands_in_order(words, capsys):
    assert run(*words).code == 0
    text = capsys.readouterr().out
    places = [text.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert text.index("nninvert demo") < text.index("Options")
    for code in ExitCode:
        assert f" {int(code)} {code.meaning[:40]}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_teaches_by_example_first(name, capsys):
    assert run(name, "--help").code == 0
    text = capsys.readouterr().out
    assert text.index(f"\n   nninvert {name}") < text.index("╭─")


@pytest.mark.parametrize("name", COMMANDS)
def test_at_most_twelve_options_are_called_common(name, capsys):
    run(name, "--help")
    text = capsys.readouterr().out
    common = re.search(r"╭─ Common.*?╰", text, re.DOTALL)
    assert len(re.findall(r"^│ -", common[0] if common else "", re.MULTILINE)) <= 12


def test_help_prose_fits_eighty_columns():
    for module in MODULES:
        assert max(map(len, module._HELP.splitlines())) <= 78, module.__name__


def test_help_names_the_methods_that_exist():
    named = invert._METHODS.replace(" or ", ", ").split(", ")
    assert named == ["auto", *METHODS]


def test_help_names_the_engines_that_exist():
    assert _ENGINES.replace(" or ", ", ").split(", ") == list(ENGINES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chek", "m.h5"], "command: got 'chek', expected one of demo, info, check,"),
        (["chek", "m.h5"], "Did you mean check?"),
        (["invert", "m", "y", "--witin", "3%"], "Did you mean --within?"),
        (["check", "m", "--zzz"], "nninvert check has no option --zzz. See: nninvert"),
        (["check"], "Missing argument 'MODEL'. See: nninvert check --help"),
        (["check", "a", "b"], "extra argument"),
        (["--nonsense"], "See: nninvert --help"),
        (["check", "m", "--json", "--plain"], "--json: got --plain as well"),
        (["check", "m", "--threads", "0"], "--threads: got 0, expected 1 or more"),
        (["info"], "neither MODEL nor --layers"),
        (["info", "m", "--layers"], "MODEL and --layers"),
    ],
)
def test_wrong_command_lines_say_the_right_one(words, message, folder):
    done = run(*words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert ("nninvert.error/1" in done.out) == ("--json" in words)


def test_a_file_in_place_of_a_command(folder):
    Path("my net.h5").write_bytes(b"")
    assert "Did you mean: nninvert check 'my net.h5'" in run("my net.h5").err


def test_wrong_command_line_as_json():
    done = run("check", "--json")
    found = json.loads(done.out)
    assert found["schema"] == "nninvert.error/1"
    assert found["exit_code"] == done.code == 2
    assert set(schema("error")["required"]) <= set(found)


def test_missing_file_is_one_line_with_code_3(folder):
    done = run("check", "none.h5")
    assert done.code == 3
    assert done.err.startswith("none.h5: got no such file")
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_missing_file_as_json_tells_both_streams(folder):
    done = run("invert", "none.h5", "y.npy", "--json")
    found = json.loads(done.out)
    assert found["file"] == "none.h5"
    assert found["exit_code"] == 3
    assert done.err == found["message"] + "\n"


def test_debug_shows_the_traceback(folder):
    assert "Traceback" not in run("check", "none.h5").err
    assert "Traceback (most recent call last)" in run("check", "none.h5", "--debug").err


def streams_of_process():
    return Streams(sys.stdin, sys.stdout, sys.stderr)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (MemoryError("Unable to allocate 9 GiB"), 6, "memory: got Unable to allocate 9"),
        (ZeroDivisionError("x"), 1, f"a bug in nninvert {__version__}: ZeroDivisionError"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_every_other_end(error, code, said, capsys):
    def fail():
        raise error

    assert guarded(fail, streams_of_process(), json=False, debug=False) == code
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert "Traceback" not in shown


def test_a_bug_shows_its_traceback_with_debug(capsys):
    def fail():
        raise ZeroDivisionError("x")

    guarded(fail, streams_of_process(), json=False, debug=True)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_closed_pipe_ends_quietly(model):
    np.save("many.npy", np.zeros((20000, 3)))
    command = f"{sys.executable} -m nninvert forward m.h5 many.npy"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=120,
        check=True,
    )
    assert done.stdout.decode().splitlines() == ["y0,y1,y2", "141"]
    assert done.stderr == b""


def test_threads_are_set_before_numpy_is_loaded(model):
    code = (
        "import sys, os; from nninvert.cli import main\n"
        "assert 'numpy' not in sys.modules\n"
        "main(['check', 'm.h5', '--threads', '1', '--plain'])\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": "2"},
        timeout=120,
        check=True,
    )
    assert done.stdout.decode().splitlines()[-1] == "1"


THREADS_IN_USE = """
import ctypes, sys
from pathlib import Path
from nninvert.cli import main
main(["check", "m.h5", "--threads", sys.argv[1], "-q", "--plain"])
import scipy.linalg
maps = Path("/proc/self/maps").read_text().split()
for path in sorted({word for word in maps if "openblas" in word and ".so" in word}):
    library = ctypes.CDLL(path)
    for name in ("{}get_num_threads64_", "{}get_num_threads"):
        for prefix in ("scipy_openblas_", "openblas_"):
            if hasattr(library, name.format(prefix)):
                print(Path(path).name, getattr(library, name.format(prefix))())
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_govern_both_linear_algebra_libraries(threads, model):
    """Those that numpy and scipy bring, whatever the environment said before."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS_IN_USE, threads],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": "3"},
        timeout=120,
        check=True,
    )
    used = [line.split() for line in done.stdout.decode().splitlines() if ".so" in line]
    if not used:
        pytest.skip("numpy and scipy bring no OpenBLAS here")
    assert len({name for name, _ in used}) == 2
    assert {count for _, count in used} == {threads}


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
    ],
)
def test_colours_are_up_to_the_environment(environment, allowed):
    assert may_colour(environment) is allowed


def test_names_that_the_encoding_lacks_do_not_end_the_program(model):
    Path("m.h5").rename("mö.h5")
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = process("check", "mö.h5", env=environment)
    assert done.returncode == 0
    assert rb"m\xf6.h5" in done.stdout


def start(*words):
    """Start the command line and leave it running."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "nninvert", *words],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def test_interrupt_keeps_the_best_so_far(folder):
    targets = str(SAMPLES / "camera_measured.npy")
    with start(
        *("invert", str(SAMPLES / "camera.h5"), targets),
        *("-o", "x.npy", "--rows", "rows.csv", "-v"),
    ) as started:
        assert started.stderr is not None
        for line in started.stderr:
            if line.startswith(b"  lsq: "):
                break
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert err.startswith(b"interrupted: keeping the best so far")
    assert b"\nstopped" in err
    assert np.load("x.npy").shape == (297, 64)
    statuses = [line.split(",")[1] for line in Path("rows.csv").read_text().splitlines()]
    assert "stopped" in statuses


STUBBORN = """
import signal, time
from nninvert.cli._streams import Streams
from nninvert.cli._work import interruptible
from nninvert.context import Context
context = Context()
with interruptible(context, Streams.of_process()):
    print("working", flush=True)
    while not context.interrupted:
        time.sleep(0.01)
    print("asked to stop", flush=True)
    time.sleep(60)
"""


def test_second_interrupt_ends_even_what_does_not_listen():
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"working\n"
        started.send_signal(signal.SIGINT)
        assert started.stdout.readline() == b"asked to stop\n"
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=30)
    # By the signal itself; a shell shows 130.
    assert started.returncode == -signal.SIGINT
    assert err.startswith(b"interrupted: keeping the best so far")


def test_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with interruptible(Context(), streams_of_process()):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupt_before_there_is_anything_ends_with_130(folder):
    np.savez("w.npz", W1=np.eye(2))
    os.mkfifo("pipe")
    words = ["forward", "w.npz", "pipe", "--activations", "tanh"]
    with start(*words) as started:
        # The FIFO is opened for writing once the process reads it.
        writer = os.open("pipe", os.O_WRONLY)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=30)
        os.close(writer)
    assert (started.returncode, err) == (130, b"interrupted\n")


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """It stands still; the terminal can move its cursor."""
    monkeypatch.setenv("TERM", "xterm")
    return Clock()


def bar_and_stderr(clock, terminal=True, large_layers=0, **manner):
    err = io.StringIO()
    streams = Streams(io.BytesIO(), io.StringIO(), err, stderr_is_terminal=terminal)
    return Bar(streams, Manner(**manner), clock, large_layers), err


def test_bar_appears_after_two_seconds(clock):
    bar, err = bar_and_stderr(clock)
    bar(Progress("solving", 1, 10))
    bar.close()
    assert err.getvalue() == ""
    clock.now = PATIENCE + 0.1
    bar(Progress("solving", 5, 10))
    bar.close()
    assert re.search(r"solving .* 50 % .* left", err.getvalue())


def steps(bar, clock, *done, stage="LU", total=100):
    """One event a second."""
    for value in done:
        clock.now += 1.0
        bar(Progress(stage, value, total))


def test_bar_tells_the_time_left_by_the_pace_of_its_stage(clock):
    bar, err = bar_and_stderr(clock)
    # An earlier run had done half of it.
    steps(bar, clock, 50, 51, 52, 53)
    bar.close()
    assert re.search(r"LU .* 53 % 47 s left", err.getvalue())


def test_bar_has_an_estimate_when_it_first_appears(clock):
    bar, err = bar_and_stderr(clock)
    steps(bar, clock, 0, 10)
    bar.close()
    assert re.search(r"LU .* 10 % 9 s left", err.getvalue())


def test_bar_begins_anew_with_every_layer(clock):
    bar, err = bar_and_stderr(clock, large_layers=3)
    steps(bar, clock, 1, 50, 100)
    assert "LU, layer 1 of 3" in err.getvalue()
    clock.now += 100.0
    steps(bar, clock, 1, 21)
    bar.close()
    # Not by the pace of the layer before, nor by the time between the two.
    assert re.search(r"LU, layer 2 of 3 .* 21 % 4 s left", err.getvalue())


def test_notices_of_large_layers_are_shown_to_a_person(clock):
    for terminal, quiet, shown in (
        (True, False, "  why\n"),
        (False, False, ""),
        (True, True, ""),
    ):
        bar, err = bar_and_stderr(clock, terminal, large_layers=1, quiet=quiet)
        bar(Notice("why"))
        assert err.getvalue() == shown


def test_notices_do_not_break_the_bar(clock):
    bar, err = bar_and_stderr(clock, large_layers=1)
    steps(bar, clock, 0, 10, 20)
    bar(Notice("why [0] is not markup"))
    bar.close()
    assert "  why [0] is not markup" in err.getvalue()


@pytest.mark.parametrize("where", [{"quiet": True}, {"terminal": False}])
def test_no_bar_when_quiet_or_not_on_a_terminal(where, clock):
    bar, err = bar_and_stderr(clock, **where)
    clock.now = 60.0
    bar(Progress("solving", 5, 10))
    bar.close()
    assert err.getvalue() == ""


def test_no_bar_on_a_dumb_terminal(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    bar, err = bar_and_stderr(clock)
    clock.now = 60.0
    bar(Progress("solving", 5, 10))
    assert err.getvalue() == ""


@pytest.mark.parametrize(("verbose", "shown"), [(False, ""), (True, "  why\n")])
def test_notices_are_shown_only_when_verbose(verbose, shown, clock):
    bar, err = bar_and_stderr(clock, verbose=verbose)
    bar(Notice("why"))
    assert err.getvalue() == shown
