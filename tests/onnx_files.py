"""ONNX files written byte by byte, valid ones and others, without the onnx package."""

import struct

import numpy as np

FLOAT, INT64, STRING, FLOAT16, DOUBLE, BFLOAT16 = 1, 7, 8, 10, 11, 16
TYPES = {"float32": FLOAT, "float64": DOUBLE, "float16": FLOAT16, "int64": INT64}


def varint(value):
    value %= 1 << 64
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def chunk(field, content):
    raw = content.encode() if isinstance(content, str) else bytes(content)
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def single(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


def tensor(values, name="", **more):
    """TensorProto with raw data; other fields by `raw`, `dims`, `kind`, `extra`."""
    values = np.asarray(values)
    dims = more.get("dims", values.shape)
    kind = more.get("kind", TYPES.get(values.dtype.name, FLOAT))
    raw = more.get("raw", values.tobytes())
    made = b"".join(number(1, n) for n in dims) + number(2, kind)
    made += chunk(8, name) if name else b""
    if raw is not None:
        made += chunk(9, raw)
    return made + more.get("extra", b"")


def external(values, name, location, **entries):
    """TensorProto whose numbers lie in another file."""
    values = np.asarray(values)
    entries = {"location": location, **entries}
    extra = b"".join(
        chunk(13, chunk(1, key) + chunk(2, str(value))) for key, value in entries.items()
    )
    return tensor(values, name, raw=None, extra=extra + number(14, 1))


def attribute(name, value):
    if isinstance(value, bytes):
        return chunk(1, name) + chunk(5, value) + number(20, 4)
    if isinstance(value, float):
        return chunk(1, name) + single(2, value) + number(20, 1)
    if isinstance(value, int):
        return chunk(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, str):
        return chunk(1, name) + chunk(4, value) + number(20, 3)
    if all(isinstance(one, int) for one in value):
        listed = b"".join(number(8, one) for one in value)
        return chunk(1, name) + listed + number(20, 7)
    listed = b"".join(single(7, one) for one in value)
    return chunk(1, name) + listed + number(20, 6)


def node(op_type, inputs, outputs, name="", domain="", **attributes):
    """NodeProto; inputs and outputs are names with blanks between them."""
    made = b"".join(chunk(1, one) for one in inputs.split())
    made += b"".join(chunk(2, one) for one in outputs.split())
    made += chunk(3, name) if name else b""
    made += chunk(4, op_type)
    made += b"".join(chunk(5, attribute(k, v)) for k, v in attributes.items())
    return made + (chunk(7, domain) if domain else b"")


def value(name, shape, kind=FLOAT):
    """ValueInfoProto; lengths are numbers, names, or None."""
    dims = b""
    for length in shape:
        if length is None:
            dims += chunk(1, b"")
        elif isinstance(length, str):
            dims += chunk(1, chunk(2, length))
        else:
            dims += chunk(1, number(1, length))
    return chunk(1, name) + chunk(2, chunk(1, number(1, kind) + chunk(2, dims)))


def model(nodes, tensors=(), inputs=(), outputs=(), opset=17, extra=b"", ml=None):
    """ModelProto; inputs and outputs as from `value`."""
    graph = b"".join(chunk(1, one) for one in nodes) + chunk(2, "graph")
    graph += b"".join(chunk(5, one) for one in tensors)
    graph += b"".join(chunk(11, one) for one in inputs)
    graph += b"".join(chunk(12, one) for one in outputs)
    made = number(1, 8) + chunk(2, "hand") + chunk(7, graph + extra)
    made += chunk(8, chunk(1, "") + number(2, opset))
    if ml is not None:
        made += chunk(8, chunk(1, "ai.onnx.ml") + number(2, ml))
    return made


def plain(nodes, tensors, shape, last="y", **more):
    """A model with the input x and the output `last`."""
    return model(nodes, tensors, [value("x", shape)], [value(last, ("N", None))], **more)


def write_holes(path, rows, columns):
    """A layer of zeros, y = x W^T; its weights lie inside and take no room on the disk."""
    size = 4 * rows * columns
    head = number(1, rows) + number(1, columns) + number(2, FLOAT) + chunk(8, "W")
    head += varint(9 << 3 | 2) + varint(size)
    head = varint(5 << 3 | 2) + varint(len(head) + size) + head
    tail = chunk(1, node("Gemm", "x W", "y", transB=1))
    tail += chunk(11, value("x", ("N", columns))) + chunk(12, value("y", ("N", rows)))
    length = varint(len(head) + size + len(tail))
    with open(path, "wb") as stream:
        stream.write(number(1, 8) + varint(7 << 3 | 2) + length + head)
        stream.seek(size, 1)
        stream.write(tail + chunk(8, number(2, 17)))
