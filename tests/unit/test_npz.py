"""Headers of .npy arrays and members of .npz archives, honest and hostile."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
from npy_files import npy_bytes, raw_npy

from nninvert import archive
from nninvert.archive import member_names
from nninvert.errors import DataError, FormatError, InputError, LimitError
from nninvert.npy import read_header
from nninvert.npz import is_npz, list_npz


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


def test_uncompressed_members_have_a_place_in_the_file(tmp_path, arrays):
    path = str(tmp_path / "m.npz")
    np.savez(path, **arrays)
    found = list_npz(path).arrays
    content = (tmp_path / "m.npz").read_bytes()
    for name in ("W1", "fortran", "big"):
        header, start = found[name].header, found[name].place()
        raw = content[start : start + header.nbytes]
        assert raw == arrays[name].tobytes("F" if header.fortran_order else "C")
    assert found["empty"].place() is None


def test_compressed_members_have_no_place(tmp_path, arrays):
    path = str(tmp_path / "m.npz")
    np.savez_compressed(path, **arrays)
    assert list_npz(path).arrays["W1"].place() is None


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_header_version(version):
    header = read_header(io.BytesIO(npy_bytes(np.ones((2, 3)), version)), file="f")
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
    "alias": "{'descr': '|a8', 'fortran_order': False, 'shape': (1,)}",
    "axes": "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 65 + ")}",
    "deep": "(" * 3000,
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_damaged_headers(text):
    with pytest.raises(FormatError):
        read_header(io.BytesIO(raw_npy(text)), file="f")


def test_a_header_that_is_cut_off_or_too_long():
    whole = npy_bytes(np.eye(2))
    for end in (3, 7, 9, 40):
        with pytest.raises(FormatError):
            read_header(io.BytesIO(whole[:end]), file="f")
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30)
    with pytest.raises(FormatError, match="a header of 1,073,741,824 bytes"):
        read_header(io.BytesIO(long), file="f")


@pytest.fixture(params=["path", "stream"])
def listed(request, tmp_path):
    """Write the bytes of an archive and list it; both ways in share every refusal."""

    def _listed(content):
        if request.param == "stream":
            return list_npz(io.BytesIO(content), file="m.npz")
        (tmp_path / "m.npz").write_bytes(content)
        return list_npz(str(tmp_path / "m.npz"))

    return _listed


def _archive(*members, method=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def _with_directory_field(content, offset, data):
    """Overwrite one field of the first entry in the archive's directory."""
    place = content.index(b"PK\x01\x02") + offset
    return content[:place] + data + content[place + len(data) :]


ONES = npy_bytes(np.ones(3))


def test_a_stream_gives_what_the_path_gives(listed, arrays):
    made = io.BytesIO()
    np.savez(made, **arrays)
    found = listed(made.getvalue()).arrays
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name].read(), values)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([("x.npy", ONES), ("x.npy", ONES)], "'x.npy': got two members of this name"),
        ([("../x.npy", ONES)], "'../x.npy': got a way out of the archive"),
        ([("a/../../x.npy", ONES)], "a way out"),
        ([("/x.npy", ONES)], "'/x.npy': got an absolute path"),
        ([("a\\x.npy", ONES)], "an absolute path or a backslash"),
        ([("config.json", b"{}")], "zip archive with config.json.*a model or a spread"),
        ([("a/", b""), ("b", b"")], "zip archive with a/, b"),
        ([], "zip archive with nothing in it"),
        ([("x.npy", ONES + b"1")], "'x': got 25 bytes of data, expected 24"),
        ([("x.npy", ONES[:-1])], "'x': got 23 bytes of data, expected 24"),
        ([("x.npy", b"text")], r"'x': got no \.npy magic number"),
    ],
)
def test_archives_that_savez_does_not_write(listed, members, match):
    with pytest.raises(FormatError, match=match):
        listed(_archive(*members))


def test_other_compressions(listed):
    content = _archive(("x.npy", ONES), method=zipfile.ZIP_BZIP2)
    with pytest.raises(FormatError, match="compression method 12, expected stored or"):
        listed(content)


def test_encrypted_members(listed):
    content = _with_directory_field(_archive(("x.npy", ONES)), 8, b"\x01")
    with pytest.raises(FormatError, match="an encrypted member"):
        listed(content)


def test_a_bomb_is_refused_before_it_is_unpacked(listed, monkeypatch):
    claim = struct.pack("<I", 2**32 - 2)
    content = _with_directory_field(_archive(("x.npy", ONES)), 24, claim)
    # 4 GiB is a size that real files have; a hundred times the packed one is not.
    with pytest.raises(FormatError, match=r"got 4,294,967,166 bytes of data"):
        listed(content)
    monkeypatch.setattr(archive, "MAX_UNCHECKED_BYTES", 1 << 20)
    with pytest.raises(LimitError, match=r"'x.npy'.*at most 100 times what is stored"):
        listed(content)


def test_more_stored_than_the_file_holds(listed):
    claim = struct.pack("<I", 1 << 30)
    content = _with_directory_field(_archive(("x.npy", ONES)), 20, claim)
    with pytest.raises(FormatError, match="1,073,741,824 bytes in a file of"):
        listed(content)


def test_more_members_than_any_model_has(listed, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    content = _archive(*((f"{k}.npy", ONES) for k in range(3)))
    with pytest.raises(LimitError, match="got 3 members, expected at most 2"):
        listed(content)


def test_well_packed_zeros_are_no_bomb(listed):
    packed = _archive(("x.npy", npy_bytes(np.zeros((1000, 1000)))))
    assert not listed(packed).arrays["x"].read().any()


def test_an_archive_with_other_members_is_no_npz(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(_archive(("W1.npy", npy_bytes(np.eye(2))), ("a.txt", "x"), ("b/", "")))
    assert not is_npz(str(path))
    assert list(list_npz(str(path)).arrays) == ["W1"]


def test_a_truncated_archive(listed):
    content = _archive(("W1.npy", npy_bytes(np.eye(30))), method=zipfile.ZIP_STORED)
    for end in (4, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(FormatError, match="cut off or damaged"):
            listed(content[:end])


def test_what_is_no_archive_is_no_npz(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(_archive(("W1.npy", ONES))[:-1])
    assert not is_npz(str(path))


def test_values_whose_checksum_is_wrong(listed):
    content = bytearray(
        _archive(("W1.npy", npy_bytes(np.eye(30))), method=zipfile.ZIP_STORED)
    )
    content[1000] ^= 1
    member = listed(bytes(content)).arrays["W1"]
    with pytest.raises(FormatError, match="Bad CRC-32"):
        member.read()


def test_nothing_there(tmp_path):
    for ask in (is_npz, list_npz, member_names):
        with pytest.raises(InputError, match="no such file"):
            ask(str(tmp_path / "missing.npz"))


def test_names_without_reading_headers(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(_archive(("a.npy", b""), ("b.npy", b"")))
    assert member_names(str(path)) == ["a.npy", "b.npy"]
