"""HDF5 is opened without following, believing or loading anything from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nninvert import hdf5
from nninvert.errors import FormatError, InputError, LimitError, MachineError


@pytest.fixture
def made(tmp_path):
    """A writable HDF5 file; `reopen` closes it and opens it the safe way."""
    file = h5py.File(tmp_path / "made.h5", "w")
    yield file
    file.close()


@pytest.fixture
def reopen(made):
    with ExitStack() as stack:

        def _reopen():
            path = made.filename
            made.close()
            return stack.enter_context(hdf5.open_hdf5(path))

        yield _reopen


# ---------------------------------------------------------------- opening


def test_opens_a_file(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["x"] = [1.0, 2.0]
    with hdf5.open_hdf5(path) as file:
        assert hdf5.read(hdf5.dataset(file, "x")).tolist() == [1.0, 2.0]
    assert not file  # closed


def test_opens_a_file_behind_a_user_block(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w", userblock_size=1024) as file:
        file["x"] = np.arange(6.0).reshape(2, 3)
    assert hdf5.is_hdf5(path)
    with hdf5.open_hdf5(path) as file:
        source = hdf5.dataset(file, "x")
        assert hdf5.mapped(source).tolist() == hdf5.read(source).tolist()


def in_another_process(path):
    code = """
import sys
from nninvert import errors, hdf5
try:
    with hdf5.open_hdf5(sys.argv[1]) as file:
        print("opened", list(file))
except errors.FormatError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def test_opens_a_file_that_another_program_holds_locked(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["x"] = [1.0]
        file.flush()
        assert in_another_process(path) == "opened ['x']\n"


def test_says_that_another_program_is_writing(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w", libver="latest") as file:
        file.swmr_mode = True
        assert "another program is writing" in in_another_process(path)


def test_names_what_is_missing(tmp_path):
    path = str(tmp_path / "no.h5")
    with (
        pytest.raises(InputError, match=r"no\.h5: got no such file, expected"),
        hdf5.open_hdf5(path),
    ):
        pass


def test_refuses_a_directory(tmp_path):
    with (
        pytest.raises(InputError, match="got a directory"),
        hdf5.open_hdf5(str(tmp_path)),
    ):
        pass


def test_refuses_a_fifo_without_waiting_for_its_writer(tmp_path):
    path = str(tmp_path / "pipe.h5")
    os.mkfifo(path)
    with (
        pytest.raises(InputError, match=r"got a pipe or a device.*Save it to a file"),
        hdf5.open_hdf5(path),
    ):
        pass


def test_refuses_a_name_with_nul():
    with (
        pytest.raises(InputError, match="NUL character"),
        hdf5.open_hdf5("a\0b.h5"),
    ):
        pass


def test_says_when_permission_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(b"x")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with (
        pytest.raises(InputError, match="got no permission to read it"),
        hdf5.open_hdf5(str(path)),
    ):
        pass


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (b"", "got an empty file.*downloaded to the end"),
        (b"hello, world", "got no HDF5 signature, expected an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git-LFS.*git lfs pull"),
        (b"\r\n<!DOCTYPE html><html>", "got a web page"),
        (b"\x89HDF\r\n\x1a\n", "got damaged or unusual HDF5"),
    ],
)
def test_says_what_the_file_is_instead(tmp_path, head, match):
    path = tmp_path / "a.h5"
    path.write_bytes(head)
    with pytest.raises(FormatError, match=match), hdf5.open_hdf5(str(path)):
        pass


