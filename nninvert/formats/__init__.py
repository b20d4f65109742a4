"""From a model file to a `Network`, and back to nninvert's own files.

What a file is, its content decides; its name only where the content does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nninvert import hdf5
from nninvert.errors import UsageError, shortlist
from nninvert.formats._base import Reader
from nninvert.formats._description import (
    Description,
    LayerDescription,
    PartDescription,
)
from nninvert.formats._options import ORIENTATIONS, ReadOptions
from nninvert.formats.file_layer import FileLayer, MakeLayer
from nninvert.formats.from_arrays import from_arrays
from nninvert.formats.impostors import refusal, refuse_directory
from nninvert.formats.keras_apart import KerasTree
from nninvert.formats.keras_archive import KerasArchive
from nninvert.formats.keras_h5 import KerasHdf5, KerasWeights
from nninvert.formats.keras_shards import KerasShards
from nninvert.formats.nnet import Nnet
from nninvert.formats.npz_weights import NpzWeights
from nninvert.formats.onnx import Onnx
from nninvert.formats.own import OwnHdf5, OwnNpz, save
from nninvert.formats.plain_h5 import PlainHdf5
from nninvert.formats.safetensors import Safetensors
from nninvert.formats.sparse import SparseNpz
from nninvert.formats.torch_legacy import TorchLegacy
from nninvert.formats.torch_zip import TorchZip

if TYPE_CHECKING:
    from nninvert.network import Network

__all__ = [
    "ORIENTATIONS",
    "READERS",
    "Description",
    "FileLayer",
    "FormatRow",
    "LayerDescription",
    "MakeLayer",
    "PartDescription",
    "ReadOptions",
    "Reader",
    "candidates",
    "describe",
    "from_arrays",
    "known_formats",
    "load",
    "save",
]

READERS: tuple[Reader, ...] = (
    OwnHdf5(),
    OwnNpz(),
    KerasHdf5(),
    KerasArchive(),
    KerasWeights(),
    KerasTree(),
    KerasShards(),
    SparseNpz(),
    NpzWeights(),
    PlainHdf5(),
    Safetensors(),
    TorchZip(),
    TorchLegacy(),
    Onnx(),
    Nnet(),
)
"""In the order in which they are asked: the more a format says about itself, the sooner."""


@dataclass(frozen=True)
class FormatRow:
    """A row of the README's table."""

    name: str
    suffixes: tuple[str, ...]
    reads: str


def known_formats() -> tuple[FormatRow, ...]:
    """What can be read, one row for each reader."""
    return tuple(FormatRow(r.name, r.suffixes, r.reads) for r in READERS)


def load(path: str, options: ReadOptions | None = None) -> Network:
    """Read a network.

    Parameters
    ----------
    path : str
        A model file.
    options : ReadOptions or None, default None

    Raises
    ------
    UsageError
        If `path` is "-", or the options do not fit the file.
    UnsupportedLayerError
        Naming every layer that is not known.
    FormatError
        If the file is no model that can be read; it says what it looks like.
    InputError
        If there is nothing to read at `path`.
    """
    options = options or ReadOptions()
    return _reader(path, options).read(path, options)


def describe(path: str, options: ReadOptions | None = None) -> Description:
    """Say what is in a model file, also where it cannot be inverted.

    Parameters and errors are those of `load`, but unknown layers are no error.
    """
    options = options or ReadOptions()
    return _reader(path, options).describe(path, options)


def candidates(path: str) -> Iterator[tuple[ReadOptions, Network]]:
    """Every plausible reading of a file of bare weights.

    Parameters
    ----------
    path : str
        A model file.

    Yields
    ------
    options : ReadOptions
        An orientation that the shapes allow, and activations: one for all layers, or one
        for the hidden layers and a usual one at the end.
    network : Network
        Read that way. At most 2 x 70 of them, the likelier first; all over the same
        weights. None for files that state everything themselves.
    """
    from nninvert.formats.bare import BareReader

    reader = _reader(path, ReadOptions())
    if isinstance(reader, BareReader):
        yield from reader.candidates(path)


def _reader(path: str, options: ReadOptions) -> Reader:
    """The first reader that knows the file, if it knows what to do with the options."""
    from nninvert.files import read_head

    if path == "-":
        raise UsageError(
            "MODEL",
            got="-",
            expected="a file",
            because="a model is read at several places, which a pipe does not allow",
            next_step="Save it to a file first.",
        )
    refuse_directory(path)
    head = read_head(path)
    if hdf5.is_hdf5(path):
        hdf5.screen(path)
    for reader in READERS:
        if reader.sniff(head, path):
            if options.config is not None and not reader.takes_config:
                raise UsageError(
                    "--config",
                    got=repr(options.config),
                    expected="weights of Keras alone (.weights.h5)",
                    because=f"this file is of another kind: {reader.name}",
                    file=path,
                )
            _require_classes(path, options, reader)
            return reader
    raise refusal(head, path)


def _require_classes(path: str, options: ReadOptions, reader: Reader) -> None:
    """Refuse layers of the user's where the file names no classes."""
    apart = reader.takes_config and options.config is None
    if options.layers and (apart or not reader.takes_layers):
        raise UsageError(
            "layers",
            got=shortlist([repr(name) for name in options.layers]),
            expected="nothing",
            because=f"this file names no classes of layers: {reader.name}",
            file=path,
        )
