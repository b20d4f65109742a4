"""Which arrays of a Keras HDF5 file belong to which layer.

A group for each top-level layer holds its arrays in order. A nested model has one group:
first the trainable arrays of everything inside, then the others, so that a frozen layer's
arrays stand in the second part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nninvert.errors import FormatError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._json import Fields
from nninvert.formats.keras_build import Arrays, problem
from nninvert.formats.keras_config import KerasLayer, KerasModel
from nninvert.formats.keras_layers import KERAS_LAYERS

Key = tuple[int, ...]
Slots = list[Key]
"""For each array in order, the layer that it belongs to."""


def assign(
    model: KerasModel, groups: Mapping[str, Sequence[StoredArray]], keras: int
) -> Arrays:
    """Give each layer its arrays.

    Parameters
    ----------
    model : KerasModel
    groups : mapping of str to arrays
        In the order of the attribute ``layer_names``.
    keras : int
        Major version.

    Raises
    ------
    FormatError
        If a nested model has not as many arrays as its layers ask for.
    """
    found: dict[Key, Sequence[StoredArray] | None] = {}
    names = _group_names(model, groups)
    for layer in model.layers:
        name = names.get(layer.key, "")
        if layer.model is None:
            found[layer.key] = groups.get(name, ())
        elif name in groups:
            found.update(_nested(layer, groups[name], keras))
        else:  # Keras 1 writes the layers of a nested Sequential side by side
            found.update(assign(layer.model, groups, keras))
    return found


def _group_names(
    model: KerasModel, groups: Mapping[str, Sequence[StoredArray]]
) -> dict[Key, str]:
    """The group of each layer: its name; for a nested model without a name, its place.

    Groups with the names of layers inside nested models are these layers' own.
    """
    names = {layer.key: layer.name for layer in model.layers if layer.name in groups}
    inside = {leaf.name for x in model.layers if x.model for leaf in _leaves(x)}
    without_inputs = [layer for layer in model.layers if not layer.is_input]
    if len(without_inputs) == len(groups):
        for layer, name in zip(without_inputs, groups, strict=True):
            if name not in names.values() and name not in inside:
                names.setdefault(layer.key, name)
    return names


def _nested(
    layer: KerasLayer, arrays: Sequence[StoredArray], keras: int
) -> dict[Key, Sequence[StoredArray] | None]:
    """Deal the arrays of one group out to the layers of a nested model."""
    leaves = list(_leaves(layer))
    if any(problem(leaf) and not _bare(leaf) for leaf in leaves):
        return {leaf.key: None for leaf in leaves}
    first, second = _order(layer, keras)
    slots = first + second
    if len(slots) != len(arrays):
        raise FormatError(
            "weights",
            got=f"{len(arrays)} arrays",
            expected=str(len(slots)),
            because="that is what the layers of this nested model ask for",
            next_step="The architecture and the weights are not of one model.",
            layer=(layer.key[0], layer.name),
        )
    found: dict[Key, list[StoredArray]] = {leaf.key: [] for leaf in leaves}
    for key, array in zip(slots, arrays, strict=True):
        found[key].append(array)
    return dict(found)


def _leaves(layer: KerasLayer) -> list[KerasLayer]:
    if layer.model is None:
        return [layer]
    return [leaf for inner in layer.model.layers for leaf in _leaves(inner)]


def _order(layer: KerasLayer, keras: int) -> tuple[Slots, Slots]:
    """The trainable arrays of a layer or model, and the others, in Keras's order.

    A frozen model of Keras 1 and 2 lists what would be trainable first
    (``Network.non_trainable_weights``); one of Keras 3 keeps each layer's arrays together
    (``Layer.weights``).
    """
    if layer.model is None:
        trainable, fixed = (
            (0, 0)
            if _bare(layer)
            else KERAS_LAYERS[layer.class_name].variables(layer.config)
        )
        own = [layer.key] * (trainable + fixed)
        cut = trainable if _trainable(layer.config) else 0
        return own[:cut], own[cut:]
    parts = [_order(inner, keras) for inner in layer.model.layers]
    first = [key for part in parts for key in part[0]]
    second = [key for part in parts for key in part[1]]
    if layer.model.trainable:
        return first, second
    if keras >= 3:
        return [], [key for part in parts for key in part[0] + part[1]]
    return [], first + second


def _bare(layer: KerasLayer) -> bool:
    """Whether it is an entry that never has arrays."""
    return layer.is_input or layer.is_function


def _trainable(config: Fields) -> bool:
    return config.flag("trainable", default=True)
