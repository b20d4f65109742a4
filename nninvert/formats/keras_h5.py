"""Keras HDF5: the whole model (``model.save("m.h5")``) of Keras 1 to 3, or its weights.

A whole model has the architecture as JSON in the root attribute ``model_config`` and the
arrays in the group ``model_weights``; a file of weights has the content of that group on
its root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nninvert import hdf5
from nninvert.errors import FormatError, NninvertError
from nninvert.formats._arrays import Hdf5Array
from nninvert.formats._base import Reader
from nninvert.formats._json import Fields, parse_json
from nninvert.formats._options import IN_OUT, ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed
from nninvert.formats.bare_names import BareWeights, bare_layer
from nninvert.formats.file_layer import LayerMakers
from nninvert.formats.keras_apart import ArchitectureApart
from nninvert.formats.keras_build import Arrays, parsed_model
from nninvert.formats.keras_class import Origin
from nninvert.formats.keras_config import KerasModel, major, model_from_json
from nninvert.formats.keras_weights import assign

if TYPE_CHECKING:
    import h5py

WEIGHTS_GROUP = "model_weights"
BACKENDS = ("tensorflow", "theano", "cntk", "jax", "torch", "numpy", "openvino")

NB_LAYERS, NB_ARRAYS = "nb_layers", "nb_params"
"""Up to Keras 0.3, layers and arrays were counted, not named."""

_SUFFIXES = (".h5", ".hdf5", ".keras")


class KerasHdf5(Reader):
    """A whole Keras model."""

    name = "Keras HDF5"
    suffixes = _SUFFIXES
    takes_layers = True
    reads = (
        "whole models of Keras 1, 2, tf.keras and 3, Sequential, functional and nested, "
        "as model.save('m.h5') writes them"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """HDF5 with the attribute ``model_config``."""
        if not hdf5.is_hdf5(path):
            return False
        with hdf5.open_hdf5(path) as file:
            return _has(file, "model_config")

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read architecture and arrays."""
        refuse_bare_options(path, options)
        try:
            with hdf5.open_hdf5(path) as file:
                return _parse_model(file, options.layers)
        except NninvertError as error:
            raise error.at(file=path) from error


