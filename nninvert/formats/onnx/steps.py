"""From the nodes of an ONNX graph to steps: constants folded, operators looked up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from nninvert.errors import (
    DataError,
    FormatError,
    NninvertError,
    ShapeError,
    UnsupportedLayerError,
    UsageError,
)
from nninvert.formats._description import PartialShape
from nninvert.formats._steps import UNKNOWN_SHAPE, Parsed, Place, Step, problem_of
from nninvert.formats.file_layer import LayerMakers, MakeLayer
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import require_room
from nninvert.formats.onnx.constants import Constants, counts_rows, needs_shape_only
from nninvert.formats.onnx.fold import MOVES
from nninvert.formats.onnx.inputs import GraphInput, inputs_of, stated_rows
from nninvert.formats.onnx.naming import label_of, pruned, renamed
from nninvert.formats.onnx.normal import Normalisations, passed_on
from nninvert.formats.onnx.operators import OPERATORS, SEVERAL, Operator, numbers_of
from nninvert.formats.onnx.order import ordered, readers
from nninvert.formats.onnx.outputs import wanted_outputs
from nninvert.formats.onnx.recognise import Recogniser, with_bias
from nninvert.formats.onnx.records import ModelRecord, NodeRecord
from nninvert.formats.onnx.users import by_user, maker
from nninvert.formats.onnx.values import RowsMixed, Shape, Signal, Unknown, Value
from nninvert.layers import (
    Identity,
    Layer,
    LayerNormalization,
    Reshape,
    RMSNormalization,
    UnitNormalization,
)

_KINDS_OF_SOFTMAX = {"LogSoftmax", "Softmax"}

_MOVING_ROWS = {"Expand", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""Operators that may put the batch elsewhere or join it with others, and only move."""


