"""Headers of .npy arrays and members of .npz archives, honest and hostile."""

import io
import struct
import zipfile

import numpy as np
import pytest

from nninvert import npz
from nninvert.errors import DataError, FormatError, InputError, LimitError
from nninvert.npy import read_header
from nninvert.npz import is_npz, list_npz, member_names


def _npy(values, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, version=version)
    return stream.getvalue()


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {
        "W1": generator.normal(size=(3, 5)),
        "fortran": np.asfortranarray(generator.normal(size=(4, 2))),
        "big": generator.normal(size=(2, 3)).astype(">f4"),
        "scalar": np.array(7, dtype=np.int64),
        "empty": np.zeros((0, 3)),
    }


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_members_come_back_as_they_were(tmp_path, arrays, write):
    path = str(tmp_path / "m.npz")
    write(path, **arrays)
    found = list_npz(path).arrays
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        read = found[name].read()
        np.testing.assert_array_equal(read, values)
        assert read.dtype == values.dtype.newbyteorder("=")


def test_uncompressed_members_are_mapped_where_they_lie(tmp_path, arrays):
    path = str(tmp_path / "m.npz")
    np.savez(path, **arrays)
    found = list_npz(path).arrays
    for name in ("W1", "fortran"):
        view = found[name].mapped()
        np.testing.assert_array_equal(view, arrays[name])
        assert not view.flags.owndata
        assert not view.flags.writeable
    assert found["big"].mapped() is None, "foreign byte order has to be converted"
    assert found["empty"].mapped() is None


def test_compressed_members_are_not_mapped(tmp_path, arrays):
    path = str(tmp_path / "m.npz")
    np.savez_compressed(path, **arrays)
    assert list_npz(path).arrays["W1"].mapped() is None


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_header_version(version):
    header = read_header(io.BytesIO(_npy(np.ones((2, 3)), version)), file="f")
    assert (header.shape, header.dtype, header.fortran_order) == ((2, 3), "<f8", False)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.array([1, None]), "pickled Python objects"),
        (np.array(["a"]), "expected numbers"),
        (np.zeros(2, dtype=[("a", "f8")]), "expected numbers"),
        (np.zeros(2, dtype="M8[s]"), "expected numbers"),
    ],
)
def test_what_is_no_number_is_named_and_never_unpickled(tmp_path, values, match):
    path = str(tmp_path / "m.npz")
    np.savez(path, W1=np.eye(2), odd=values)
    listing = list_npz(path)
    assert list(listing.arrays) == ["W1"]
    with pytest.raises(DataError, match=match):
        raise listing.refused["odd"]


HEADERS = {
    "code": "__import__('os').abort()",
    "no_shape": "{'descr': '<f8', 'fortran_order': False}",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
    "boolean": "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}",
    "type": "{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}",
    "deep": "(" * 3000,
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_damaged_headers(text):
    raw = text.encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw
    with pytest.raises(FormatError):
        read_header(io.BytesIO(data), file="f")


def test_a_header_that_is_cut_off_or_too_long():
    whole = _npy(np.eye(2))
    for end in (3, 7, 9, 40):
        with pytest.raises(FormatError):
            read_header(io.BytesIO(whole[:end]), file="f")
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30)
    with pytest.raises(FormatError, match="a header of 1,073,741,824 bytes"):
        read_header(io.BytesIO(long), file="f")


def _archive(path, members, **how):
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return str(path)


def test_a_shape_that_the_bytes_do_not_hold(tmp_path):
    data = _npy(np.eye(2))
    path = _archive(tmp_path / "m.npz", [("W1.npy", data[:-8])])
    with pytest.raises(FormatError, match=r"'W1'.*\(2, 2\) of float64 in 152 bytes"):
        list_npz(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAX_UNCHECKED_BYTES", 1 << 20)
    path = str(tmp_path / "m.npz")
    np.savez_compressed(path, W1=np.ones((2, 2)), b1=np.zeros(1 << 18))
    with pytest.raises(LimitError, match=r"'b1.npy'.*at most 100 times what is stored"):
        list_npz(path)


def test_one_name_twice(tmp_path):
    data = _npy(np.eye(2))
    with pytest.warns(UserWarning, match="Duplicate"):
        path = _archive(tmp_path / "m.npz", [("W1.npy", data), ("W1.npy", data)])
    with pytest.raises(FormatError, match="the same name twice"):
        list_npz(path)


def test_an_archive_with_other_members_is_no_npz(tmp_path):
    path = _archive(tmp_path / "m.npz", [("W1.npy", _npy(np.eye(2))), ("a.txt", "x")])
    assert not is_npz(path)
    with pytest.raises(FormatError, match=r"'a.txt'.*no \.npy array"):
        list_npz(path)


def test_a_truncated_archive(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, W1=np.eye(30))
    data = path.read_bytes()
    for end in (4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        assert not is_npz(str(path))
        with pytest.raises(FormatError, match="cut off or damaged"):
            list_npz(str(path))


def test_values_whose_checksum_is_wrong(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, W1=np.eye(30))
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    member = list_npz(str(path)).arrays["W1"]
    with pytest.raises(FormatError, match="Bad CRC-32"):
        member.read()


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        is_npz(str(tmp_path / "missing.npz"))


def test_names_without_reading_headers(tmp_path):
    path = _archive(tmp_path / "m.npz", [("a.npy", b""), ("b.npy", b"")])
    assert member_names(path) == ["a.npy", "b.npy"]
