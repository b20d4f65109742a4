"""Which arrays of a Keras 3 weights file belong to which layer.

Such a file is a tree: ``layers/dense_1/vars/0``. A group is named after the class of its
layer, counted in the order of the model's layers, whatever the layer itself is called;
since Keras 3.6 the attribute ``name`` of ``vars`` tells that, too. Nested models repeat
the tree inside their group.

Weights in several files (shards) have parts of one tree in each: every place in it is a
list of groups here, one from each file that has it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert import hdf5
from nninvert.errors import FormatError
from nninvert.formats._arrays import Hdf5Array, StoredArray
from nninvert.formats.keras_config import KerasLayer, KerasModel

if TYPE_CHECKING:
    import h5py

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Where the layers of a model are; the second in some files of tf.keras 2.12 to 2.14."""

_PARTS = {
    "MultiHeadAttention": ("query_dense", "key_dense", "value_dense", "output_dense"),
    "TimeDistributed": ("layer",),
}
"""Classes that hold their arrays one level down, in these groups; tf.keras adds a _."""

Arrays = dict[tuple[int, ...], list[StoredArray] | None]

Groups = Sequence["h5py.Group"]
"""The same place of the tree in every file that has it."""


def arrays_of_tree(model: KerasModel, groups: Groups, inside: hdf5.Inside | None) -> Arrays:
    """Give each layer its arrays, by key.

    Parameters
    ----------
    model : KerasModel
    groups : sequence of h5py.Group
        The roots of the files, or the groups of a nested model.
    inside : hdf5.Inside or None
        Where the file lies inside another.

    Raises
    ------
    FormatError
        If there is no tree of layers, or it is not that of this model.
    """
    container = next((name for name in CONTAINERS if name in _members(groups)), None)
    found: Arrays = {}
    if container is None:
        if any(not layer.is_input for layer in model.layers):
            raise FormatError(
                f"'{groups[0].name}'",
                got=f"no group '{CONTAINERS[0]}'",
                expected="a group for each layer with weights",
                next_step="The architecture and the weights are not of one model.",
            )
        return found
    tree = _inner(groups, container)
    held = _members(tree)
    names = group_names(model)
    renamed = _by_name(tree, held)
    for layer in model.layers:
        name = names.get(layer.key, "")
        if renamed.get(name, layer.name) != layer.name:
            raise FormatError(
                f"'{tree[0].name}/{name}'",
                got=f"the arrays of a layer '{renamed[name]}'",
                expected=f"those of '{layer.name}'",
                next_step="The architecture and the weights are not of one model.",
            )
        if name not in held:
            found[layer.key] = []
        elif layer.model is not None:
            found.update(arrays_of_tree(layer.model, _inner(tree, name), inside))
        else:
            found[layer.key] = _variables(layer, _inner(tree, name), inside)
    return found


def variables_of(groups: Groups) -> dict[str, list[StoredArray]]:
    """The arrays of every group of layers that has some, without an architecture."""
    found = {}
    for container in CONTAINERS:
        if container not in _members(groups):
            continue
        tree = _inner(groups, container)
        for name in sorted(_members(tree)):
            place = _inner(tree, name)
            arrays = _numbered(place, None)
            if arrays or not _members(place) <= {"vars"}:
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


def _by_name(tree: Groups, held: set[str]) -> dict[str, str]:
    """What layers the groups say that they belong to, where they say so."""
    import h5py

    found = {}
    for place in tree:
        for name in held & set(hdf5.members(place)):
            group = hdf5.child(place, name)
            if not isinstance(group, h5py.Group) or "vars" not in hdf5.members(group):
                continue
            said = hdf5.attribute_text(hdf5.child(group, "vars"), "name")
            if said is not None:
                found[name] = said
    return found


def _variables(
    layer: KerasLayer, groups: Groups, inside: hdf5.Inside | None
) -> list[StoredArray]:
    """The arrays of one layer in order."""
    held = _members(groups)
    names = [n for part in _PARTS.get(layer.class_name, ()) for n in (part, f"_{part}")]
    parts = [name for name in names if name in held]
    if not parts:
        return _numbered(groups, inside)
    return [array for part in parts for array in _numbered(_inner(groups, part), inside)]


def _numbered(groups: Groups, inside: hdf5.Inside | None) -> list[StoredArray]:
    """The arrays 0, 1, ... in the group ``vars``."""
    if "vars" not in _members(groups):
        return []
    places = _inner(groups, "vars")
    named = [(str(name), place) for place in places for name in hdf5.members(place)]
    names = [name for name, _ in named]
    numbered = sorted((pair for pair in named if pair[0].isdecimal()), key=_number)
    if [name for name, _ in numbered] != [str(k) for k in range(len(names))]:
        raise FormatError(
            f"'{places[0].name}'",
            got=", ".join(sorted(names)),
            expected="arrays named 0, 1, 2, ...",
        )
    return [Hdf5Array(hdf5.dataset(place, name), inside) for name, place in numbered]


def _number(pair: tuple[str, h5py.Group]) -> int:
    return int(pair[0])


def _members(groups: Groups) -> set[str]:
    return {str(name) for group in groups for name in hdf5.members(group)}


def _inner(groups: Groups, name: str) -> list[h5py.Group]:
    """The place of this name below, in the files that have it."""
    found = []
    for parent in groups:
        if name not in hdf5.members(parent):
            continue
        found.append(hdf5.group(parent, name))
    return found
