"""Which source is meant, and what stands there instead."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import pytest

from nninvert.arrays import read_array
from nninvert.arrays.reading import Rejoined, split_source
from nninvert.errors import FormatError, InputError, UsageError


def test_a_path_that_exists_wins_over_the_colon(tmp_path):
    np.savez(tmp_path / "y.npz", a=np.ones(2))
    whole = tmp_path / "y.npz:a"
    assert split_source(str(whole)) == (str(tmp_path / "y.npz"), "a")
    whole.write_text("7\n")
    assert split_source(str(whole)) == (str(whole), None)
    assert read_array(str(whole)).values.tolist() == [[7.0]]


def test_colons_in_folders_and_keys(tmp_path):
    folder = tmp_path / "run 12:30"
    folder.mkdir()
    np.savez(folder / "y.npz", **{"kernel:0": np.ones(2)})
    path = str(folder / "y.npz")
    assert split_source(f"{path}:kernel:0") == (path, "kernel:0")
    assert split_source(str(folder)) == (str(folder), None)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("no.npz:a", ("no.npz", "a")),
        ("no.H5:/g/x", ("no.H5", "/g/x")),
        (r"C:\data\no.npz:a", (r"C:\data\no.npz", "a")),
        (r"C:\data\no.npz", (r"C:\data\no.npz", None)),
        ("no.csv:a", ("no.csv:a", None)),
        ("y.npz:", ("y.npz:", None)),
        ("", ("", None)),
    ],
)
def test_sources_that_are_not_there(source, expected):
    assert split_source(source) == expected


@pytest.mark.parametrize("name", ["no.npy", "no.npz:a", "no.h5:a", "no/no.csv"])
def test_a_missing_file_is_named_without_its_key(tmp_path, name):
    path = str(tmp_path / name)
    with pytest.raises(InputError, match="got no such file") as caught:
        read_array(path)
    assert caught.value.file == path.removesuffix(":a")


def test_a_key_for_a_file_with_one_array(tmp_path):
    np.save(tmp_path / "y.npy", np.ones(2))
    with pytest.raises(InputError, match="got the key 'a' for a file that holds one"):
        read_array(f"{tmp_path}/y.npy:a")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "> target: got an empty file"),
        (b"\x1f\x8b\x08", "gzip data.*gunzip"),
        (b"\x80\x04\x95", r"a Python pickle \(never loaded\)"),
        (b"MATLAB 5.0 MAT-file", r"a MATLAB 5 file.*-v7\.3"),
        (b"PK\x05\x06", "a zip archive that is cut off or damaged"),
        (b"\x89HDF\r\n\x1a\n", "damaged or unusual HDF5"),
        (b"\x89PNG\r\n\x1a\n\0", "binary data of an unknown kind"),
    ],
)
def test_says_what_the_content_is(tmp_path, content, match):
    path = tmp_path / "y.npy"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=match):
        read_array(str(path), field="target")


def test_a_directory(tmp_path):
    with pytest.raises(InputError, match=r"got a directory.*Name a file inside"):
        read_array(str(tmp_path))


def test_a_name_with_nul():
    with pytest.raises(InputError, match="NUL"):
        read_array("a\0b")


def test_missing_permission(tmp_path, monkeypatch):
    path = tmp_path / "y.npy"
    np.save(path, np.ones(2))

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match="no permission to read it"):
        read_array(str(path))


def test_stdin_must_be_given():
    with pytest.raises(UsageError, match="got '-', expected a file"):
        read_array("-")


def test_a_failing_stream_is_an_input_error():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match="standard input: got a read error"):
        read_array("-", stdin=Failing())


def test_bytes_that_were_looked_at_come_again_in_any_portion():
    stream = Rejoined(b"abcde", io.BytesIO(b"fgh"))
    assert [stream.read(2) for _ in range(6)] == [b"ab", b"cd", b"e", b"fg", b"h", b""]


@pytest.mark.parametrize("kind", ["npy", "csv", "npz"])
def test_a_fifo_is_read_like_stdin(tmp_path, kind):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    values = np.random.default_rng(0).normal(size=(50, 60))
    stream = io.BytesIO()
    save = {"npy": np.save, "csv": lambda f, v: np.savetxt(f, v), "npz": np.savez}
    save[kind](stream, values)

    def feed():
        with open(path, "wb") as pipe:
            pipe.write(stream.getvalue())

    thread = threading.Thread(target=feed)
    thread.start()
    loaded = read_array(path)
    thread.join()
    assert loaded.format == kind
    np.testing.assert_array_equal(loaded.values, values)
