"""Keras weights whose architecture is in another file, or nowhere.

``model.save_weights("m.weights.h5")`` writes arrays and no architecture; that is what
``model.to_json()`` gives, and what ``config.json`` in a .keras archive holds. Without it
the weights are bare: the activations have to be named.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from nninvert import hdf5
from nninvert.errors import FormatError, LimitError, NninvertError
from nninvert.files import regular_size, unreadable
from nninvert.formats._arrays import StoredArray
from nninvert.formats._building import build
from nninvert.formats._json import MAX_JSON_BYTES, Fields, parse_json
from nninvert.formats._options import IN_OUT, ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_layer
from nninvert.formats.keras_build import Arrays, parsed_model
from nninvert.formats.keras_class import Origin
from nninvert.formats.keras_config import KerasModel, major, model_from_json
from nninvert.formats.keras_tree import CONTAINERS, arrays_of_tree, variables_of
from nninvert.network import Network


class ArchitectureApart(BareReader):
    """Weights of a Keras model, with ``--config`` or as bare weights."""

    takes_config = True
    takes_layers = True

    @abstractmethod
    @contextmanager
    def arrays(self, path: str, model: KerasModel) -> Iterator[tuple[Arrays, Origin]]:
        """Give each layer of the architecture its arrays, which stay open for reading.

        The origin is what the weights tell of it.
        """

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read with the architecture if there is one, else as bare weights."""
        if options.config is None:
            return super().parse(path, options)
        refuse_bare_options(path, options)
        top = _architecture(options.config)
        try:
            model = model_from_json(top)
            keras = _version(top)
        except NninvertError as error:
            raise error.at(file=options.config) from error
        try:
            with self.arrays(path, model) as (arrays, origin):
                name = f"{self.name}, architecture from {os.path.basename(options.config)}"
                origin = replace(origin, keras=keras or origin.keras)
                return parsed_model(model, arrays, origin, name, options.layers)
        except NninvertError as error:
            raise error.at(file=path) from error

    def read(self, path: str, options: ReadOptions) -> Network:
        """Build the network; errors as of `Reader.read` and `BareReader.read`."""
        if options.config is None:
            return super().read(path, options)
        return build(self.parse(path, options), path, options)


class KerasTree(ArchitectureApart):
    """Weights as Keras 3 saves them without the architecture."""

    name = "Keras 3 weights"
    suffixes = (".weights.h5", ".h5")
    reads = (
        "as model.save_weights('m.weights.h5') of Keras 3 writes them: with --config "
        "FILE.json any model, without it Dense layers"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """HDF5 with the group ``layers`` on its root."""
        if not hdf5.is_hdf5(path):
            return False
        with hdf5.open_hdf5(path) as file:
            return bool(set(hdf5.members(file)) & set(CONTAINERS))

    @contextmanager
    def arrays(self, path: str, model: KerasModel) -> Iterator[tuple[Arrays, Origin]]:
        """By class and number, as in an archive."""
        with hdf5.open_hdf5(path) as file:
            yield arrays_of_tree(model, [file], None), Origin(3)

    def collect(self, path: str) -> BareWeights:
        """Dense layers in the order of their numbers; others need the architecture."""
        with hdf5.open_hdf5(path) as file:
            return dense_layers(variables_of([file]), self.name)


def dense_layers(found: Mapping[str, Sequence[StoredArray]], name: str) -> BareWeights:
    """The Dense layers of a tree in the order of their numbers.

    Parameters
    ----------
    found : mapping of str to arrays
        By group.
    name : str
        Of the format, for people.

    Raises
    ------
    FormatError
        If there are others: what they compute, the architecture has to tell.
    """
    others = [group for group in found if not re.fullmatch(r"dense(_\d+)?", group)]
    if others or not found:
        raise FormatError(
            "layers",
            got=", ".join(others) or "no arrays",
            expected="Dense layers alone, or the architecture",
            next_step="In Keras: open('c.json', 'w').write(model.to_json()). "
            "Then: --config c.json",
        )
    ordered = sorted(found, key=lambda group: int(group[6:] or 0))
    layers = tuple(bare_layer(group, found[group]) for group in ordered)
    return BareWeights(name, (layers,), IN_OUT, "Keras stores kernels like that")


def _architecture(path: str) -> Fields:
    size = regular_size(path)
    if size > MAX_JSON_BYTES:
        raise LimitError(
            "", got=f"{size:,} bytes", expected="an architecture in JSON", file=path
        )
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return Fields(parse_json(stream.read(), "--config"))
    except OSError as error:
        raise unreadable(path, error) from error
    except NninvertError as error:
        raise error.at(file=path) from error


def _version(top: Fields) -> int | None:
    """The major version of Keras that wrote the architecture, where it says so."""
    said = top.text("keras_version", default="")
    return major(said) if said else None
