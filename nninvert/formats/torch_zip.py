"""PyTorch files (``torch.save(model.state_dict(), "m.pt")``): bare weights in a zip.

The arrays are members of the zip, stored uncompressed, and large ones are read where they
lie. Neither PyTorch nor any code in the file is needed or run.
"""

from __future__ import annotations

import zipfile

import numpy as np
from numpy.typing import NDArray

from nninvert.archive import (
    ZIP_MAGIC,
    check_claim,
    check_names,
    data_start,
    member_names,
    open_archive,
    small_member,
)
from nninvert.errors import FormatError
from nninvert.formats._arrays import PieceArray, StoredArray
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_weights
from nninvert.formats.torch_pickle import (
    MAX_PICKLE_BYTES,
    Tensor,
    read_pickle,
    tensors_of,
)
from nninvert.linalg.stored import StoredMatrix

_PICKLE = "/data.pkl"
_EXPECTED = "a file of torch.save"


class TorchZip(BareReader):
    """A state dict in PyTorch's zip."""

    name = "PyTorch state dict"
    suffixes = (".pt", ".pth")
    reads = (
        "matrices and biases by name, as torch.save(model.state_dict(), 'm.pt') writes "
        "them since PyTorch 1.6; nothing in the file is run"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """A zip with ``NAME/data.pkl``."""
        return head.startswith(ZIP_MAGIC) and any(
            name.endswith(_PICKLE) and name.count("/") == 1 for name in member_names(path)
        )

    def collect(self, path: str) -> BareWeights:
        """All tensors of floating-point numbers; others are left out and named."""
        with open_archive(path, path, _EXPECTED) as archive:
            members = {info.filename: info for info in check_names(archive, path)}
            root = next(name for name in members if name.endswith(_PICKLE))
            root = root.removesuffix(_PICKLE)
            raw = _small(archive, members[root + _PICKLE], path)
            order = members.get(f"{root}/byteorder")
            big = order is not None and _small(archive, order, path).strip() == b"big"
            tensors = tensors_of(read_pickle(raw))
            arrays: dict[str, StoredArray] = {}
            others = []
            for name, tensor in tensors.items():
                dtype = tensor.dtype(big)
                if dtype.kind not in "fV":
                    others.append(name)
                    continue
                start = _start(archive, members, f"{root}/data/{tensor.storage.key}", path)
                arrays[name] = tensor_array(path, start, tensor, dtype, name)
        return bare_weights(arrays, self.name, others)


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> bytes:
    """A member beside the arrays, which are members of their own."""
    return small_member(archive, info, path, MAX_PICKLE_BYTES, "names and shapes")


def _start(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, path: str
) -> tuple[int, int]:
    """Where a storage begins in the file, and its bytes."""
    info = members.get(name)
    if info is None:
        raise FormatError(f"'{name}'", got="no such member", expected="its numbers")
    check_claim(archive, info, path)
    start = data_start(path, info)
    if start is None:
        raise FormatError(
            f"'{name}'",
            got="compressed numbers",
            expected="numbers as torch.save stores them",
            next_step="Save it again with torch.save.",
        )
    return start, info.file_size


def tensor_array(
    path: str,
    place: tuple[int, int],
    tensor: Tensor,
    dtype: np.dtype[np.generic],
    name: str,
) -> StoredArray:
    """The tensor as one piece of the file, or as a view of a piece."""
    start, size = place
    if tensor.storage.count * dtype.itemsize > size:
        raise FormatError(
            f"'{name}'",
            got=f"{size:,} bytes",
            expected=f"{tensor.storage.count:,} numbers of {dtype}",
            next_step="Copy or download the file again.",
        )
    first = start + tensor.offset * dtype.itemsize
    if _dense(tensor.shape, tensor.strides):
        return PieceArray(path, first, tensor.shape, dtype, name)
    if _dense(tensor.shape[::-1], tensor.strides[::-1]):
        return TurnedArray(PieceArray(path, first, tensor.shape[::-1], dtype, name))
    whole = PieceArray(path, start, (tensor.storage.count,), dtype, name)
    return ViewArray(whole, tensor)


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the entries follow one another, rows first."""
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


class TurnedArray(StoredArray):
    """An array whose axes stand in the file in the opposite order."""

    def __init__(self, base: PieceArray) -> None:
        self._base = base
        self.where, self.dtype = base.where, base.dtype
        self.shape = base.shape[::-1]

    def read(self) -> NDArray[np.generic]:
        """Read and turn it."""
        return self._base.read().T

    def _in_file(self) -> StoredMatrix:
        return self._base.matrix().transposed


class ViewArray(StoredArray):
    """An array whose entries lie scattered in a storage."""

    def __init__(self, whole: PieceArray, tensor: Tensor) -> None:
        self._whole, self._tensor = whole, tensor
        self.where, self.dtype, self.shape = whole.where, whole.dtype, tensor.shape

    def read(self) -> NDArray[np.generic]:
        """Read the storage, and copy the entries out of it."""
        flat, tensor = self._whole.read(), self._tensor
        strides = tuple(step * flat.itemsize for step in tensor.strides)
        view = np.lib.stride_tricks.as_strided(
            flat[tensor.offset :], tensor.shape, strides, writeable=False
        )
        return view.copy()

    def _in_file(self) -> None:
        return None
