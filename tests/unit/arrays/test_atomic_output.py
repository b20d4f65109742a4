"""Outputs are whole or as before, whatever goes wrong."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from nninvert.arrays import atomic_output, write_array, write_table
from nninvert.errors import OutputError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(b"old")
    return path


def only(path):
    """Nothing else lies in the folder."""
    return os.listdir(path.parent) == [path.name]


def test_the_old_file_stays_until_the_new_one_is_whole(path):
    with atomic_output(str(path)) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
        assert len(os.listdir(path.parent)) == 2
    assert path.read_bytes() == b"new"
    assert only(path)


def test_data_reach_the_disk_before_the_name(path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def spy(*args, name=name, original=original):
            calls.append(name)
            return original(*args)

        monkeypatch.setattr(os, name, spy)
    with atomic_output(str(path)) as stream:
        stream.write(b"new")
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_an_interrupted_write_leaves_no_trace(path, error):
    def write_and_stop():
        with atomic_output(str(path)) as stream:
            stream.write(b"new")
            raise error

    with pytest.raises(error):
        write_and_stop()
    assert path.read_bytes() == b"old"
    assert only(path)


@pytest.mark.parametrize(
    ("number", "match"),
    [
        (errno.ENOSPC, "x.npy: got a full disk, expected a file that can be written"),
        (errno.EDQUOT, "got a disk quota that is used up.*Write elsewhere"),
        (errno.EACCES, "no permission to write there.*another folder"),
        (errno.EROFS, "a file system that is read-only"),
        (errno.EIO, "a write error of the disk"),
        (errno.EBUSY, "Device or resource busy"),
    ],
)
def test_each_failure_is_named(path, number, match):
    with pytest.raises(OutputError, match=match) as caught, atomic_output(str(path)):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 6
    assert path.read_bytes() == b"old"
    assert only(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".txt", ".h5"])
def test_a_disk_that_fills_up(tmp_path, suffix):
    # The limit on the size of files makes the system itself refuse to write on.
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"old")
    code = """
import resource, signal, sys
import numpy as np
from nninvert.arrays import write_array
from nninvert.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_array(sys.argv[1], np.random.default_rng(0).normal(size=(200, 200)))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True
    )
    assert "got a limit on the size of files" in done.stdout, done.stderr
    assert path.read_bytes() == b"old"
    assert only(path)


def test_a_table_that_fails_half_way(tmp_path):
    path = tmp_path / "rows.csv"

    def rows():
        yield [1]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_table(str(path), ["a"], rows())
    assert not os.listdir(tmp_path)


def test_a_full_device():
    with pytest.raises(OutputError, match="/dev/full: got a full disk"):
        write_array("/dev/full", np.ones(100_000))


def test_a_fifo_whose_reader_goes_away(tmp_path):
    path = str(tmp_path / "pipe.npy")
    os.mkfifo(path)

    def look_and_leave():
        with open(path, "rb") as stream:
            stream.read(1)

    thread = threading.Thread(target=look_and_leave)
    thread.start()
    with pytest.raises(BrokenPipeError):
        write_array(path, np.ones(1_000_000))
    thread.join()


def test_devices_are_written_directly():
    write_array("/dev/null", np.ones(10))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_the_shells_own_file_is_not_replaced(tmp_path):
    # With -o /dev/stdout >> file, "file" must stay the file that the shell opened.
    path = tmp_path / "out"
    path.write_bytes(b"before")
    code = """
import numpy as np
from nninvert.arrays import write_array
write_array("/dev/stdout", np.ones(3))
"""
    inode = path.stat().st_ino
    with path.open("ab") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert path.stat().st_ino == inode
    content = path.read_bytes()
    assert content.startswith(b"before")
    assert np.load(io.BytesIO(content[6:])).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permission_bits_of_the_old_file_are_kept(path, mode):
    path.chmod(mode)
    with atomic_output(str(path)):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_follows_the_umask(tmp_path, umask):
    path = tmp_path / "new"
    old = os.umask(umask)
    try:
        with atomic_output(str(path)):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_what_a_link_points_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    real = tmp_path / "folder" / "real"
    real.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("folder/real")
    with atomic_output(str(link)) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert only(real)


def test_a_link_to_nothing_makes_the_file(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("real")
    with atomic_output(str(link)) as stream:
        stream.write(b"new")
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("no/x.npy", "got a folder that does not exist.*mkdir -p .*/no$"),
        (".", "got a directory"),
        ("file/x.npy", "got a folder that does not exist"),
        ("a" * 300, "a name too long"),
        ("loop", "chain of links without an end|folder that"),
    ],
)
def test_targets_that_cannot_be(tmp_path, target, match):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with (
        pytest.raises(OutputError, match=match),
        atomic_output(str(tmp_path / target)) as stream,
    ):
        stream.write(b"new")
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


def test_long_names_leave_room_for_the_temporary_one(tmp_path):
    path = tmp_path / ("é" * 125 + ".npy")
    with atomic_output(str(path)) as stream:
        stream.write(b"new")
    assert only(path)