class Walk:
    """One pass through a graph.

    Parameters
    ----------
    model : ModelRecord
    constants : Constants
    inputs : sequence of GraphInput
        Those that are no initialisers.
    batched : bool
        Whether the first axis of all inputs is the batch.
    makers : mapping of str to function
        The user's own layers.

    Attributes
    ----------
    mixed : bool
        Whether some operator does not leave the batch alone.
    """

    def __init__(
        self,
        model: ModelRecord,
        constants: Constants,
        inputs: Sequence[GraphInput],
        batched: bool,
        makers: LayerMakers,
    ) -> None:
        self._users = makers
        self._model, self._constants, self._batched = model, constants, batched
        self._inputs = list(inputs)
        self._count = stated_rows(inputs_of(model))
        self._alone = batched and self._count in (None, 1)
        self._rows_notes: list[str] = []
        self._values: dict[str, Value] = {}
        self._problems: dict[str, str] = {}
        self._shapes = {record.name: record.shape for record in model.values}
        self._steps: list[Step] = []
        self._recogniser = Recogniser(self._steps)
        self._read_by: dict[str, set[str]] = {}
        self._makers: dict[str, NodeRecord] = {}
        self._normalisations = Normalisations(self._makers, self._known)
        self.mixed = False
        for number, entry in enumerate(inputs):
            self._values[entry.name] = Unknown(-1 - number)
            if entry.problem:
                self._problems[entry.name] = entry.problem
            else:
                self._values[entry.name] = Signal(
                    -1 - number, entry.shape, batched and entry.rows, entry.whole
                )

    def parsed(self, format_name: str, notes: Sequence[str]) -> Parsed:
        """All steps that the outputs depend on, in topological order.

        Raises
        ------
        FormatError
            If the graph or its constants contradict themselves.
        """
        wanted, more = wanted_outputs(self._model)
        nodes = ordered(self._model, wanted)
        self._read_by = readers(nodes, wanted)
        for node in nodes:
            self._visit(node)
            self._makers.update((name, node) for name in node.outputs)
        outputs = [self._output(name) for name in wanted]
        steps, places = pruned(self._steps, [k for k in outputs if k is not None])
        named: dict[int, str] = {}
        for name, k in zip(wanted, outputs, strict=True):
            if k is not None:
                named.setdefault(places[k], name)
        constant = [n for n, k in zip(wanted, outputs, strict=True) if k is None]
        more += [f"output '{name}' is a constant, and left out" for name in constant]
        return Parsed(
            format=format_name,
            steps=tuple(steps),
            outputs=tuple(named),
            input_names=tuple(entry.name for entry in self._inputs),
            output_names=tuple(named.values()),
            notes=(*notes, *more, *self._rows_notes[:1], *self._recogniser.notes),
            input_shapes=tuple(entry.shape for entry in self._inputs),
        )

    def _output(self, name: str) -> int | None:
        """The position of the step that makes an output; None of a constant."""
        found = self._known(name)
        if isinstance(found, Signal) and found.source < 0:
            place = Place("", name, "Identity")
            step = Step((place,), (found.source,))
            self._steps.append(step.built([Identity(found.shape)]))
            return len(self._steps) - 1
        first = all(entry.rows for entry in self._inputs)
        if isinstance(found, Signal) and first and found.rows != self._batched:
            return self._output_elsewhere(name, found)
        if isinstance(found, Signal | Unknown) and found.source >= 0:
            return found.source
        if isinstance(found, Unknown):
            place = Place("", name, "Identity")
            self._steps.append(
                Step((place,), (found.source,)).failed(self._problems.get(name, ""))
            )
            return len(self._steps) - 1
        return None

    def _output_elsewhere(self, name: str, signal: Signal) -> int:
        """An output of which the first axis is not the batch.

        Numbers of rows that stand one below the other are still those of rows, as
        skl2onnx writes regressors; anything else is refused.
        """
        before, shape = self._steps[signal.source], signal.shape
        step = Step((Place("", name, "Reshape"),), (signal.source,))
        if shape[1:] == (1,) and all(isinstance(one, Reshape) for one in before.layers):
            step = step.built([Reshape(shape, shape[:1])])
        else:
            self.mixed = True
            step = step.failed(problem_of(RowsMixed("the batch moved away")))
        self._steps.append(step)
        return len(self._steps) - 1

    def _value(self, name: str) -> Value:
        found = self._values.get(name)
        return self._constants.stored(name) if found is None else found

    def _known(self, name: str) -> Value | None:
        """The same, of a constant or of what was visited; None of others."""
        with suppress(UnsupportedLayerError):
            return self._value(name)
        return None

    def _visit(self, node: NodeRecord) -> None:
        """Compute the node's outputs, or make a step of it."""
        place = Place("", node.name or next(filter(None, node.outputs), ""), label_of(node))
        step = Step((place,), ())
        try:
            given = [self._value(name) if name else None for name in node.inputs]
        except UnsupportedLayerError as error:
            self._fail(node, step, problem_of(error))
            return
        except NninvertError as error:
            raise error.at(layer=("?", place.name)) from error
        sources = [v.source for v in given if isinstance(v, Signal | Unknown)]
        step = replace(step, sources=tuple(sources))
        opset = self._model.opsets.get(node.domain, 1) if node.opset is None else node.opset
        if not sources or needs_shape_only(node, given):
            try:
                found = self._constants.computed(node, given, opset, self._alone)
            except UnsupportedLayerError as error:
                self._fail(node, step, problem_of(error))
                return
            except NninvertError as error:
                raise error.at(layer=("?", place.name)) from error
            if counts_rows(node, given):
                self._for_one_row(place.name, "counts the rows")
            self._values.update(zip(node.outputs, found, strict=False))
            return
        try:
            make = maker(self._users, node, self._knows(node))
        except UsageError as error:
            raise error.at(layer=("?", place.name)) from error
        if make is None and (self._normalise(node, step) or self._passes_on(node, step)):
            return
        problem = self._problem(node, given, make is not None)
        if problem:
            self._fail(node, step, problem)
            return
        read_by = {one for name in node.outputs for one in self._read_by.get(name, ())}
        call = Call(node, opset, given, self._count, read_by <= _KINDS_OF_SOFTMAX)
        if not call.batched:
            call = call.of_one_row()
        self._build(node, step, call, make)

    def _normalise(self, node: NodeRecord, step: Step) -> bool:
        """Make one step of a normalisation that ends with this node."""
        unit = self._normalisations.unit_ending_with(node)
        found = unit or self._normalisations.ending_with(node)
        signal = self._values.get(found.name) if found is not None else None
        if found is None or not isinstance(signal, Signal):
            return False
        rank = len(signal.shape) + int(signal.rows)
        axes = tuple(axis % rank - int(signal.rows) for axis in found.axes)
        if not axes or min(axes) < 0 or max(axes) >= len(signal.shape):
            return False
        kind = LayerNormalization if found.centred else RMSNormalization
        layer = (UnitNormalization if unit else kind)(signal.shape, axes, found.epsilon)
        place = step.places[-1]
        label = f"{type(layer).__name__} (… {place.label})"
        made = replace(
            step, places=(replace(place, label=label),), sources=(signal.source,)
        )
        self._steps.append(made.built([layer]))
        self._made(node, node.outputs[0], self._steps[-1], signal.rows)
        return True

    def _passes_on(self, node: NodeRecord, step: Step) -> bool:
        """Make a step that does nothing of a node that changes no softmax."""
        name = passed_on(node, self._makers)
        signal = self._values.get(name) if name is not None else None
        if not isinstance(signal, Signal):
            return False
        made = replace(step, sources=(signal.source,))
        self._steps.append(made.built([Identity(signal.shape)]))
        self._made(node, node.outputs[0], self._steps[-1], signal.rows)
        return True

    def _knows(self, node: NodeRecord) -> bool:
        """Whether nninvert reads the operator itself."""
        key = (node.domain, node.op_type)
        return key in OPERATORS or key in SEVERAL or self._recogniser.may_know(node)

    def _problem(
        self, node: NodeRecord, given: Sequence[Value | None], of_user: bool
    ) -> str:
        """Why no operator can be asked; "" if one can."""
        inherited = [self._problems[name] for name in node.inputs if name in self._problems]
        if not of_user and not self._knows(node):
            return "not supported"
        if inherited:
            return inherited[0]
        if any(isinstance(value, Unknown) for value in given):
            return UNKNOWN_SHAPE
        whole = any(isinstance(value, Signal) and value.whole for value in given)
        if whole and node.op_type not in MOVES | {"CastLike"}:
            return "computes with whole numbers"
        if node.graphs:
            return f"{node.graphs[0]}: a graph or a type, not supported"
        return ""

    def _build(
        self, node: NodeRecord, step: Step, call: Call, make: MakeLayer | None
    ) -> None:
        """Make the node's steps."""
        key = (node.domain, node.op_type)
        try:
            if make is not None:
                self._append(node.outputs[0], step, by_user(make, call, step.name), call)
                self._refuse_further(node, step, node.outputs[0])
                return
            if key in SEVERAL:
                for name, layers in zip(node.outputs, SEVERAL[key](call), strict=True):
                    self._append(name, renamed(step, name), layers, call)
                return
            known = with_bias(call, step, self._steps)
            known = known or self._recogniser.known(call, step)
            if known is not None:
                self._steps.append(known)
                self._made(node, node.outputs[0], known, call.batched)
                return
            if key not in OPERATORS:
                self._fail(node, step, "not supported", call)
                return
            layers, call = self._operated(OPERATORS[key], call)
            made = numbers_of(key, node.outputs)
            self._append(made, step, layers, call)
            self._refuse_further(node, step, made)
        except UsageError as error:
            raise error.at(layer=("?", step.name)) from error
        except RowsMixed as error:
            self.mixed = True
            self._fail(node, step, problem_of(error))
        except UnsupportedLayerError as error:
            self._fail(node, step, problem_of(error), call)
        except (ShapeError, FormatError, DataError) as error:
            # What the file says of one operator does not fit, maybe read as rows only.
            self.mixed = True
            self._fail(node, step, problem_of(error))

    def _operated(self, operator: Operator, call: Call) -> tuple[list[Layer], Call]:
        """The operator's layers; where it moves the batch, those for a batch of one."""
        try:
            return operator(call), call
        except RowsMixed:
            if not self._alone or call.node.op_type not in _MOVING_ROWS:
                raise
        self._for_one_row(call.node.name or call.node.outputs[0], "moves the batch")
        call = call.of_one_row()
        return operator(call), call

    def _for_one_row(self, name: str, what: str) -> None:
        self._rows_notes.append(f"'{name}' {what}: read as it works on one row at a time")

    def _refuse_further(self, node: NodeRecord, step: Step, made: str) -> None:
        """Indices of maxima, means of a normalisation: nothing that is inverted."""
        for name in node.outputs:
            if name != made and name in self._read_by:
                self._steps.append(renamed(step, name).failed("its further output"))
                self._values[name] = Unknown(len(self._steps) - 1)

    def _append(self, name: str, step: Step, layers: Sequence[Layer], call: Call) -> None:
        sources = step.sources if call.sources is None else call.sources
        require_room(layers[-1].output_shape)
        layers = [*self._entry(sources, layers[0].input_shape), *layers]
        rows, shape = call.batched, layers[-1].output_shape
        if self._batched and not rows and shape[:1] == (1,):
            layers.append(Reshape(shape, shape[1:]))
            rows = True
        built = replace(step, arrays=tuple(call.arrays), sources=sources).built(layers)
        self._steps.append(built)
        self._recogniser.remember(len(self._steps) - 1, call)
        self._made(call.node, name, built, rows)

    def _entry(self, sources: Sequence[int], wanted: Shape) -> list[Layer]:
        """What gives a batch of one row its axis, where a step has left it out."""
        if len(sources) != 1:
            return []
        k = sources[0]
        given: PartialShape | None = self._steps[k].output_shape if k >= 0 else None
        if k < 0:
            given = self._inputs[-1 - k].shape
        return [Reshape(wanted[1:], wanted)] if (1, *(given or ())) == wanted else []

    def _made(self, node: NodeRecord, name: str, step: Step, rows: bool) -> None:
        shape = step.layers[-1].output_shape
        read = [self._values.get(one) for one in node.inputs]
        whole = any(isinstance(value, Signal) and value.whole for value in read)
        whole = whole and node.op_type not in ("Cast", "CastLike")
        self._values[name] = Signal(len(self._steps) - 1, shape, rows, whole)

    def _fail(
        self, node: NodeRecord, step: Step, problem: str, call: Call | None = None
    ) -> None:
        """Keep the step with its problem; what the file says of its shape helps on.

        An operator that works number by number may still become part of a layer: its
        `call` is remembered.
        """
        self._steps.append(step.failed(problem))
        position = len(self._steps) - 1
        if call is not None and self._recogniser.remember(position, call):
            like = replace(call.signals[0], source=position, whole=False)
            self._values[node.outputs[0]] = like
            return
        for name in filter(None, node.outputs):
            shape = self._stated(name)
            self._values[name] = Unknown(position)
            if shape is not None:
                self._values[name] = Signal(position, shape, self._batched)

    def _stated(self, name: str) -> Shape | None:
        """The shape that the file tells of a value, if all lengths are known."""
        shape = self._shapes.get(name)
        if shape is None or (self._batched and not shape):
            return None
        lengths = [n for n in shape[int(self._batched) :] if isinstance(n, int)]
        if len(lengths) < len(shape) - int(self._batched):
            return None
        return tuple(lengths)