class KerasWeights(ArchitectureApart):
    """The weights of a Keras model without its architecture."""

    name = "Keras HDF5 weights"
    suffixes = _SUFFIXES
    reads = (
        "as model.save_weights('m.h5') of Keras 1 and 2 writes them: with --config "
        "FILE.json any model, without it Dense layers"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """HDF5 with ``layer_names`` or ``nb_layers``, its root's or ``model_weights``'."""
        if not hdf5.is_hdf5(path):
            return False
        with hdf5.open_hdf5(path) as file:
            return _weights_root(file) is not None

    @contextmanager
    def arrays(self, path: str, model: KerasModel) -> Iterator[tuple[Arrays, Origin]]:
        """By the names of the layers, of the oldest files by their numbers."""
        with hdf5.open_hdf5(path) as file:
            root = _weights_root(file)
            assert root is not None, "sniff looked"
            groups, keras = _groups(root), major(_version(file, root))
            backend = hdf5.attribute_text(root, "backend")
            origin = Origin(keras, _is_of_theano(keras, backend, groups))
            yield assign(model, groups, keras), origin

    def collect(self, path: str) -> BareWeights:
        """The layers in the file's order; kernels of Keras are (in, out)."""
        with hdf5.open_hdf5(path) as file:
            root = _weights_root(file)
            assert root is not None, "sniff looked"
            keras = major(_version(file, root))
            layers = [
                bare_layer(name, arrays) for name, arrays in _groups(root).items() if arrays
            ]
        if not layers:
            raise FormatError(
                "layer_names", got="no layer with weights", expected="at least one"
            )
        return BareWeights(
            f"Keras {keras} HDF5 weights",
            (tuple(layers),),
            IN_OUT,
            "Keras stores kernels like that",
        )


def _has(node: h5py.Group, name: str) -> bool:
    """Whether there is a text attribute of that name, whatever it says."""
    return hdf5.attribute_text(node, name) is not None


def _weights_root(file: h5py.File) -> h5py.Group | None:
    """The group that lists the layers: the root, or ``model_weights``."""
    import h5py

    if _lists_layers(file):
        return file["/"]
    if WEIGHTS_GROUP not in hdf5.members(file):
        return None
    group = hdf5.child(file, WEIGHTS_GROUP)
    return group if isinstance(group, h5py.Group) and _lists_layers(group) else None


def _lists_layers(group: h5py.Group) -> bool:
    if hdf5.attribute_names(group, "layer_names") is not None:
        return True
    return hdf5.attribute_numbers(group, NB_LAYERS) is not None


def _version(file: h5py.File, weights: h5py.Group) -> str:
    """Files without a version are of Keras 1, which wrote none."""
    return (
        hdf5.attribute_text(file, "keras_version")
        or hdf5.attribute_text(weights, "keras_version")
        or "1"
    )


def _parse_model(file: h5py.File, makers: LayerMakers) -> Parsed:

    backend = hdf5.attribute_text(file, "backend")
    if backend is not None and backend not in BACKENDS:
        raise FormatError(
            "attribute 'backend'",
            got=repr(backend),
            expected="a backend of Keras: " + ", ".join(BACKENDS),
            because="another program's model_config is not Keras's",
        )
    text = hdf5.attribute_text(file, "model_config")
    config = Fields(parse_json(text or "", "model_config"))
    if WEIGHTS_GROUP not in hdf5.members(file):
        raise FormatError(
            f"'{WEIGHTS_GROUP}'",
            got="no such group",
            expected="the weights of the model",
            because="the architecture alone is no trained network",
            next_step="In Keras: model.load_weights(...), then model.save('m.h5').",
        )
    weights = hdf5.group(file, WEIGHTS_GROUP)
    keras = major(_version(file, weights))
    model = model_from_json(config)
    groups = _groups(weights)
    arrays = assign(model, groups, keras)
    origin = Origin(keras, _is_of_theano(keras, backend, groups))
    return parsed_model(model, arrays, origin, f"Keras {keras} HDF5", makers)


def _is_of_theano(
    keras: int, backend: str | None, groups: Mapping[str, Sequence[Hdf5Array]]
) -> bool:
    """Whether Theano computed the model: from Keras 2 on files say so.

    Before, TensorFlow's arrays had names that end in ":0", and Theano's had not. Without
    arrays there is nothing to tell it by.
    """
    if keras > 1:
        return backend == "theano"
    names = [array.where for held in groups.values() for array in held]
    return bool(names) and not any(name.endswith(":0") for name in names)


def _groups(root: h5py.Group) -> dict[str, Sequence[Hdf5Array]]:
    """The arrays of each layer, in the file's order of layers and arrays."""
    found: dict[str, Sequence[Hdf5Array]] = {}
    for name in _layer_names(root):
        group = hdf5.group(root, name)
        if name in found:
            raise FormatError(
                f"'{root.name}' > attribute 'layer_names'",
                got=f"'{name}' twice",
                expected="different names",
            )
        stored = hdf5.attribute_names(group, "weight_names")
        if stored is None:
            stored = [f"param_{k}" for k in range(_count(group, NB_ARRAYS))]
        found[name] = [Hdf5Array(hdf5.dataset(group, item)) for item in stored]
    return found


def _layer_names(root: h5py.Group) -> list[str]:
    names = hdf5.attribute_names(root, "layer_names")
    if names is not None:
        return names
    if hdf5.attribute_numbers(root, NB_LAYERS) is not None:
        return [f"layer_{k}" for k in range(_count(root, NB_LAYERS))]
    raise FormatError(
        f"'{root.name}' > attribute 'layer_names'",
        got="nothing",
        expected="the names of the layers",
    )


def _count(group: h5py.Group, name: str) -> int:
    """A number of layers or arrays; 0 where it is not stated.

    Raises
    ------
    FormatError
        If it is not one number, or more than the group has members.
    """
    numbers = hdf5.attribute_numbers(group, name)
    if numbers is None:
        return 0
    held = len(hdf5.members(group))
    if len(numbers) != 1 or not 0 <= numbers[0] <= held:
        raise FormatError(
            f"'{group.name}' > attribute '{name}'",
            got=", ".join(map(str, numbers)),
            expected=f"one number up to {held}, as many as there are members",
        )
    return numbers[0]
