"""The benchmarks measure the program that they start, and nothing of themselves."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parent / "bench"))

from processes import run

MIB = 2**20


def held(mebibytes, code=""):
    """A process that holds so much, and then runs some code."""
    return [sys.executable, "-I", "-c", f"a = bytearray(b'1') * {mebibytes * MIB}\n{code}"]


def test_the_peak_is_that_of_the_program_alone(tmp_path):
    own = np.ones(300 * MIB // 8)
    small = run(held(0), str(tmp_path)).peak
    large = run(held(150), str(tmp_path)).peak
    assert own.nbytes == 300 * MIB
    assert small < 50 * MIB
    assert 140 * MIB < large - small < 160 * MIB


def test_output_time_and_folder_are_those_of_the_program(tmp_path):
    code = (
        "import os, sys, time; time.sleep(0.2); print(os.getcwd()); sys.stderr.write('x')"
    )
    found = run(held(0, code), str(tmp_path))
    assert found.output == f"{tmp_path}\n"
    assert found.errors == "x"
    assert 0.2 < found.seconds < 5.0


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("import sys; sys.exit('bad')", 1), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_a_program_that_fails_is_told_with_what_it_said(code, exit_code, tmp_path):
    with pytest.raises(RuntimeError, match=f"exit {exit_code}"):
        run(held(0, code), str(tmp_path))
