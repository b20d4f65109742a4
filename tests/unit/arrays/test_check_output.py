"""Outputs that could not be written are refused before the work."""

from __future__ import annotations

import io
import os
import pty
import threading
from pathlib import Path

import numpy as np
import pytest

from nninvert.arrays import check_output
from nninvert.errors import OutputError, UsageError


class Terminal(io.BytesIO):
    def isatty(self):
        return True


def test_new_and_ordinary_old_files_are_fine(tmp_path):
    path = tmp_path / "x.npy"
    check_output(str(path))
    path.write_bytes(b"old")
    check_output(str(path), inputs=["-", str(tmp_path / "no.npy")])
    assert path.read_bytes() == b"old"


def test_a_name_in_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output("x.csv", inputs=["y.csv"])
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        ("no/x.npy", OutputError, "no/x.npy: got a folder that does not exist"),
        ("file/x.npy", OutputError, "got a folder that does not exist"),
        ("folder.npy", OutputError, "got a directory, expected a file"),
        ("", OutputError, "got a directory, expected a file"),
        ("x.mat", UsageError, r"got the suffix '\.mat', expected \.npy .*\.hdf5"),
        ("x", UsageError, "got no suffix"),
        ("a" * 300 + ".npy", OutputError, "a name too long"),
    ],
)
def test_refused(tmp_path, target, error, match):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(error, match=match):
        check_output(str(tmp_path / target), force=True)


def test_other_suffixes_can_be_asked_for(tmp_path):
    check_output(str(tmp_path / "rows.csv"), suffixes=(".csv",))
    with pytest.raises(UsageError, match=r"expected \.csv because the suffix decides"):
        check_output(str(tmp_path / "rows.npy"), suffixes=(".csv",))


def test_missing_permission(tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    path.write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) != str(path))
    with pytest.raises(OutputError, match=r"write-protected file.*chmod u\+w"):
        check_output(str(path))
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) == str(path))
    with pytest.raises(OutputError, match="no permission to write there"):
        check_output(str(path))


@pytest.mark.parametrize("name", ["y.npz", "./y.npz", "link.npz", "hard.npz"])
def test_an_input_is_replaced_only_by_force(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    np.savez("y.npz", a=np.ones(2))
    os.symlink("y.npz", "link.npz")
    os.link("y.npz", "hard.npz")
    for source in ("y.npz", f"{tmp_path}/y.npz:a"):
        with pytest.raises(UsageError, match=r"got the name of an input file.*--force"):
            check_output(name, inputs=["-", source])
        check_output(name, inputs=["-", source], force=True)


def test_binary_does_not_go_to_a_terminal():
    with pytest.raises(UsageError, match=r"-: got a terminal, .*because the output is"):
        check_output("-", stdout=Terminal())
    check_output("-", stdout=io.BytesIO())
    main, sub = pty.openpty()
    try:
        with pytest.raises(UsageError, match="got a terminal"):
            check_output(os.ttyname(sub))
    finally:
        os.close(main)
        os.close(sub)


def test_devices_are_fine():
    check_output("/dev/null")
    check_output("/dev/full")
    with pytest.raises(UsageError, match=r"no suffix.*expected \.csv"):
        check_output("/dev/null", suffixes=(".csv",))


def test_asking_does_not_end_a_pipe(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    got = []
    thread = threading.Thread(target=lambda: got.append(Path(path).read_bytes()))
    thread.start()
    check_output(path)
    with open(path, "wb") as stream:
        check_output(path)
        stream.write(b"data")
    thread.join()
    assert got == [b"data"]
