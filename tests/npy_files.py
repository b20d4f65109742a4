"""The bytes of .npy files, right and wrong, for the tests of what reads them."""

import io

import numpy as np

from nninvert.npy import MAGIC


def npy_bytes(values, version=None):
    """What numpy.save writes, pickled objects included; `version` such as (2, 0)."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(values), version, allow_pickle=True)
    return stream.getvalue()


def raw_npy(header, data=b"", version=1):
    """Any text as header, with its right length."""
    text = header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return MAGIC + bytes([version, 0]) + length + text + data
