"""From a Keras architecture and its arrays to built layers, one step for each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nninvert.errors import FormatError, NninvertError, ShapeError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields
from nninvert.formats._steps import Parsed, Place, Step, problem_of
from nninvert.formats.file_layer import (
    FileLayer,
    LayerMakers,
    MakeLayer,
    chosen,
    made_by,
)
from nninvert.formats.keras_class import LayerData, Origin, fixed
from nninvert.formats.keras_config import KerasLayer, KerasModel, is_custom
from nninvert.formats.keras_dialects import operation
from nninvert.formats.keras_flat import Use, flatten
from nninvert.formats.keras_layers import KERAS_LAYERS, SHAPE_KEEPING
from nninvert.layers import Identity, Shape

_SHORT_TYPES = {
    "float16": "1e-3",
    "mixed_float16": "1e-3",
    "mixed_bfloat16": "1e-2",
}
"""Policies that compute in a short type, and how far that is from float64."""

Arrays = Mapping[tuple[int, ...], Sequence[StoredArray] | None]
"""The arrays of each layer by its key; None where they cannot be told apart."""


def parsed_model(
    model: KerasModel,
    arrays: Arrays,
    origin: Origin,
    format_name: str,
    makers: LayerMakers,
) -> Parsed:
    """Build every layer that is known.

    Parameters
    ----------
    model : KerasModel
    arrays : Arrays
    origin : Origin
    format_name : str
        For people.
    makers : mapping of str to function
        The user's own layers.

    Raises
    ------
    FormatError
        If arrays do not fit their layers.
    """
    uses, outputs = flatten(model)
    origin = replace(origin, order=_order(uses))
    inputs = [
        _inferred(k, shape, uses, arrays) for k, shape in enumerate(model.input_shapes)
    ]
    steps: list[Step] = []
    for use in uses:
        shapes = _incoming(use, steps, inputs)
        given = arrays.get(use.layer.key, ())
        step = replace(
            use.step,
            arrays=tuple(given or ()),
            input_shape=shapes[0] if len(shapes) == 1 else None,
        )
        steps.append(_built(step, use, shapes, given, origin, makers))
    names = model.input_keys or tuple(name for name, _, _ in model.inputs)
    ends = tuple(_of_input(k, steps, inputs, names) for k in outputs)
    return Parsed(
        format=format_name,
        steps=tuple(steps),
        outputs=ends,
        input_names=names,
        output_names=model.output_keys or tuple(name for name, _, _ in model.outputs),
        notes=_notes(uses, origin.keras),
        input_shapes=_complete(inputs),
    )


def _complete(shapes: Sequence[PartialShape | None]) -> tuple[Shape, ...] | None:
    """The shapes of all inputs; None if one is open somewhere."""
    try:
        return tuple(fixed(shape) for shape in shapes)
    except UnsupportedLayerError:
        return None


def _order(uses: Sequence[Use]) -> str:
    """What the layers of Keras 1 say of the order of axes: one of them, or both ("")."""
    said = {str(use.layer.config.raw("dim_ordering")) for use in uses} & {"th", "tf"}
    if len(said) > 1:
        return ""
    return said.pop() if said else "tf"


def _of_input(
    position: int,
    steps: list[Step],
    inputs: Sequence[PartialShape | None],
    names: Sequence[str],
) -> int:
    """The position of an output; of an input that is one, that of a step that keeps it."""
    if position >= 0:
        return position
    shape, name = inputs[-1 - position], names[-1 - position]
    step = Step((Place(str(len(steps)), name, "InputLayer"),), (position,))
    try:
        steps.append(step.built([Identity(fixed(shape))]))
    except UnsupportedLayerError as error:
        steps.append(step.failed(problem_of(error)))
    return len(steps) - 1


def problem(layer: KerasLayer) -> str:
    """Why a class is not read at all; "" if it is."""
    if layer.class_name == "Lambda":
        return "never run"
    if layer.custom:
        return "custom"
    if layer.class_name not in KERAS_LAYERS:
        return "not supported"
    if layer.class_name == "TimeDistributed":
        return _problem_inside(layer.config.inner("layer"))
    return ""


def _problem_inside(layer: Fields) -> str:
    """Why the layer in a TimeDistributed is not read."""
    name = layer.text("class_name", default="")
    return "" if name in KERAS_LAYERS and not is_custom(layer) else f"around '{name}'"


def _incoming(
    use: Use, steps: Sequence[Step], inputs: Sequence[PartialShape | None]
) -> tuple[PartialShape | None, ...]:
    """The shapes that enter a call: from the steps before, else as the file states it."""
    shapes = [
        inputs[-1 - source] if source < 0 else steps[source].output_shape
        for source in use.step.sources
    ]
    if len(shapes) == 1 and shapes[0] is None:
        return (use.layer.build_shape,)
    return tuple(shapes)


def _inferred(
    number: int, shape: PartialShape | None, uses: Sequence[Use], arrays: Arrays
) -> PartialShape | None:
    """The shape of an input that no layer declares: from the first kernel behind it."""
    if shape is not None and shape != (None,):
        return shape
    source = -1 - number
    while True:
        readers = [k for k, use in enumerate(uses) if source in use.step.sources]
        if len(readers) != 1:
            return shape
        layer = uses[readers[0]].layer
        held = arrays.get(layer.key)
        if layer.class_name in ("Dense", "BatchNormalization") and held:
            return held[0].shape[:1]
        if layer.class_name not in SHAPE_KEEPING:
            return shape
        source = readers[0]


def _built(
    step: Step,
    use: Use,
    shapes: tuple[PartialShape | None, ...],
    given: Sequence[StoredArray] | None,
    origin: Origin,
    makers: LayerMakers,
) -> Step:
    """The step with its layers, or with its problem."""
    layer = use.layer
    if step.problem:
        return step
    try:
        if layer.is_function:
            return _operated(step, use, shapes)
        make = _maker(layer, makers)
        if make is not None:
            return _by_user(step, use, shapes, given, make)
        reason = problem(layer)
        if reason:
            return step.failed(reason)
        return _layered(step, use, shapes, given, origin)
    except UnsupportedLayerError as error:
        return step.failed(problem_of(error))
    except NninvertError as error:
        raise _as_format_error(error).at(layer=(step.index, step.name)) from error


def _maker(layer: KerasLayer, makers: LayerMakers) -> MakeLayer | None:
    """The user's function for a class; "keras" is the package of Keras's own."""
    short = layer.class_name.rpartition(">")[2]
    own = "" if layer.custom else f"keras>{short}"
    return chosen(makers, layer.registered or own, short, not problem(layer))


def _by_user(
    step: Step,
    use: Use,
    shapes: tuple[PartialShape | None, ...],
    given: Sequence[StoredArray] | None,
    make: MakeLayer,
) -> Step:
    """A layer of the user's, which takes one tensor and gives one."""
    if given is None:
        return step.failed("its weights lie among those of layers that are not supported")
    if len(shapes) != 1:
        return step.failed(f"called on {len(shapes)} tensors")
    if use.output:
        return step.failed(f"its output {use.output} is used")
    config = use.layer.config
    values = {name: config.raw(name) for name in config}
    name = use.layer.class_name
    data = FileLayer(name, step.name, values, tuple(given), fixed(shapes[0]))
    return step.built([made_by(make, data)])


