"""Protobuf fields, and the records read of them."""

import struct
from io import FileIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_files import (
    BFLOAT16,
    FLOAT,
    FLOAT16,
    INT64,
    chunk,
    model,
    node,
    number,
    plain,
    single,
    tensor,
    value,
    varint,
)

from nninvert.errors import FormatError, LimitError, UnsupportedLayerError
from nninvert.formats.onnx import wire as wire_module
from nninvert.formats.onnx.model import read_model
from nninvert.formats.onnx.tensors import tensor_array
from nninvert.formats.onnx.wire import Kind, Wire, signed


@pytest.fixture
def opened(tmp_path):
    streams = []

    def open_wire(content):
        path = tmp_path / "some.onnx"
        path.write_bytes(content)
        streams.append(FileIO(str(path)))
        return Wire(str(path), streams[-1], len(content))

    yield open_wire
    for stream in streams:
        stream.close()


def fields(wire):
    return list(wire.fields((0, wire.size)))


def test_fields_of_every_kind(opened):
    content = number(1, 300) + chunk(2, b"abc") + single(3, 1.5)
    content += varint(4 << 3 | 1) + struct.pack("<d", 2.5)
    wire = opened(content)
    first, second, third, fourth = fields(wire)
    assert (first.number, first.kind, first.value) == (1, Kind.VARINT, 300)
    assert wire.content(second.span) == b"abc"
    assert struct.unpack("<f", wire.content(third.span)) == (1.5,)
    assert struct.unpack("<d", wire.content(fourth.span)) == (2.5,)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40))
