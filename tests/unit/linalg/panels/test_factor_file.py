"""Factor files: what is found in them, and what is refused."""

import errno
import fcntl
import itertools
import json
import os
import struct
import subprocess
import sys
import time
import zlib

import pytest
from panel_stores import (
    add_region,
    factor_into,
    finished_file,
    in_memory,
    normal,
    same_bits,
)

from nninvert.errors import FormatError, InputError, MachineError, OutputError
from nninvert.linalg.panels import journal
from nninvert.linalg.panels.factor_file import (
    JOURNAL,
    MAGIC,
    PART,
    FactorFile,
    is_factor_file,
)
from nninvert.linalg.panels.region import PAGE, Region, Weights
from nninvert.linalg.stored import ArrayMatrix

HEAD = struct.Struct("<17sB6xQQI")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "factors")


def change(path, offset, values):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(values)


def flip(path, offset):
    with open(path, "rb") as file:
        file.seek(offset)
        byte = file.read(1)[0]
    change(path, offset, bytes([byte ^ 1]))


def read_all(store):
    blocks = range(len(store.cuts))
    for sweep in (store.lowers(blocks), store.uppers(blocks)):
        for _ in sweep:
            pass


# Made and found again.


def test_a_finished_file_gives_back_what_was_made(path):
    matrix = normal(70, "float32")
    finished_file(path, matrix, 24)
    assert os.listdir(os.path.dirname(path)) == ["factors"]
    assert is_factor_file(path)
    with FactorFile.open(path) as file:
        region = file.find(Weights.of(ArrayMatrix(matrix)))
        assert region is not None
        assert region.weights.digest == ArrayMatrix(matrix).digest()
        assert same_bits(file.store(region), in_memory(matrix, 24))
        assert file.find(Weights.of(ArrayMatrix(normal(70, "float32", seed=1)))) is None
        assert file.find(Weights.of(ArrayMatrix(matrix).transposed)) is None


def test_several_matrices_lie_in_one_file_and_the_finest_is_found(path):
    first, second = normal(50, "float32"), normal(33, "float64", seed=1)
    with FactorFile.begin(path) as file:
        regions = [
            add_region(file, first, 20, "float32"),
            add_region(file, second, 64),
            add_region(file, first, 20, "float64"),
        ]
        for region, matrix in zip(regions, (first, second, first), strict=True):
            factor_into(file.store(region), matrix)
        file.finish()
    with FactorFile.open(path) as file:
        assert [r.offset % PAGE for r in file.regions] == [0, 0, 0]
        found = file.find(Weights.of(ArrayMatrix(first)))
        assert found is not None
        assert found.dtype == "float64"
        assert same_bits(file.store(found), in_memory(first, 20, dtype="float64"))
        assert same_bits(file.store(file.regions[0]), in_memory(first, 20))
        assert same_bits(file.store(file.regions[1]), in_memory(second, 64))


def test_what_was_not_factored_to_the_end_is_not_listed(path):
    """Factors in float32 may be given up for those in float64."""
    matrix = normal(50, "float32")
    with FactorFile.begin(path) as file:
        add_region(file, matrix, 20, "float32")
        factor_into(file.store(add_region(file, matrix, 20, "float64")), matrix)
        file.finish()
    with FactorFile.open(path) as file:
        assert [region.dtype for region in file.regions] == ["float64"]
        assert same_bits(
            file.store(file.regions[0]), in_memory(matrix, 20, dtype="float64")
        )