def test_a_truncated_file_is_reported_with_its_sizes(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(1000)
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    match = f"truncated HDF5 file: 3,000 of {len(whole):,} bytes.*Copy or download"
    with pytest.raises(FormatError, match=match), hdf5.open_hdf5(str(path)):
        pass


@given(
    position=st.integers(0, 2047),
    value=st.integers(0, 255),
)
@settings(deadline=None, max_examples=150)
def test_a_damaged_file_ends_in_one_of_our_errors_or_none(
    tmp_path_factory, position, value
):
    path = tmp_path_factory.mktemp("damaged") / "a.h5"
    with h5py.File(path, "w") as file:
        file["g/x"] = np.ones((3, 4))
        file.create_dataset("z", data=np.ones((30, 40)), compression="gzip")
        file.attrs["names"] = ["a", "b"]
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(bytes(content))
    try:
        with hdf5.open_hdf5(str(path)) as file:
            hdf5.tree(file, 20)
            hdf5.attribute_names(file, "names")
            for name in ("g/x", "z"):
                source = hdf5.dataset(file, name)
                hdf5.read(source)
                hdf5.mapped(source)
    except (InputError, MachineError):
        pass


# ---------------------------------------------------------------- links


def test_follows_soft_links_that_stay_inside(made, reopen):
    made["g/deep/x"] = [1.0, 2.0]
    made["absolute"] = h5py.SoftLink("/g/deep/x")
    made["g/relative"] = h5py.SoftLink("deep/./x")
    made["folder"] = h5py.SoftLink("g")
    made["chain"] = h5py.SoftLink("folder/relative")
    file = reopen()
    for name in ("absolute", "g/relative", "folder/deep/x", "chain", "/g//deep/x"):
        assert hdf5.child(file, name) == file["g/deep/x"]
    assert hdf5.child(file["g"], "/absolute") == file["g/deep/x"]
    assert hdf5.child(file["g"], "deep").name == "/g/deep"
    assert hdf5.child(file, "/").name == "/"


@pytest.mark.parametrize("name", ["loop", "l1", "l2", "g/self/x"])
def test_refuses_soft_links_in_a_circle(made, reopen, name):
    made.create_group("g")
    made["loop"] = h5py.SoftLink("/loop")
    made["l1"] = h5py.SoftLink("/l2")
    made["l2"] = h5py.SoftLink("/l1")
    made["g/self"] = h5py.SoftLink("self/again")
    with pytest.raises(FormatError, match=f"'{name}': got soft links that lead round"):
        hdf5.child(reopen(), name)


def test_soft_links_may_be_chained_up_to_the_limit(made, reopen):
    made["x0"] = [1.0]
    for k in range(17):
        made[f"x{k + 1}"] = h5py.SoftLink(f"/x{k}")
    file = reopen()
    assert hdf5.child(file, "x16").shape == (1,)
    with pytest.raises(FormatError, match="at most 16"):
        hdf5.child(file, "x17")


def test_a_dangling_soft_link_is_missing(made, reopen):
    made["x"] = [1.0]
    made["dangling"] = h5py.SoftLink("/gone")
    with pytest.raises(FormatError, match=r"got no 'gone' in '/'.*dangling, x\."):
        hdf5.child(reopen(), "dangling")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nope", r"'nope': got no 'nope' in '/'.*It holds g, x\."),
        ("g/nope", r"got no 'nope' in '/g'"),
        ("x/y", "got no 'y' in '/x', which is a data set"),
    ],
)
def test_says_what_is_there_when_a_name_is_not(made, reopen, name, match):
    made["x"] = [1.0]
    made["g/y"] = [1.0]
    with pytest.raises(FormatError, match=match):
        hdf5.child(reopen(), name)


def test_refuses_a_named_type(made, reopen):
    made["t"] = np.dtype("f4")
    with pytest.raises(FormatError, match="got a named data type"):
        hdf5.child(reopen(), "t")


@pytest.mark.parametrize("name", ["out", "soft", "group/x"])
def test_refuses_external_links_on_every_component(made, reopen, tmp_path, name):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = [666.0]
    made["out"] = h5py.ExternalLink("other.h5", "/x")
    made["group"] = h5py.ExternalLink("other.h5", "/")
    made["soft"] = h5py.SoftLink("/group/x")
    with pytest.raises(
        FormatError,
        match=r"external link to '/x?' in the file 'other.h5'.*never follows a link",
    ):
        hdf5.dataset(reopen(), name)


