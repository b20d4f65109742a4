"""The .npy reader: every legal file, no pickle, no seek."""

from __future__ import annotations

import os
import threading
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from npy_files import npy_bytes, raw_npy

from nninvert import npy
from nninvert.arrays import npy as arrays_npy
from nninvert.arrays import read_array
from nninvert.errors import DataError, FormatError, LimitError, MachineError


@pytest.fixture
def save(tmp_path):
    def _save(content, name="y.npy"):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return _save


def piped(content):
    """Read from a real pipe, which cannot seek, fed in two parts."""
    reader, writer = os.pipe()

    def feed():
        # A reader that has seen enough goes away before the end.
        with os.fdopen(writer, "wb", buffering=0) as stream, suppress(BrokenPipeError):
            view = memoryview(content)
            half = len(view) // 2
            for part in (view[:half], view[half:]):
                while part:
                    part = part[stream.write(part) :]

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        with os.fdopen(reader, "rb") as stream:
            return read_array("-", stdin=stream)
    finally:
        thread.join()


DTYPES = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<u2", ">i4", "<i8", ">u8"]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reads_every_version_order_and_type(save, version, order, dtype):
    values = np.asarray(np.arange(24).reshape(2, 3, 4), dtype, order=order)
    content = npy_bytes(values, version)
    for loaded in (read_array(save(content)), piped(content)):
        assert loaded.format == "npy"
        assert loaded.names is None
        assert loaded.half_step is None
        assert loaded.values.dtype == values.dtype.newbyteorder("=")
        assert loaded.values.dtype.isnative
        np.testing.assert_array_equal(loaded.values, values)


def test_keeps_bits_and_shape(save):
    values = np.array([np.nan, -0.0, np.inf, 5e-324, 0.1])
    loaded = read_array(save(npy_bytes(values)))
    assert loaded.values.tobytes() == values.tobytes()
    assert loaded.values.shape == (5,)
    assert read_array(save(npy_bytes(np.float32(3)))).values.shape == ()


def test_the_content_decides_and_not_the_suffix(save):
    assert read_array(save(npy_bytes(np.ones(3)), "y.csv")).format == "npy"


def test_large_files_are_mapped(save, monkeypatch):
    monkeypatch.setattr(arrays_npy, "MAP_FROM", 1000)
    for order in "CF":
        values = np.asarray(np.random.default_rng(0).normal(size=(20, 30)), order=order)
        loaded = read_array(save(npy_bytes(values)))
        assert isinstance(loaded.values, np.memmap)
        assert not loaded.values.flags.writeable
        np.testing.assert_array_equal(loaded.values, values)
    foreign = values.astype(values.dtype.newbyteorder("S"))
    assert not isinstance(read_array(save(npy_bytes(foreign))).values, np.memmap)


def test_a_pipe_larger_than_its_buffer_is_read_whole():
    values = np.random.default_rng(0).normal(size=(300, 1000))
    np.testing.assert_array_equal(piped(npy_bytes(values)).values, values)


def test_a_pipe_with_more_after_the_array_is_refused():
    content = npy_bytes(np.ones(3))
    with pytest.raises(FormatError, match=r"more data after the array of shape \(3,\)"):
        piped(content + content)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.array([{}, []], object), "pickled Python objects.*never does it"),
        (np.array(["a"]), "got values of type .U1, expected numbers"),
        (np.array([b"a"]), r"values of type \|S1"),
        (np.ones(2, complex), "got complex numbers.*two outputs"),
        (np.ones(2, bool), "got booleans"),
        (np.ones(2, [("a", "f4")]), "got values of type"),
        (np.ones(2, np.longdouble), "got float(128|96)"),
        (np.array(["2020-01-01"], "M8[D]"), "got values of type"),
    ],
)
def test_refuses_other_types(save, values, match):
    content = npy_bytes(values)
    with pytest.raises(DataError, match=match):
        read_array(save(content))
    with pytest.raises(DataError, match=match):
        piped(content)


def test_a_pickle_inside_is_never_run(save, tmp_path):
    trap = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(trap),))

    content = npy_bytes(np.array([Trap()], object))
    for read in (lambda: read_array(save(content)), lambda: piped(content)):
        with pytest.raises(DataError, match="pickled Python objects"):
            read()
    assert not trap.exists()


def test_truncated_data_are_reported_with_sizes(save):
    content = npy_bytes(np.ones((10, 10)))[:-300]
    match = r"got 500 bytes of data, expected 800 because the header says shape "
    match += r"\(10, 10\) of float64. It was cut off"
    with pytest.raises(FormatError, match=match):
        read_array(save(content))
    with pytest.raises(FormatError, match=match):
        piped(content)


def test_more_data_than_the_shape_says(save):
    with pytest.raises(FormatError, match="got 808 bytes of data, expected 800"):
        read_array(save(npy_bytes(np.ones((10, 10))) + bytes(8)))


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (npy.MAGIC, r"y: got no \.npy magic number"),
        (npy.MAGIC + b"\x01\x00", "header that is cut off"),
        (npy.MAGIC + b"\x01\x00\xff\xff{", "a header of 65,535 bytes"),
        (npy.MAGIC + b"\x04\x00\x00\x00", r"got \.npy format version 4"),
        (raw_npy("import os"), "no Python literal"),
        (raw_npy("{[]: 1}"), "no Python literal"),
        (raw_npy("-" * 9000 + "1"), "no Python literal"),
        (raw_npy("(" * 9000), "no Python literal"),
        (raw_npy("{'descr': '<f8'}"), "without descr, fortran_order, shape"),
        (raw_npy(HEADER % "'a',"), r"got shape \('a',\)"),
        (raw_npy(HEADER.replace("<f8", "<q9") % "2,"), "got type '<q9'"),
        (raw_npy(HEADER % "-2,"), r"got shape \(-2,\)"),
        (raw_npy(" " * 20_000 + HEADER % "2,"), "a header of 20,0"),
    ],
)
def test_damaged_headers(save, content, match):
    with pytest.raises(FormatError, match=match):
        read_array(save(content))
    with pytest.raises(FormatError, match=match):
        piped(content)


@pytest.mark.parametrize("shape", ["10**18", "1000000000000000000, 1000000000000"])
def test_a_claim_is_not_believed_before_the_file_is_seen(save, shape):
    shape = shape.replace("10**18", "1000000000000000000")
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="got 16 bytes of data, expected"):
            read_array(save(raw_npy(HEADER % (shape + ","), bytes(16))))
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


def test_a_claim_that_no_machine_can_hold_fails_on_a_pipe():
    with pytest.raises((MachineError, LimitError), match=r"memory|address"):
        piped(raw_npy(HEADER % "1000000000000000,", bytes(16)))
    with pytest.raises(LimitError, match="than a machine can address"):
        piped(raw_npy(HEADER % "1000000000000000000000,", bytes(16)))
    with pytest.raises(LimitError, match="than a machine can address"):
        piped(raw_npy(HEADER % (("9" * 200 + ",") * 30)))  # too long for Python to print


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_no_values_are_reported(save, shape):
    content = npy_bytes(np.ones(shape))
    with pytest.raises(DataError, match=r"no values, expected at least one row"):
        read_array(save(content))
    with pytest.raises(DataError, match="no values"):
        piped(content)
