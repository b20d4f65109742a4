"""Keras 3 archives (``model.save("m.keras")``): a zip of the architecture and the weights.

``config.json`` is the architecture, ``metadata.json`` tells the version,
``model.weights.h5`` holds the arrays and is stored uncompressed, so that large ones are
read where they lie. tf.keras 2.12 to 2.15 writes the same with its own JSON.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from nninvert import hdf5
from nninvert.archive import (
    ZIP_MAGIC,
    check_claim,
    check_names,
    data_start,
    member_names,
    open_archive,
    reading_member,
    small_member,
)
from nninvert.errors import FormatError, NninvertError
from nninvert.formats._base import Reader
from nninvert.formats._json import MAX_JSON_BYTES, Fields, parse_json
from nninvert.formats._options import ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed
from nninvert.formats.file_layer import LayerMakers
from nninvert.formats.keras_build import parsed_model
from nninvert.formats.keras_class import Origin
from nninvert.formats.keras_config import major, model_from_json
from nninvert.formats.keras_tree import arrays_of_tree

if TYPE_CHECKING:
    import h5py
    from _typeshed import WriteableBuffer as Buffer

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

_EXPECTED = f"a Keras archive with {METADATA}, {CONFIG} and {WEIGHTS}"


class KerasArchive(Reader):
    """A whole Keras model as Keras 3 keeps it."""

    name = "Keras archive"
    suffixes = (".keras",)
    takes_layers = True
    reads = (
        "whole models of Keras 3 and of tf.keras from 2.12 on, Sequential, functional and "
        "nested, as model.save('m.keras') writes them"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """A zip that holds ``config.json``."""
        return head.startswith(ZIP_MAGIC) and CONFIG in member_names(path)

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read architecture and arrays."""
        refuse_bare_options(path, options)
        try:
            with open_archive(path, path, _EXPECTED) as archive:
                return _parse(archive, path, options.layers)
        except NninvertError as error:
            raise error.at(file=path) from error


def _parse(archive: zipfile.ZipFile, path: str, makers: LayerMakers) -> Parsed:
    members = {info.filename: info for info in check_names(archive, path)}
    config = _json(archive, members, CONFIG, path)
    keras = major(_json(archive, members, METADATA, path).text("keras_version"))
    model = model_from_json(config)
    with _weights(archive, _member(members, WEIGHTS), path) as (file, inside):
        arrays = arrays_of_tree(model, [file], inside)
        name = f"Keras {keras} archive"
        return parsed_model(model, arrays, Origin(keras), name, makers)


def _member(members: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    if name in members:
        return members[name]
    others = [other for other in members if other.startswith("model.weights")]
    raise FormatError(
        f"'{name}'",
        got=", ".join(others) if others and name == WEIGHTS else "no such member",
        expected=_EXPECTED,
        next_step="In Keras: keras.models.load_model('m.keras').save('m.h5').",
    )


def _json(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, path: str
) -> Fields:
    info = _member(members, name)
    raw = small_member(archive, info, path, MAX_JSON_BYTES, "JSON")
    return Fields(parse_json(raw.decode(errors="replace"), name))


@contextmanager
def _weights(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str
) -> Iterator[tuple[h5py.File, hdf5.Inside | None]]:
    """The weights where they lie, or unpacked into memory if they are compressed."""
    check_claim(archive, info, path)
    start = data_start(path, info)
    with ExitStack() as opened:
        if start is not None:
            hdf5.screen(path, start)
            inside = hdf5.Inside(start, info.file_size)
            yield opened.enter_context(hdf5.open_hdf5(path, inside)), inside
        else:
            with reading_member(path, info.filename):
                raw = archive.read(info)
            hdf5.screen_bytes(raw, path)
            stream = opened.enter_context(_Unpacked(raw, path))
            yield opened.enter_context(hdf5.open_stream(stream, path)), None


class _Unpacked(BytesIO):
    """A member in memory, called as the file that it came from."""

    def __init__(self, raw: bytes, path: str) -> None:
        super().__init__(raw)
        self._path = path

    def __repr__(self) -> str:
        return self._path

    def readinto(self, buffer: Buffer) -> int:
        """Read, and fill up with zeros, as `hdf5.opening.Enclosed` does."""
        view = memoryview(buffer).cast("B")
        done = super().readinto(view)
        view[done:] = bytes(len(view) - done)
        return len(view)