def _operated(step: Step, use: Use, shapes: tuple[PartialShape | None, ...]) -> Step:
    """A function between layers."""
    make, called = operation(use.layer, use.arguments, shapes, use.output)
    made = make(called)
    sources = tuple(step.sources[number] for number in made.tensors)
    return replace(step, sources=sources).built(made.layers)


def _layered(
    step: Step,
    use: Use,
    shapes: tuple[PartialShape | None, ...],
    given: Sequence[StoredArray] | None,
    origin: Origin,
) -> Step:
    """A layer with its arrays."""
    layer = use.layer
    known = KERAS_LAYERS[layer.class_name]
    if given is None:
        return step.failed("its weights lie among those of layers that are not supported")
    if use.output:
        return step.failed(f"its output {use.output} is used")
    if known.repeats and len(set(step.sources)) == 1:
        step, shapes = replace(step, sources=step.sources[:1]), shapes[:1]
    if len(shapes) > 1 and not known.joins:
        return step.failed(f"called on {len(shapes)} tensors")
    wanted = sum(known.variables(layer.config))
    if _is_quantised(layer.config):
        return step.failed("quantised")
    if wanted != len(given) and wanted:
        raise _wrong_count(given, wanted)
    data = LayerData(layer.config, given, shapes, origin, use.arguments)
    return step.built(known.build(data))


def _as_format_error(error: NninvertError) -> NninvertError:
    """Shapes that contradict each other inside one file are a damaged file."""
    if not isinstance(error, ShapeError):
        return error
    return FormatError(
        error.field, got=error.got, expected=error.expected, because=error.because
    )


def _is_quantised(config: Fields) -> bool:
    policy = config.raw("dtype")
    return isinstance(policy, dict) and "Quant" in str(policy.get("class_name"))


def _wrong_count(given: Sequence[StoredArray], wanted: int) -> FormatError:
    shown = ", ".join(f"'{array.where}' {array.shape}" for array in given)
    return FormatError(
        "weights",
        got=f"{len(given)} arrays" + (f": {shown}" if shown else ""),
        expected=str(wanted),
        because="that is what its configuration asks for",
        next_step="The architecture and the weights are not of one model.",
    )


def _notes(uses: Sequence[Use], keras: int) -> tuple[str, ...]:
    """What a user should know about how the file was understood."""
    policies = {_policy(use.layer.config) for use in uses}
    notes = [
        f"Keras computes this model in {policy.removeprefix('mixed_')}; nninvert "
        f"evaluates it in float64, so expect differences of about {difference}"
        for policy, difference in _SHORT_TYPES.items()
        if policy in policies
    ]
    if keras == 1 and any(use.layer.class_name == "BatchNormalization" for use in uses):
        notes.append(
            "BatchNormalization: running_std was read as the variance, which it is from "
            "Keras 1.0.6 on; in older files it is the standard deviation, and the file "
            "does not tell. Compare with --pairs."
        )
    averages = [
        use.layer.config for use in uses if "AveragePooling" in use.layer.class_name
    ]
    if keras >= 3 and any(config.raw("padding") == "same" for config in averages):
        notes.append(
            "AveragePooling with padding 'same' was read as TensorFlow and JAX compute it, "
            "from the cells inside; on torch, Keras 3 counts copies of the edge, too"
        )
    return tuple(notes)


def _policy(config: Fields) -> str:
    policy = config.raw("dtype")
    if isinstance(policy, dict):
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, dict) else ""
    return str(policy)
