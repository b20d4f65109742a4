"""Round trips with equal bits through every format, and no escape on damaged input."""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nninvert.arrays import read_array, read_bounds, write_array
from nninvert.arrays.table import write_csv
from nninvert.errors import InputError, MachineError

DTYPES = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<u2", ">i4", "<i8", ">u8"]


def arrays(dtypes, max_dims):
    """Arrays of each order, with NaN, infinities, denormals and negative zeros."""
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: hnp.arrays(
            dtype, hnp.array_shapes(min_dims=1, max_dims=max_dims, max_side=5)
        )
    )


def same_bits(read, values):
    native = values.astype(values.dtype.newbyteorder("="))
    assert read.dtype == native.dtype
    assert read.shape == native.shape
    assert read.tobytes() == native.tobytes()


@given(values=arrays(DTYPES, 3), order=st.sampled_from("CF"))
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@settings(deadline=None, max_examples=60)
def test_binary_formats_keep_every_bit(tmp_path_factory, suffix, values, order):
    path = str(tmp_path_factory.mktemp("x") / f"x{suffix}")
    write_array(path, np.asarray(values, order=order))
    same_bits(read_array(path).values, values)


@given(values=arrays(DTYPES, 3), order=st.sampled_from("CF"))
@settings(deadline=None, max_examples=40)
def test_pipes_keep_every_bit(values, order):
    reader, writer = os.pipe()

    def send():
        with os.fdopen(writer, "wb") as stream:
            write_array("-", np.asarray(values, order=order), stdout=stream)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        loaded = read_array("-", stdin=stream)
    thread.join()
    same_bits(loaded.values, values)


names = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() == name)


@given(values=arrays(["<f2", "<f4", "<f8", ">f4", ">f8"], 2), data=st.data())
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
@settings(deadline=None, max_examples=150)
def test_tables_keep_every_bit(tmp_path_factory, suffix, values, data):
    width = values.shape[-1]
    header = data.draw(
        st.none() | st.lists(names, min_size=width, max_size=width, unique=True)
    )
    path = str(tmp_path_factory.mktemp("x") / f"x{suffix}")
    write_array(path, values, names=header)
    loaded = read_array(path)
    table = np.atleast_2d(values)
    read = loaded.values.astype(table.dtype)
    # A NaN has one spelling in a table, whatever its sign and payload were.
    known = ~np.isnan(table)
    assert read.shape == table.shape
    assert np.array_equal(np.isnan(read), ~known)
    assert read[known].tobytes() == table[known].tobytes()
    if header is None:
        assert loaded.names is None
    else:
        assert len(loaded.names) == len(header)


@given(bits=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=300)
@example(bits=0x15AE43FD)  # shortest text 7.038531e-26, close to a midpoint
def test_any_float32_survives_a_table_that_is_read_as_float64(bits):
    value = np.array([bits], np.uint32).view(np.float32)
    if np.isnan(value[0]):
        return
    stream = io.BytesIO()
    write_csv(stream, value)
    read = read_array("-", stdin=io.BytesIO(stream.getvalue())).values
    assert read.astype(np.float32).tobytes() == value.tobytes()


def good_files():
    values = np.arange(12.0).reshape(3, 4)
    npy, npz, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, values)
    np.savez(npz, x=values)
    np.savez_compressed(packed, x=values)
    csv = b'a,b,"c d",e\n1,2.5,3e-3,nan\n# remark\n4,5,6,7\n'
    bounds = b"name,lower,upper,fixed,near\na,0,1,,0.5\nb,-inf,,2,\n"
    return [npy.getvalue(), npz.getvalue(), packed.getvalue(), csv, bounds]


@given(
    content=st.sampled_from(good_files()),
    edits=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=4
    ),
    cut=st.none() | st.integers(0, 400),
)
@settings(deadline=None, max_examples=400)
def test_only_our_errors_escape_from_damaged_input(tmp_path_factory, content, edits, cut):
    damaged = bytearray(content)
    for position, replacement in edits:
        start = position % len(damaged)
        damaged[start : start + 2] = replacement
        damaged = damaged or bytearray(b"\0")
    damaged = bytes(damaged[:cut])
    path = tmp_path_factory.mktemp("y") / "y"
    path.write_bytes(damaged)
    for read in (
        lambda: read_array(str(path)),
        lambda: read_array("-", stdin=io.BytesIO(damaged)),
        lambda: read_bounds(str(path)),
    ):
        with suppress(InputError, MachineError):
            read()
