"""The journal: what was written whole is read back, what was torn is cut off."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nninvert.linalg.panels import journal

RECORDS = [{"a": 1}, {"b": [1, 2.5, "text with \u00fc and \n"]}, {"c": {"d": None}}]


@pytest.fixture
def path(tmp_path):
    name = str(tmp_path / "journal")
    for record in RECORDS:
        journal.append(name, record)
    return name


def test_records_come_back(path):
    assert journal.read(path) == RECORDS


def test_a_torn_line_is_cut_off_wherever_it_was_torn(path):
    with open(path, "rb") as file:
        whole = file.read()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole)):
        with open(path, "wb") as file:
            file.write(whole[:length])
        complete = sum(len(b"".join(lines[: k + 1])) <= length for k in range(3))
        assert journal.read(path) == RECORDS[:complete]
        assert os.path.getsize(path) == len(b"".join(lines[:complete]))
    journal.append(path, {"after": 1})
    assert journal.read(path) == [*RECORDS[:2], {"after": 1}]


@given(st.data())
def test_any_changed_byte_ends_the_journal_before_its_line(tmp_path_factory, data):
    path = str(tmp_path_factory.mktemp("journal") / "journal")
    for record in RECORDS:
        journal.append(path, record)
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with open(path, "wb") as file:
        file.write(whole)
    ends = [k for k, byte in enumerate(bytes(whole)) if byte == 10]
    found = journal.read(path)
    assert found == RECORDS[: len(found)]
    assert len(found) <= sum(end < place for end in ends) < 3


@pytest.mark.parametrize("line", [b"\n", b"00000000 \n", b"\0" * 50, b"d202ef8d []\n"])
def test_lines_that_are_no_records_end_the_journal(path, line):
    with open(path, "ab") as file:
        file.write(line)
    assert journal.read(path) == RECORDS


def test_a_failed_write_leaves_no_half_line(path, monkeypatch):
    """As on a full disk: half of the line goes out, and then an error comes."""

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            journal.append(path, {"lost": 1})
    journal.append(path, {"kept": 1})
    assert journal.read(path) == [*RECORDS, {"kept": 1}]
