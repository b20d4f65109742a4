"""What is said of a path before any reader opens it."""

from __future__ import annotations

import errno
import os

import pytest

from nninvert import files
from nninvert.errors import InputError


def test_head_and_size_of_a_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(200)) * 5)
    assert files.regular_size(str(path)) == 1000
    assert files.read_head(str(path)) == (bytes(range(200)) * 3)[: files.HEAD_BYTES]
    assert files.read_head(str(path), 3) == b"\x00\x01\x02"


@pytest.mark.parametrize(
    ("number", "match"),
    [
        (errno.ENOENT, "m.h5: got no such file, expected a readable file. Check the"),
        (errno.ENOTDIR, "no such file"),
        (errno.EACCES, "no permission to read it, .* See: ls -l"),
        (errno.EISDIR, "got a directory"),
        (errno.ELOOP, "links without an end"),
        (errno.EIO, "a read error of the disk"),
        (errno.EMFILE, "got Too many open files"),
    ],
)
def test_system_errors_in_plain_words(number, match):
    error = OSError(number, os.strerror(number))
    with pytest.raises(InputError, match=match):
        raise files.unreadable("m.h5", error)


def test_an_error_without_a_number():
    assert "unknown system error" in str(files.unreadable("m.h5", OSError()))


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe or a device, expected an ordinary"):
        files.read_head(str(tmp_path / "pipe"))
    with pytest.raises(InputError, match="got a directory"):
        files.regular_size(str(tmp_path))
    with pytest.raises(InputError, match="NUL"):
        files.status_of("a\0")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git-LFS"),
        (b"<!doctype html>", "web page"),
        (b"\xef\xbb\xbf\n <HTML lang='en'>", "web page"),
        (b"<?xml version='1.0'?>", "XML"),
    ],
)
def test_impostors(head, what):
    found = files.impostor(head)
    assert found is not None
    assert what in found[0]


@pytest.mark.parametrize("head", [b"\x89HDF\r\n\x1a\n", b"1,2\n", b"versions,b\n", b"<"])
def test_the_real_thing(head):
    assert files.impostor(head) is None