def test_packed_numbers_are_read_as_written(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("wire") / "a"
    content = b"".join(varint(n) for n in numbers)
    path.write_bytes(content)
    with FileIO(str(path)) as stream:
        found = Wire(str(path), stream, len(content)).varints((0, len(content)))
    assert found.view(np.int64).tolist() == numbers
    assert [signed(int(n)) for n in found] == numbers


def test_a_long_field_is_skipped_and_not_read(opened, monkeypatch):
    reads = []
    inner = Wire._read

    def counted(self, start, count):
        reads.append(count)
        return inner(self, start, count)

    monkeypatch.setattr(Wire, "_read", counted)
    wire = opened(number(1, 8) + chunk(7, bytes(10_000_000)) + number(5, 3))
    assert [part.number for part in fields(wire)] == [1, 7, 5]
    assert sum(reads) <= 3 * 65_536


@pytest.mark.parametrize(
    "content",
    [
        chunk(2, b"abc")[:-1],
        varint(2 << 3 | 2) + varint(1 << 62),
        b"\x08" + b"\xff" * 9,
        b"\x08" + b"\xff" * 11,
        varint(0 << 3) + b"\x01",
        varint(1 << 3 | 3),
        varint(1 << 3 | 1) + b"1234567",
    ],
    ids=["cut", "huge", "open", "long", "field 0", "group", "short"],
)
def test_damaged_fields(opened, content):
    with pytest.raises(FormatError, match="expected protobuf"):
        fields(opened(content))


@pytest.mark.parametrize("content", [b"\x80", b"\xff" * 10 + b"\x01"])
def test_damaged_lists(opened, content):
    wire = opened(content)
    with pytest.raises(FormatError, match="expected protobuf"):
        wire.varints((0, wire.size))


def test_names_have_a_limit_together(opened, monkeypatch):
    monkeypatch.setattr(wire_module, "MAX_TEXT_BYTES", 100)
    wire = opened(bytes(300))
    assert len(wire.text((0, 90))) == 90
    with pytest.raises(LimitError, match="100 bytes"):
        wire.text((0, 90))


class TestModel:
    def test_records(self, opened):
        content = plain(
            [node("LeakyRelu", "x", "y", name="leak", alpha=0.5, axes=[1, -2], mode="m")],
            [tensor(np.ones((2, 3)), "W")],
            ("N", 3, None),
            opset=13,
        )
        found = read_model(opened(content))
        assert found.opsets == {"": 13}
        assert found.nodes[0].attributes == {"alpha": 0.5, "axes": [1, -2], "mode": b"m"}
        assert (found.nodes[0].inputs, found.nodes[0].outputs) == (("x",), ("y",))
        assert found.inputs[0].shape == ("N", 3, None)
        assert found.initializers[0].dims == [2, 3]

    @pytest.mark.parametrize("count", [0, 2])
    def test_one_graph(self, opened, count):
        with pytest.raises(FormatError, match=f"{count} graphs"):
            read_model(opened(number(1, 8) + count * chunk(7, chunk(2, "g"))))

    def test_number_where_bytes_belong(self, opened):
        with pytest.raises(FormatError, match="a number in field 7"):
            read_model(opened(number(7, 3)))

    def test_open_lengths(self, opened):
        inputs = [value("x", (0, -1, 4, "seq"))]
        found = read_model(opened(model([], inputs=inputs)))
        assert found.inputs[0].shape == (None, None, 4, "seq")


class TestTensors:
    def array(self, opened, message):
        wire = opened(model([], [message]))
        return tensor_array(read_model(wire).initializers[0], wire)

    @pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8"])
    def test_raw(self, opened, dtype):
        values = np.arange(6).reshape(2, 3).astype(dtype)
        found = self.array(opened, tensor(values, "W"))
        assert found.dtype == values.dtype
        assert np.array_equal(found.read(), values)

    def test_packed_floats_stay_where_they_are(self, opened):
        values = np.arange(6, dtype="<f4")
        typed = chunk(4, values.tobytes())
        found = self.array(opened, tensor(values, "W", raw=None, extra=typed))
        assert type(found).__name__ == "PieceArray"
        assert np.array_equal(found.read(), values)

    def test_floats_one_by_one(self, opened):
        typed = b"".join(single(4, float(n)) for n in range(3))
        found = self.array(
            opened, tensor(np.zeros(3), "W", raw=None, kind=FLOAT, extra=typed)
        )
        assert found.read().tolist() == [0.0, 1.0, 2.0]

    def test_short_floats_in_varints(self, opened):
        bits = np.array([1.5, -2.0], np.float16).view(np.uint16)
        typed = chunk(5, b"".join(varint(int(n)) for n in bits))
        halves = tensor(np.zeros(2), "W", raw=None, kind=FLOAT16, extra=typed)
        assert self.array(opened, halves).read().tolist() == [1.5, -2.0]
        bits = np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16
        typed = chunk(5, b"".join(varint(int(n)) for n in bits))
        brain = tensor(np.zeros(2), "W", raw=None, kind=BFLOAT16, extra=typed)
        assert self.array(opened, brain).read().tolist() == [1.5, -2.0]

    def test_bfloat16_raw(self, opened):
        values = np.array([1.5, -2.0, 3.25], np.float32)
        raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        found = self.array(opened, tensor(values, "W", kind=BFLOAT16, raw=raw))
        assert found.read().tolist() == values.tolist()

    def test_whole_numbers_in_varints(self, opened):
        typed = chunk(7, varint(-2) + varint(5)) + number(7, 9)
        found = self.array(
            opened, tensor(np.zeros(3), "n", raw=None, kind=INT64, extra=typed)
        )
        assert found.read().tolist() == [-2, 5, 9]

    @pytest.mark.parametrize(
        "message",
        [
            tensor(np.ones(3, "f4"), "W", dims=(4,)),
            tensor(np.ones(3, "f4"), "W", dims=(1 << 40, 1 << 40)),
            tensor(np.ones(3, "f4"), "W", dims=(-3,)),
            tensor(np.ones(3), "W", raw=None),
            tensor(np.ones(3), "n", raw=None, kind=INT64, extra=number(7, 1)),
            tensor([], "n", raw=None, kind=INT64, dims=(0, 1 << 40, 1 << 40)),
        ],
        ids=["fewer", "huge", "negative", "none", "one", "no numbers of a huge shape"],
    )
    def test_more_claimed_than_there(self, opened, message):
        with pytest.raises(FormatError, match="expected"):
            self.array(opened, message)

    def test_types_nobody_computes_with(self, opened):
        with pytest.raises(UnsupportedLayerError, match="float8"):
            self.array(opened, tensor(np.ones(3, "i1"), "W", kind=17))

    def test_too_many_axes(self, opened):
        with pytest.raises(LimitError, match="axes"):
            self.array(opened, tensor(np.ones(1, "f4"), "W", dims=(1,) * 33))
