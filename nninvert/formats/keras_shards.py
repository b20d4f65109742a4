"""Keras 3 weights in several files (``model.save_weights("m.weights.json", 5)``).

The JSON names, for each group of variables, the files beside it that hold them; the files
have parts of one tree. One layer's arrays may lie in two of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from nninvert import hdf5
from nninvert.errors import FormatError, LimitError
from nninvert.files import regular_size, unreadable
from nninvert.formats._json import MAX_JSON_BYTES, Fields, parse_json
from nninvert.formats.bare_names import BareWeights
from nninvert.formats.keras_apart import ArchitectureApart, dense_layers
from nninvert.formats.keras_build import Arrays
from nninvert.formats.keras_class import Origin
from nninvert.formats.keras_config import KerasModel
from nninvert.formats.keras_tree import arrays_of_tree, variables_of

if TYPE_CHECKING:
    import h5py

MAX_SHARDS = 500
"""All are open at once, and systems allow about a thousand; 5 GB each is usual."""

SHARD_END = ".weights.h5"
_MAP = "weight_map"


class KerasShards(ArchitectureApart):
    """The JSON that lists the files of a Keras 3 model's weights."""

    name = "Keras 3 weights in shards"
    suffixes = (".weights.json",)
    reads = (
        "as model.save_weights('m.weights.json', max_shard_size=5) of Keras 3 writes them, "
        "all files in one folder; --config FILE.json as above"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """JSON that maps to files of weights."""
        text = head.lstrip()
        return (
            text.startswith(b"{") and _MAP.encode() in text and SHARD_END.encode() in text
        )

    @contextmanager
    def arrays(self, path: str, model: KerasModel) -> Iterator[tuple[Arrays, Origin]]:
        """By class and number, as in an archive."""
        with _shards(path) as files:
            yield arrays_of_tree(model, files, None), Origin(3)

    def collect(self, path: str) -> BareWeights:
        """Dense layers in the order of their numbers; others need the architecture."""
        with _shards(path) as files:
            return dense_layers(variables_of(files), self.name)


@contextmanager
def _shards(path: str) -> Iterator[list[h5py.File]]:
    """All files of weights, open."""
    folder = os.path.dirname(path)
    with ExitStack() as opened:
        files = []
        for name in _names(path):
            shard = os.path.join(folder, name)
            regular_size(shard)
            hdf5.screen(shard)
            files.append(opened.enter_context(hdf5.open_hdf5(shard)))
        yield files


def _names(path: str) -> list[str]:
    """The files that the JSON names, each once, in its order.

    Raises
    ------
    FormatError
        If it does not name files beside it.
    LimitError
        If they are too many to be open at once.
    """
    if regular_size(path) > MAX_JSON_BYTES:
        raise LimitError(
            "", got=f"{regular_size(path):,} bytes", expected="a list of files in JSON"
        )
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            listed = Fields(parse_json(stream.read(), "")).inner(_MAP)
    except OSError as error:
        raise unreadable(path, error) from error
    names = list(
        dict.fromkeys(_checked(one) for key in listed for one in _all(listed, key))
    )
    if not names:
        raise FormatError(_MAP, got="no files", expected=f"files like m_00000{SHARD_END}")
    if len(names) > MAX_SHARDS:
        raise LimitError(
            _MAP, got=f"{len(names):,} files", expected=f"at most {MAX_SHARDS}"
        )
    return names


def _all(listed: Fields, key: str) -> list[Any]:
    value = listed.raw(key)
    return value if isinstance(value, list) else [value]


def _checked(name: Any) -> str:
    """The name of a file in the same folder."""
    if (
        not isinstance(name, str)
        or not name.endswith(SHARD_END)
        or any(letter in name for letter in "/\\\0")
    ):
        raise FormatError(
            _MAP,
            got=repr(name),
            expected=f"the name of a file in the same folder, like m_00000{SHARD_END}",
        )
    return name
