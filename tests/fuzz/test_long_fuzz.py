"""The long fuzz finds what it looks for, and its first cases of every reader are sound."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

BAD = """
import os, signal, sys
from pathlib import Path
import fuzz_child
from fuzz_targets import Target
from long_fuzz import fuzz
from nninvert.errors import FormatError

fuzz_child.SECONDS = 0.3
numbers = {fuzz_child.chance_of("t", n).random(): n for n in range(10)}

def make(chance):
    return {"a": b"%d" % numbers[chance.random()]}

def attempt(path, chance):
    number = int(Path(path).read_bytes())
    if number == 1:
        raise KeyError(number)
    if number == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    while number == 3:
        pass
    if number == 4:
        raise FormatError("", got="nothing", expected="something")
    if number == 5:
        bytearray(1 << 31)

keep = Path(sys.argv[1])
print(fuzz("t", Target(make, attempt), 0, 10, keep))
print(*sorted(folder.name for folder in keep.iterdir()))
"""


def run(*arguments):
    if not Path("/dev/shm").is_dir():
        pytest.skip("files in memory are needed")
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE,
        env={"PYTHONPATH": f"{HERE}:{HERE.parents[1]}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_bad_end_is_noticed_and_kept(tmp_path):
    ended = run("-c", BAD, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    tally, kept = ended.stdout.splitlines()
    assert "inputs=10, refused=1, opened=5, escaped=2, slow=0, timeouts=1" in tally
    assert "in_hdf5=0, crashes=1" in tally
    names = kept.split()
    assert names[:1] == ["t_crash_2"]
    assert names[-1:] == ["t_timeout_3"]
    assert [name[-2:] for name in names[1:-1]] in (["_1", "_5"], ["_5", "_1"])


def test_the_first_cases_of_every_reader(tmp_path):
    ended = run("long_fuzz.py", "--count", "25", "--keep", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not list(tmp_path.iterdir())
    _facts, _title, *lines = ended.stdout.splitlines()
    counts = [[int(n.replace(",", "")) for n in line.split()[1:9]] for line in lines]
    assert all(inputs == 25 and not any(bad) for inputs, _, _, *bad in counts)
    assert sum(opened for _, _, opened, *_ in counts) > len(counts)
