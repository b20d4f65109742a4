"""Which arrays of a Keras 3 weights file belong to which layer.

Such a file is a tree: ``layers/dense_1/vars/0``. A group is named after the class of its
layer, counted in the order of the model's layers, whatever the layer itself is called;
since Keras 3.6 the attribute ``name`` of ``vars`` tells that, too. Nested models repeat
the tree inside their group.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from nninvert import hdf5
from nninvert.errors import FormatError
from nninvert.formats._arrays import Hdf5Array, StoredArray
from nninvert.formats.keras_config import KerasLayer, KerasModel

if TYPE_CHECKING:
    import h5py

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Where the layers of a model are; the second in some files of tf.keras 2.12 to 2.14."""

_WRAPPERS = {"TimeDistributed": "layer"}
"""Classes that hold their arrays one level down."""

Arrays = dict[tuple[int, ...], list[StoredArray] | None]


def arrays_of_tree(
    model: KerasModel, group: h5py.Group, inside: hdf5.Inside | None
) -> Arrays:
    """Give each layer its arrays, by key.

    Parameters
    ----------
    model : KerasModel
    group : h5py.Group
        The root of the file, or the group of a nested model.
    inside : hdf5.Inside or None
        Where the file lies inside another.

    Raises
    ------
    FormatError
        If there is no tree of layers, or it is not that of this model.
    """
    container = next((name for name in CONTAINERS if name in hdf5.members(group)), None)
    found: Arrays = {}
    if container is None:
        if any(not layer.is_input for layer in model.layers):
            raise FormatError(
                f"'{group.name}'",
                got=f"no group '{CONTAINERS[0]}'",
                expected="a group for each layer with weights",
                next_step="The architecture and the weights are not of one model.",
            )
        return found
    tree = _group(group, container)
    held = set(hdf5.members(tree))
    names = group_names(model)
    renamed = _by_name(tree, held)
    for layer in model.layers:
        name = names.get(layer.key, "")
        if renamed.get(name, layer.name) != layer.name:
            raise FormatError(
                f"'{tree.name}/{name}'",
                got=f"the arrays of a layer '{renamed[name]}'",
                expected=f"those of '{layer.name}'",
                next_step="The architecture and the weights are not of one model.",
            )
        if name not in held:
            found[layer.key] = []
        elif layer.model is not None:
            found.update(arrays_of_tree(layer.model, _group(tree, name), inside))
        else:
            found[layer.key] = _variables(layer, _group(tree, name), inside)
    return found


def variables_of(group: h5py.Group) -> dict[str, list[StoredArray]]:
    """The arrays of every group of layers that has some, without an architecture."""
    found = {}
    for container in set(CONTAINERS) & set(hdf5.members(group)):
        tree = _group(group, container)
        for name in hdf5.members(tree):
            arrays = _numbered(_group(tree, name), None)
            if arrays or hdf5.members(_group(tree, name)) not in ([], ["vars"]):
                found[name] = arrays
    return found


def group_names(model: KerasModel) -> dict[tuple[int, ...], str]:
    """The name of each layer's group: its class, and which of that class it is."""
    counts: Counter[str] = Counter()
    names = {}
    for layer in model.layers:
        if layer.is_operation:
            continue
        stem = snake_case(layer.class_name)
        names[layer.key] = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
    return names


def snake_case(class_name: str) -> str:
    """``PReLU`` as ``p_re_lu``, ``Conv2DTranspose`` as ``conv2d_transpose``.

    A capital with small letters behind it begins a word, and so does one behind a small
    letter.
    """
    name = class_name.rpartition(">")[2]
    name = re.sub(r"(?<=.)(?=[A-Z][a-z])", "_", re.sub(r"\W", "", name))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _by_name(tree: h5py.Group, held: set[str]) -> dict[str, str]:
    """What layers the groups say that they belong to, where they say so."""
    import h5py

    found = {}
    for name in held:
        group = hdf5.child(tree, name)
        if not isinstance(group, h5py.Group) or "vars" not in hdf5.members(group):
            continue
        said = hdf5.attribute_text(hdf5.child(group, "vars"), "name")
        if said is not None:
            found[name] = said
    return found


def _variables(
    layer: KerasLayer, group: h5py.Group, inside: hdf5.Inside | None
) -> list[StoredArray]:
    """The arrays of one layer in order."""
    wrapped = _WRAPPERS.get(layer.class_name)
    if wrapped is not None and wrapped in hdf5.members(group):
        group = _group(group, wrapped)
    return _numbered(group, inside)


def _numbered(group: h5py.Group, inside: hdf5.Inside | None) -> list[StoredArray]:
    """The arrays 0, 1, ... in the group ``vars``."""
    if "vars" not in hdf5.members(group):
        return []
    variables = _group(group, "vars")
    names = [str(name) for name in hdf5.members(variables)]
    numbered = sorted((name for name in names if name.isdecimal()), key=int)
    if numbered != [str(k) for k in range(len(names))]:
        raise FormatError(
            f"'{variables.name}'",
            got=", ".join(sorted(names)),
            expected="arrays named 0, 1, 2, ...",
        )
    return [Hdf5Array(hdf5.dataset(variables, name), inside) for name in numbered]


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    import h5py

    found = hdf5.child(parent, name)
    if not isinstance(found, h5py.Group):
        raise FormatError(f"'{found.name}'", got="a data set", expected="a group")
    return found
