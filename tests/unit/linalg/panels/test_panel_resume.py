"""A killed run is gone on with, to the same bits; what was damaged is made again."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from panel_stores import add_region, factor_into, in_memory, normal, same_bits, solve

from nninvert.errors import FormatError
from nninvert.linalg.panels.factor_file import JOURNAL, PART, FactorFile
from nninvert.linalg.panels.region import Weights
from nninvert.linalg.stored import ArrayMatrix

N, WIDTH = 150, 20
BLOCKS = 8

KILLED = """
import os, signal, sys
from panel_stores import add_region, factor_into, normal
from nninvert.linalg.panels import journal
from nninvert.linalg.panels.factor_file import FactorFile

path, when, calls, most = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
append, write = journal.append, os.pwrite
seen = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted():
    global seen
    seen += 1
    return seen == calls

def journalled(name, record):
    last = counted()
    if last and when == "before the journal":
        die()
    append(name, record)
    if last and when == "torn journal":
        os.truncate(name, os.path.getsize(name) - 9)
        die()
    if last and when == "after the journal":
        die()

def written(descriptor, values, offset):
    if counted():
        write(descriptor, values[: len(values) // 2], offset)
        die()
    return write(descriptor, values, offset)

matrix = normal(150, "float32")
file = FactorFile.begin(path)
region = file.regions[0] if file.regions else add_region(file, matrix, 20)
if when == "half a piece":
    os.pwrite = written
else:
    journal.append = journalled
factor_into(file.store(region), matrix, most)
"""


def run_until_killed(path, when, calls, most=1):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, when, str(calls), str(most)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def go_on(path, most=1):
    """Finish the file; how many blocks were there, and which was damaged."""
    matrix = normal(N, "float32")
    with FactorFile.begin(path) as file:
        region = file.regions[0]
        assert region.weights.matches(Weights.of(ArrayMatrix(matrix)))
        store = file.store(region)
        there, damaged = len(region.checks), store.first_damaged()
        if damaged is not None:
            store.forget(damaged)
        factor_into(store, matrix, most)
        file.finish()
    return there, damaged


def assert_finished(path, most=1):
    with FactorFile.open(path) as file:
        store = file.store(file.regions[0])
        assert same_bits(store, in_memory(normal(N, "float32"), WIDTH, most))
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "factors")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    made = str(tmp_path_factory.mktemp("killed") / "factors")
    run_until_killed(made, "after the journal", 6)
    return made


@pytest.fixture
def partly(path, killed):
    """Six finished blocks of eight."""
    for suffix in (PART, JOURNAL):
        shutil.copyfile(killed + suffix, path + suffix)
    return path


@pytest.mark.parametrize(
    ("when", "calls", "there"),
    [
        ("after the journal", 1, 1),
        ("after the journal", 5, 5),
        ("after the journal", 8, 8),
        ("before the journal", 1, 0),
        ("before the journal", 4, 3),
        ("torn journal", 4, 3),
        ("half a piece", 1, 0),
        ("half a piece", 8, 2),
        ("half a piece", 9, 2),
    ],
)
def test_a_killed_run_is_gone_on_with_to_the_same_bits(path, when, calls, there):
    run_until_killed(path, when, calls)
    assert go_on(path) == (there, None)
    assert_finished(path)


def test_a_run_may_be_killed_again_and_again(path):
    for _ in range(4):
        run_until_killed(path, "after the journal", 2)
    assert go_on(path) == (8, None)
    assert_finished(path)


def test_with_several_resident_blocks_those_of_the_last_panel_are_lost(path):
    run_until_killed(path, "before the journal", 3, most=3)
    assert go_on(path, most=3) == (6, None)
    assert_finished(path, most=3)


def test_the_layout_comes_from_the_journal(partly):
    with FactorFile.begin(partly) as file:
        region = file.regions[0]
        assert (region.n, region.width, region.dtype) == (N, WIDTH, "float32")
        assert len(region.checks) == 6
        assert region.seconds > 0.0


# Damage to finished blocks.


def place_of(path, piece, block):
    with FactorFile.begin(path) as file:
        region = file.regions[0]
        found = getattr(region, piece)(block)
        return found[0] + (3 if piece == "pivots" else 500)


@pytest.mark.parametrize("piece", ["lower", "upper", "pivots"])
@pytest.mark.parametrize("block", [0, 3, 5])
def test_damaged_blocks_are_made_again(partly, piece, block):
    place = place_of(partly, piece, block)
    with open(partly + PART, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 16]))
    assert go_on(partly) == (6, block)
    assert_finished(partly)


def test_the_first_of_several_damaged_blocks_is_found(partly):
    places = [place_of(partly, *x) for x in (("pivots", 2), ("upper", 1), ("lower", 4))]
    with open(partly + PART, "r+b") as file:
        for place in places:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
    assert go_on(partly) == (6, 1)
    assert_finished(partly)


@pytest.mark.parametrize("size", [4096, 20_000, 100_000])
def test_a_file_that_was_cut_off_is_filled_again(partly, size):
    whole = os.path.getsize(partly + PART)
    os.truncate(partly + PART, size)
    with FactorFile.begin(partly):
        # Its space is taken again at once, not when it is written to.
        assert os.path.getsize(partly + PART) == whole
    there, damaged = go_on(partly)
    assert there == 6
    assert damaged is not None
    assert_finished(partly)


def test_what_was_forgotten_stays_so_after_another_kill(partly):
    with FactorFile.begin(partly) as file:
        file.store(file.regions[0]).forget(2)
    run_until_killed(partly, "before the journal", 1)
    with FactorFile.begin(partly) as file:
        assert len(file.regions[0].checks) == 2
    assert go_on(partly) == (2, None)
    assert_finished(partly)


def test_zero_pivots_of_forgotten_blocks_are_forgotten(path):
    matrix = normal(60, "float64")
    matrix[:, [5, 25, 50]] = 0.0
    with FactorFile.begin(path) as file:
        store = factor_into(file.store(add_region(file, matrix, 20)), matrix)
        assert store.zero_pivots == [5, 25, 50]
        store.forget(1)
        assert (store.zero_pivots, len(store.pivots)) == ([5], 1)
    with FactorFile.begin(path) as file:
        store = factor_into(file.store(file.regions[0]), matrix)
        assert store.zero_pivots == [5, 25, 50]
        assert same_bits(store, in_memory(matrix, 20))


def test_blocks_that_were_made_again_are_checked_again(path):
    """A block that was read and trusted before is not trusted once it was rewritten."""
    matrix = normal(60, "float64")
    with FactorFile.begin(path) as file:
        region = add_region(file, matrix, 20)
        store = factor_into(file.store(region), matrix)
        assert store.first_damaged() is None
        store.forget(1)
        other = normal(60, "float64", seed=1)
        other[:, :20] = matrix[:, :20]
        factor_into(store, other)
        with open(path + PART, "r+b") as raw:
            raw.seek(region.lower(2)[0] + 8)
            raw.write(b"\1\2\3\4\5")
        with pytest.raises(FormatError):
            solve(store, np.ones((60, 1)))


def test_a_torn_journal_loses_no_more_than_its_last_step(partly):
    size = os.path.getsize(partly + JOURNAL)
    os.truncate(partly + JOURNAL, size - 1)
    assert go_on(partly) == (5, None)
    assert_finished(partly)


def test_a_journal_damaged_at_its_head_begins_anew(partly):
    with open(partly + JOURNAL, "r+b") as file:
        file.write(b"x")
    with FactorFile.begin(partly) as file:
        assert file.regions == []


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_a_run_that_is_killed_while_finishing_leaves_good_factors(path, monkeypatch, step):
    matrix = normal(N, "float32")

    class Killed(BaseException):
        pass

    def killed(*rest):
        raise Killed

    with FactorFile.begin(path) as file:
        factor_into(file.store(add_region(file, matrix, WIDTH)), matrix)
        with monkeypatch.context() as patch:
            patch.setattr(os, step, killed)
            with pytest.raises(Killed):
                file.finish()
    if step == "replace":
        assert go_on(path) == (BLOCKS, None)
    else:
        with FactorFile.open(path) as file:
            assert same_bits(file.store(file.regions[0]), in_memory(matrix, WIDTH))
        # The journal that was left is of no file: the next one begins anew.
        with FactorFile.begin(path) as file:
            assert file.regions == []
            factor_into(file.store(add_region(file, matrix, WIDTH)), matrix)
            file.finish()
    assert_finished(path)