def test_the_other_file_is_not_even_opened(tmp_path):
    # Opening a FIFO waits for its writer, so a reader that touches it never ends.
    os.mkfifo(tmp_path / "trap.h5")
    path = str(tmp_path / "a.h5")
    trap = str(tmp_path / "trap.h5")
    space = h5py.h5s.create_simple((10, 4), (h5py.h5s.UNLIMITED, 4))
    space.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), block=(1, 4))
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_virtual(space, trap.encode(), b"x", space)
    with h5py.File(path, "w", libver="latest") as file:
        file["external"] = h5py.ExternalLink(trap, "/x")
        h5py.h5d.create(file.id, b"virtual", h5py.h5t.IEEE_F32LE, space, plan)
        file.create_dataset("raw", (10,), "f4", external=[(trap, 0, 40)])
    code = textwrap.dedent(
        """
        import sys
        from nninvert import errors, hdf5
        with hdf5.open_hdf5(sys.argv[1]) as file:
            print(hdf5.tree(file, 9))
            for name in ("external", "virtual", "raw"):
                try:
                    hdf5.dataset(file, name)
                except errors.FormatError as error:
                    print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert "external (link)" in done.stdout
    assert done.stdout.count("expected data in this file") == 1
    assert done.stdout.count("expected values in this file") == 2


# ---------------------------------------------------------------- data sets


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", ">u8"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3)])
def test_reads_every_plain_type(made, reopen, dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    made["x"] = values
    read = hdf5.read(hdf5.dataset(reopen(), "x"))
    assert read.dtype == values.dtype.newbyteorder("=")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_reads_with_the_filters_of_hdf5(made, reopen, compression):
    values = np.random.default_rng(0).normal(size=(50, 60))
    made.create_dataset(
        "x", data=values, compression=compression, shuffle=True, fletcher32=True
    )
    read = hdf5.read(hdf5.dataset(reopen(), "x"))
    np.testing.assert_array_equal(read, values)


def test_decodes_bfloat16(made, reopen):
    # 1, -2, infinity, the largest finite bfloat16 2^127 (2 - 2^-7).
    made["x"] = np.array([0x3F80, 0xC000, 0x7F80, 0x7F7F], "<u2").view("V2")
    made["x"].attrs["dtype"] = "bfloat16"
    source = hdf5.dataset(reopen(), "x")
    read = hdf5.read(source)
    assert read.dtype == np.float32
    assert read.tolist() == [1.0, -2.0, np.inf, 2.0**127 * (2 - 2**-7)]
    assert hdf5.mapped(source) is None
    path, start = source.file.filename, hdf5.place(source)
    assert Path(path).read_bytes()[start : start + 8] == source[()].tobytes()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("text", "text"),
        (np.array([b"ab"], "S2"), "text"),
        (np.ones(3, bool), r"named numbers \(enumeration or bool\)"),
        (np.zeros(2, [("a", "f4")]), r"records \(compound type\)"),
        (np.zeros(2, "V2"), "opaque bytes"),
        (np.zeros(2, "V3"), "opaque bytes"),
        (np.ones(2, np.longdouble), "floats of (16|12) bytes"),
        (h5py.Empty("f4"), "an empty data space"),
    ],
)
def test_refuses_what_is_not_plain_numbers(made, reopen, value, match):
    made["x"] = value
    with pytest.raises(FormatError, match=f"'/x': got {match}, expected float16"):
        hdf5.dataset(reopen(), "x")


def test_refuses_references_enumerations_lists_arrays(made, reopen):
    made["g"] = [1.0]
    made.create_dataset("ref", data=np.array([made["g"].ref], h5py.ref_dtype))
    made["enum"] = np.array([1], h5py.enum_dtype({"a": 1}, "i1"))
    made.create_dataset("list", (1,), h5py.vlen_dtype("f4"))
    made.create_dataset("array", (2,), np.dtype(("f4", (3,))))
    made["complex"] = np.ones(2, complex)
    bits = h5py.h5t.STD_B8LE
    h5py.h5d.create(made.id, b"bits", bits, h5py.h5s.create_simple((2,)))
    file = reopen()
    for name, match in {
        "ref": r"object references \(never followed\)",
        "enum": "enumeration",
        "list": "lists of varying length",
        "array": "arrays as elements",
        "bits": "got bits",
        "complex": "HDF5 type class|records",
    }.items():
        with pytest.raises(FormatError, match=match):
            hdf5.dataset(file, name)


def test_refuses_a_group_where_a_data_set_is_meant(made, reopen):
    made["g/x"] = [1.0]
    made["g/y"] = [1.0]
    with pytest.raises(FormatError, match=r"'g': got a group.*It holds x, y\."):
        hdf5.dataset(reopen(), "g")


def test_refuses_external_storage_and_virtual_data_sets(made, reopen):
    made.create_dataset("raw", (10,), "f4", external=[("/etc/passwd", 0, 40)])
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (10,))
    made.create_virtual_dataset("virtual", layout)
    file = reopen()
    with pytest.raises(FormatError, match="bytes are in the file '/etc/passwd'"):
        hdf5.dataset(file, "raw")
    with pytest.raises(FormatError, match=r"virtual data set.*Copy the values into"):
        hdf5.dataset(file, "virtual")


def test_refuses_other_filters_by_name(made, reopen):
    made.create_dataset("x", data=np.arange(1000), scaleoffset=0)
    with pytest.raises(FormatError, match=r"filter 6 \(scaleoffset\).*or gzip, shuffle"):
        hdf5.dataset(reopen(), "x")


def test_refuses_a_claim_of_petabytes(made, reopen):
    made.create_dataset("huge", (2**40, 2**20), "f4", chunks=(1024, 1024))
    made.create_dataset("contiguous", (2**20,), "f8")
    made.create_dataset("more", (2**32, 2**33), "f8", chunks=(8, 8))  # > 2^64 values
    file = reopen()
    for name in ("huge", "contiguous", "more"):
        with pytest.raises(LimitError, match="0 stored, expected at most 1000 times"):
            hdf5.dataset(file, name)


def test_refuses_a_decompression_bomb(made, reopen):
    plain = made.create_dataset("x", (2**31,), "f4", chunks=(2**20,), compression=9)
    plain[: 2**20] = 0
    with pytest.raises(LimitError, match=r"8,589,934,592 bytes.*because no real data"):
        hdf5.dataset(reopen(), "x")


def test_compressed_zeros_are_no_bomb(made, reopen):
    made.create_dataset("x", data=np.zeros((1000, 1000)), compression=9)
    assert not hdf5.read(hdf5.dataset(reopen(), "x")).any()


def test_refuses_what_was_never_written(made, reopen):
    made.create_dataset("x", (3,), "f4")
    made.create_dataset("y", (3,), "f4", chunks=(1,))
    made.create_dataset("none", (0, 4), "f4")
    file = reopen()
    for name in ("x", "y"):
        with pytest.raises(FormatError, match="never written, or not to the end"):
            hdf5.dataset(file, name)
    assert hdf5.read(hdf5.dataset(file, "none")).shape == (0, 4)


def test_refuses_what_was_written_in_part(made, reopen):
    made.create_dataset("x", (10,), "f4", chunks=(3,))[:6] = 1
    with pytest.raises(FormatError, match=r"got 2 of 4 chunks written"):
        hdf5.dataset(reopen(), "x")


def test_refuses_bytes_that_end_after_the_file(made, tmp_path):
    made["x"] = np.ones(10)
    made.create_dataset("y", data=np.ones(5000), track_times=False)
    path = made.filename
    made.close()
    content = bytearray((tmp_path / "made.h5").read_bytes())
    # The layout message of "y" holds its length in bytes: claim more.
    at = content.rindex((40_000).to_bytes(8, "little"))
    content[at : at + 8] = (2**50).to_bytes(8, "little")
    (tmp_path / "made.h5").write_bytes(bytes(content))
    with hdf5.open_hdf5(path) as file, pytest.raises(FormatError, match="damaged"):
        hdf5.dataset(file, "y")


def test_a_chunk_too_short_for_its_checksum(made, tmp_path):
    """The HDF5 library would read far behind it, and crash."""
    made.create_dataset("x", data=np.ones(500), fletcher32=True, chunks=(500,))
    size = made["x"].id.get_storage_size()
    path = made.filename
    made.close()
    content = bytearray((tmp_path / "made.h5").read_bytes())
    place = content.index(b"TREE\1") + 24
    assert int.from_bytes(content[place : place + 4], "little") == size == 4004
    content[place : place + 4] = bytes([3, 0, 0, 0])
    (tmp_path / "made.h5").write_bytes(content)
    with (
        hdf5.open_hdf5(path) as file,
        pytest.raises(FormatError, match="a chunk of 3 bytes, expected at least 4"),
    ):
        hdf5.dataset(file, "x")


def test_a_failing_checksum_is_reported(made, tmp_path):
    values = np.random.default_rng(1).normal(size=500)
    made.create_dataset("x", data=values, fletcher32=True, chunks=(500,))
    path = made.filename
    made.close()
    content = (tmp_path / "made.h5").read_bytes()
    place = content.index(values[250].tobytes())
    damaged = content[:place] + b"\0" + content[place + 1 :]
    (tmp_path / "made.h5").write_bytes(damaged)
    with (
        hdf5.open_hdf5(path) as file,
        pytest.raises(FormatError, match=r"'/x': got damaged.*(filter|checksum)"),
    ):
        hdf5.read(hdf5.dataset(file, "x"))


def test_too_little_memory_is_this_machines_fault(made, reopen, monkeypatch):
    made["x"] = np.ones(4)
    source = hdf5.dataset(reopen(), "x")

    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(h5py.Dataset, "__getitem__", full)
    with pytest.raises(MachineError, match="got 32 bytes to read, expected enough"):
        hdf5.read(source)


# ---------------------------------------------------------------- maps


@pytest.mark.parametrize("dtype", ["=f2", "=f4", "=f8"])
def test_maps_contiguous_floats(made, reopen, dtype):
    values = np.random.default_rng(2).normal(size=(7, 5)).astype(dtype)
    values[0, 0] = np.nan
    made["x"] = values
    view = hdf5.mapped(hdf5.dataset(reopen(), "x"))
    assert isinstance(view, np.memmap)
    assert not view.flags.writeable
    assert view.dtype == values.dtype
    assert view.tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8"])
def test_finds_floats_that_lie_as_one_piece(made, reopen, dtype):
    values = np.random.default_rng(2).normal(size=(7, 5)).astype(dtype)
    made["x"] = values
    file = reopen()
    start = hdf5.place(hdf5.dataset(file, "x"))
    content = Path(file.filename).read_bytes()
    assert content[start : start + values.nbytes] == values.tobytes()


def test_maps_nothing_else(made, reopen):
    foreign = ">f4" if sys.byteorder == "little" else "<f4"
    made["foreign"] = np.ones(4, foreign)
    made["whole"] = np.ones(4, int)
    made["scalar"] = 1.0
    made["none"] = np.ones((0, 3))
    made.create_dataset("chunks", data=np.ones(4), chunks=(2,))
    made.create_dataset("gzip", data=np.ones(4), compression="gzip")
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((4,))
    compact = h5py.h5d.create(made.id, b"compact", h5py.h5t.NATIVE_DOUBLE, space, plan)
    compact.write(space, space, np.ones(4))
    # Floats of which NumPy knows the size but not the meaning; with zeros in the
    # corners even their bytes agree there.
    shifted = h5py.h5t.NATIVE_FLOAT.copy()
    shifted.set_fields(30, 22, 8, 0, 22)
    shifted.set_precision(31)
    zeros = h5py.h5d.create(made.id, b"shifted", shifted, space)
    zeros.write(space, space, np.array([0.0, 1.0, 1.0, 0.0]))
    odd = h5py.h5t.NATIVE_FLOAT.copy()
    odd.set_ebias(100)
    h5py.h5d.create(made.id, b"odd", odd, space).write(space, space, np.ones(4))
    file = reopen()
    for name in ("foreign", "whole", "scalar", "chunks", "gzip", "compact", "odd"):
        source = hdf5.dataset(file, name)
        assert hdf5.mapped(source) is None, name
        assert (hdf5.place(source) is None) == (name != "foreign"), name
        assert np.all(hdf5.read(source) == 1), name
    assert hdf5.mapped(hdf5.dataset(file, "none")) is None
    assert hdf5.dataset(file, "shifted").dtype == np.float32
    assert hdf5.place(hdf5.dataset(file, "shifted")) is None


# ---------------------------------------------------------------- attributes


@pytest.mark.parametrize(
    "value",
    [
        ["dense", "tänzer"],
        np.array([b"dense", "tänzer".encode()], "S8"),
        np.array(["dense", "tänzer"], h5py.string_dtype("utf-8")),
        np.array([b"dense", "tänzer".encode()], h5py.string_dtype("ascii")),
        np.array([b"dense", "tänzer".encode()], h5py.string_dtype("utf-8", 10)),
    ],
)
def test_names_are_decoded_from_each_form(made, reopen, value):
    made.attrs["layer_names"] = value
    assert hdf5.attribute_names(reopen(), "layer_names") == ["dense", "tänzer"]


def test_an_empty_list_is_stored_as_floats(made, reopen):
    made.attrs["weight_names"] = []
    made.attrs["null"] = h5py.Empty("S1")
    file = reopen()
    assert file.attrs["weight_names"].dtype == np.float64
    assert hdf5.attribute_names(file, "weight_names") == []
    assert hdf5.attribute_names(file, "null") == []
    assert hdf5.attribute_names(file, "absent") is None


def test_split_names_are_joined_by_index(made, reopen):
    names = [f"layer_{i}" for i in range(23)]
    for k in range(12):
        made.attrs[f"weight_names{k}"] = [n.encode() for n in names[2 * k : 2 * k + 2]]
    assert hdf5.attribute_names(reopen(), "weight_names") == names


@pytest.mark.parametrize(
    "value", ["größe", "größe".encode(), np.bytes_("größe".encode()), ["größe"]]
)
def test_text_is_decoded_from_each_form(made, reopen, value):
    made.attrs["model_config"] = value
    assert hdf5.attribute_text(reopen(), "model_config") == "größe"


def test_text_that_is_absent_or_empty(made, reopen):
    made.attrs["empty"] = ""
    made.attrs["null"] = h5py.Empty("S1")
    file = reopen()
    assert hdf5.attribute_text(file, "absent") is None
    assert hdf5.attribute_text(file, "empty") == ""
    assert hdf5.attribute_text(file, "null") == ""


def test_attributes_that_are_no_text(made, reopen):
    made.attrs["number"] = 3
    made.attrs["two"] = ["a", "b"]
    made.attrs["latin"] = np.bytes_(b"gr\xfc\xdfe")
    made.attrs["latin list"] = np.array([b"\xff"], h5py.string_dtype("utf-8"))
    made["x"] = [1.0]
    made.attrs.create("ref", made["x"].ref, dtype=h5py.ref_dtype)
    file = reopen()
    with pytest.raises(FormatError, match="attribute 'number': got type int64"):
        hdf5.attribute_text(file, "number")
    with pytest.raises(FormatError, match="'two': got 2 values, expected one text"):
        hdf5.attribute_text(file, "two")
    with pytest.raises(FormatError, match="'latin': got bytes that are not UTF-8"):
        hdf5.attribute_text(file, "latin")
    with pytest.raises(FormatError, match="bytes that are not UTF-8"):
        hdf5.attribute_names(file, "latin list")
    with pytest.raises(FormatError, match="'ref': got type object, expected text"):
        hdf5.attribute_names(file, "ref")


def test_too_many_names_are_not_read(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.full(70_000, b"a", "S1")
    with (
        hdf5.open_hdf5(path) as file,
        pytest.raises(LimitError, match=r"got 70,000 texts.*at most 65,536 texts"),
    ):
        hdf5.attribute_names(file, "layer_names")


# ---------------------------------------------------------------- listing


def test_tree_names_everything_once(made, reopen):
    made["g/x"] = np.ones((2, 3), "f4")
    made["g/up"] = made["/"]
    made["again"] = made["g"]
    made["link"] = h5py.SoftLink("/nowhere")
    made["type"] = np.dtype("f4")
    made["e\x1bvil"] = [1]
    file = reopen()
    lines = hdf5.tree(file, 99)
    assert lines == [
        "again (group)",
        "e\\x1bvil ((1,) int64)",
        "g (group)",
        "link (link)",
        "type (data type)",
        "again/up (group)",
        "again/x ((2, 3) float32)",
    ]
    assert hdf5.tree(file, 3) == [*lines[:2], "..."]
    assert hdf5.tree(file, 7) == lines