@pytest.mark.parametrize("n", [1, 31, 64, 100])
@pytest.mark.parametrize("width", [1, 32, 100, 200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pieces_neither_overlap_nor_leave_the_region(n, width, dtype):
    region = Region(Weights((n, n), dtype, "x"), False, n, width, dtype, 3 * PAGE)
    spans = []
    for k in range(len(region.cuts)):
        for offset, (rows, columns) in (region.lower(k), region.upper(k)):
            assert offset % PAGE == 0
            spans.append((offset, offset + rows * columns * region.itemsize))
        offset, count = region.pivots(k)
        spans.append((offset, offset + 4 * count))
    spans.sort()
    assert spans[0][0] == region.offset
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert spans[-1][1] <= region.end
    assert Region.from_record(json.loads(json.dumps(region.as_record()))) == region


# Damage.


def test_every_flipped_byte_of_numbers_is_noticed_when_first_read(path, rng):
    matrix = normal(60, "float64")
    finished_file(path, matrix, 25)
    with FactorFile.open(path) as file:
        region = file.regions[0]
        pieces = [piece(k) for piece in (region.lower, region.upper) for k in range(3)]
    for offset, (rows, columns) in pieces:
        for place in (offset, offset + int(rng.integers(rows * columns * 8))):
            flip(path, place)
            with FactorFile.open(path) as file:
                store = file.store(file.regions[0])
                with pytest.raises(FormatError, match="checksum") as caught:
                    read_all(store)
                assert caught.value.file == path
            flip(path, place)
    with FactorFile.open(path) as file:
        read_all(file.store(file.regions[0]))


def test_a_sweep_that_ends_in_damage_can_be_followed_by_another(path):
    finished_file(path, matrix := normal(60, "float64"), 10)
    with FactorFile.open(path) as file:
        region = file.regions[0]
        flip(path, region.lower(3)[0])
        store = file.store(region)
        for _ in range(2):
            with pytest.raises(FormatError):
                list(store.lowers(range(6)))
        flip(path, region.lower(3)[0])
        assert same_bits(store, in_memory(matrix, 10))


def test_a_sweep_that_was_broken_off_does_not_disturb_the_next(path, monkeypatch):
    """Block 1 is read ahead, slowly, for a sweep that ends; then block 3 is read there."""
    finished_file(path, matrix := normal(60, "float64"), 10)
    read = os.preadv
    with FactorFile.open(path) as file:
        slow = file.regions[0].lower(1)[0]

        def preadv(descriptor, buffers, offset):
            if offset == slow:
                time.sleep(0.1)
            return read(descriptor, buffers, offset)

        monkeypatch.setattr(os, "preadv", preadv)
        store = file.store(file.regions[0])
        left = store.lowers(range(6))
        next(left)
        *_, block = store.lowers([2, 3])
        time.sleep(0.2)
        assert (block == in_memory(matrix, 10).array[30:, 30:40]).all()
        left.close()
        assert same_bits(store, in_memory(matrix, 10))


def test_damaged_pivots_are_noticed_at_once(path):
    finished_file(path, normal(60, "float64"), 25)
    with FactorFile.open(path) as file:
        offset, _ = file.regions[0].pivots(1)
        flip(path, offset)
        with pytest.raises(FormatError, match="pivots"):
            file.store(file.regions[0])


@pytest.mark.parametrize("lost", [1, 100, PAGE, 5 * PAGE, 10**6])
def test_a_file_that_was_cut_off_is_refused(path, lost):
    finished_file(path, normal(60, "float64"), 25)
    os.truncate(path, max(0, os.path.getsize(path) - lost))
    with pytest.raises(FormatError, match=r"cut off|no factor file"):
        FactorFile.open(path)


@pytest.mark.parametrize("offset", range(HEAD.size))
def test_any_changed_byte_of_the_head_is_refused(path, offset):
    finished_file(path, normal(20, "float64"), 25)
    if 18 <= offset < 24:
        return  # Six bytes that mean nothing.
    with open(path, "rb") as file:
        byte = file.read(HEAD.size)[offset]
    for mask in (1, 128, 255):
        change(path, offset, bytes([byte ^ mask]))
        with pytest.raises(FormatError) as caught:
            FactorFile.open(path)
        assert caught.value.file == path


def test_a_damaged_manifest_is_refused(path):
    finished_file(path, normal(20, "float64"), 25)
    flip(path, os.path.getsize(path) - 3)
    with pytest.raises(FormatError, match="manifest"):
        FactorFile.open(path)


@pytest.mark.parametrize(
    "edit",
    [
        {"width": 0},
        {"n": -1},
        {"n": 10**9, "weights": {"shape": [10**9] * 2, "stored": "", "fingerprint": ""}},
        {"n": 10**9},
        {"width": 3},
        {"dtype": "int8"},
        {"dtype": None},
        {"offset": 5},
        {"offset": -4096},
        {"checks": []},
        {"checks": [[1]]},
        {"checks": 7},
        {"weights": 3},
        {"weights": {"shape": "x", "stored": "", "fingerprint": ""}},
        {"unknown": 1},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(path, edit):
    """Its checksum is right: another program wrote it."""
    finished_file(path, normal(20, "float64"), 25)
    with FactorFile.open(path) as file:
        record = {**file.regions[0].as_record(), **edit}
    text = json.dumps({"regions": [record]}).encode()
    with open(path, "rb") as stored:
        _, _, offset, _, _ = HEAD.unpack(stored.read(HEAD.size))
    change(path, 0, HEAD.pack(MAGIC, 1, offset, len(text), zlib.crc32(text)))
    os.truncate(path, offset)
    change(path, offset, text)
    with pytest.raises(FormatError, match="manifest"):
        FactorFile.open(path)


@pytest.mark.parametrize("content", [b"", b"x", b"\x89HDF\r\n", MAGIC, b"\0" * 9000])
def test_other_files_are_no_factor_files(path, content):
    with open(path, "wb") as file:
        file.write(content)
    assert is_factor_file(path) is (content == MAGIC)
    with pytest.raises(FormatError, match="no factor file"):
        FactorFile.open(path)


def test_a_missing_file_is_said_to_be_missing(path):
    assert not is_factor_file(path)
    with pytest.raises(InputError, match="no such file"):
        FactorFile.open(path)


def test_another_version_is_named(path):
    finished_file(path, normal(20, "float64"), 25)
    change(path, len(MAGIC), b"\x07")
    with pytest.raises(FormatError, match="got 7"):
        FactorFile.open(path)


# Unfinished files.


def test_unfinished_factors_opened_as_finished_are_refused(path):
    matrix = normal(60, "float64")
    with FactorFile.begin(path) as file:
        factor_into(file.store(add_region(file, matrix, 25)), matrix)
    assert is_factor_file(path + PART)
    with pytest.raises(FormatError, match="not finished"):
        FactorFile.open(path + PART)
    with pytest.raises(InputError, match="no such file"):
        FactorFile.open(path)


def test_what_is_discarded_is_gone(path):
    with FactorFile.begin(path) as file:
        add_region(file, normal(20, "float64"), 25)
        file.discard()
        file.discard()
    assert os.listdir(os.path.dirname(path)) == []


def test_two_at_once_are_refused_and_the_first_is_not_disturbed(path):
    matrix = normal(60, "float64")
    with FactorFile.begin(path) as file:
        region = add_region(file, matrix, 25)
        with open(path + JOURNAL, "ab") as notes:
            notes.write(b"half a li")
        with pytest.raises(MachineError, match="another nninvert"):
            FactorFile.begin(path)
        with open(path + JOURNAL, "rb") as notes:
            assert notes.read().endswith(b"half a li")
        factor_into(file.store(region), matrix)
        file.finish()
    with FactorFile.open(path) as file:
        read_all(file.store(file.regions[0]))


def test_another_process_is_refused(path):
    program = (
        "import sys\n"
        "from nninvert.errors import MachineError\n"
        "from nninvert.linalg.panels.factor_file import FactorFile\n"
        "try:\n    FactorFile.begin(sys.argv[1])\n"
        "except MachineError as error:\n"
        "    sys.exit('refused' if 'another nninvert' in str(error) else 1)\n"
    )
    with FactorFile.begin(path):
        done = subprocess.run(
            [sys.executable, "-c", program, path],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr.strip() == "refused"


def test_a_file_that_is_finished_while_another_waits_is_not_touched(path, monkeypatch):
    """The other one opened the unfinished file, and gets the lock of the finished one."""
    matrix = normal(20, "float64")
    with FactorFile.begin(path) as first:
        factor_into(first.store(add_region(first, matrix, 25)), matrix)

        def flock(descriptor, operation):
            monkeypatch.undo()
            first.finish()

        monkeypatch.setattr(fcntl, "flock", flock)
        with FactorFile.begin(path) as second:
            assert second.regions == []
    with FactorFile.open(path) as file:
        read_all(file.store(file.regions[0]))


def test_a_file_of_another_program_is_not_overwritten(path):
    with open(path + PART, "wb") as file:
        file.write(b"half a download of something else")
    with pytest.raises(MachineError, match="another program"):
        FactorFile.begin(path)
    with open(path + PART, "rb") as file:
        assert file.read() == b"half a download of something else"


@pytest.mark.parametrize("left", ["file", "journal"])
def test_one_without_the_other_begins_anew(path, left):
    matrix = normal(60, "float64")
    with FactorFile.begin(path) as file:
        factor_into(file.store(add_region(file, matrix, 25)), matrix)
    os.unlink(path + (JOURNAL if left == "file" else PART))
    with FactorFile.begin(path) as file:
        assert file.regions == []
        factor_into(file.store(add_region(file, matrix, 30)), matrix)
        file.finish()
    with FactorFile.open(path) as file:
        assert [region.width for region in file.regions] == [30]
        assert same_bits(file.store(file.regions[0]), in_memory(matrix, 30))


def test_a_journal_of_another_version_is_refused_and_kept(path):
    with FactorFile.begin(path):
        pass
    os.unlink(path + JOURNAL)
    journal.append(path + JOURNAL, {"format": "nninvert factors", "version": 99})
    with pytest.raises(MachineError, match="version 99"):
        FactorFile.begin(path)
    assert os.path.exists(path + JOURNAL)


@pytest.mark.parametrize(
    "records", [[{}], [{"version": 1}, {}], [{"version": 1}, {"place": 0, "region": {}}]]
)
def test_a_journal_that_makes_no_sense_is_refused(path, records):
    with FactorFile.begin(path):
        pass
    os.unlink(path + JOURNAL)
    for record in records:
        journal.append(path + JOURNAL, record)
    with pytest.raises(MachineError, match="version unknown"):
        FactorFile.begin(path)


# Disks.


def test_a_folder_that_is_missing_is_said_to_be(tmp_path):
    with pytest.raises(OutputError, match="No such file"):
        FactorFile.begin(str(tmp_path / "nowhere" / "factors"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_on_the_disk_is_noticed_before_any_work(path, monkeypatch, number):
    def full(descriptor, offset, length):
        os.ftruncate(descriptor, offset + length // 2)
        raise OSError(number, os.strerror(number))

    with FactorFile.begin(path) as file:
        size = os.path.getsize(path + PART)
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", full)
            with pytest.raises(MachineError, match="no room for"):
                add_region(file, normal(60, "float64"), 25)
        assert file.regions == []
        assert os.path.getsize(path + PART) == size
    assert len(journal.read(path + JOURNAL)) == 1


def test_a_limit_of_the_file_size_is_said(path):
    """The real thing: the system refuses a file of this size."""
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from panel_stores import add_region, normal\n"
        "from nninvert.errors import OutputError\n"
        "from nninvert.linalg.panels.factor_file import FactorFile\n"
        "try:\n    add_region(FactorFile.begin(sys.argv[1]), normal(200, 'float64'), 50)\n"
        "except OutputError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert "File too large" in done.stdout


def test_a_failed_write_leaves_the_journal_true(path, monkeypatch):
    matrix = normal(100, "float64")
    with FactorFile.begin(path) as file:
        store = file.store(add_region(file, matrix, 20))
        write, left = os.pwrite, [10]

        def failing(*rest):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EIO, "Input/output error")
            return write(*rest)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", failing)
            with pytest.raises(MachineError, match="Input/output error"):
                factor_into(store, matrix)
    records = journal.read(path + JOURNAL)
    with FactorFile.begin(path) as file:
        region = file.regions[0]
        assert len(region.checks) == len(records) - 2 == 3
        store = file.store(region)
        assert store.first_damaged() is None
        factor_into(store, matrix)
        assert same_bits(store, in_memory(matrix, 20))


def test_sweeps_tell_how_far_they_are_and_end_where_that_raises(path):
    matrix, told = normal(100, "float64"), []
    with FactorFile.begin(path) as file:
        store = file.store(add_region(file, matrix, 20), lambda *place: told.append(place))
        factor_into(store, matrix)
        told.clear()
        assert [block.shape for block in store.uppers(range(5))][-1] == (100, 20)
        assert store.first_damaged() is None
    assert told == 2 * [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]


def test_numbers_are_on_the_disk_before_the_journal_says_so(path, monkeypatch):
    steps = []
    sync, append = os.fdatasync, journal.append
    monkeypatch.setattr(os, "fdatasync", lambda file: steps.append("disk") or sync(file))
    monkeypatch.setattr(
        journal, "append", lambda *rest: steps.append("journal") or append(*rest)
    )
    matrix = normal(50, "float64")
    with FactorFile.begin(path) as file:
        region = add_region(file, matrix, 20)
        steps.clear()
        factor_into(file.store(region), matrix)
    assert steps == ["disk", "journal"] * 3


def test_a_journal_that_cannot_be_written_is_said(path, monkeypatch):
    matrix = normal(50, "float64")

    def fail(name, record):
        raise OSError(errno.ENOSPC, "No space left on device")

    with FactorFile.begin(path) as file:
        region = add_region(file, matrix, 20)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "append", fail)
            with pytest.raises(OutputError, match="No space"):
                factor_into(file.store(region), matrix)
            with pytest.raises(OutputError, match="No space"):
                add_region(file, matrix, 30)
        assert file.regions == [region]
    with FactorFile.begin(path) as file:
        assert [r.checks for r in file.regions] == [[]]


def test_a_file_that_cannot_be_finished_stays(path, monkeypatch):
    matrix = normal(50, "float64")

    def fail(*rest):
        raise OSError(errno.EACCES, "Permission denied")

    with FactorFile.begin(path) as file:
        factor_into(file.store(add_region(file, matrix, 20)), matrix)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", fail)
            with pytest.raises(OutputError, match="Permission denied"):
                file.finish()
    with FactorFile.begin(path) as file:
        assert file.regions[0].finished
        file.finish()
    with FactorFile.open(path) as file:
        assert same_bits(file.store(file.regions[0]), in_memory(matrix, 20))
