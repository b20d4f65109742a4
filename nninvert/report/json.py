"""Results as JSON: one object for each command, ``schemas/`` describes them.

Floats are written so that they read back as the same bits. JSON has no NaN and no
infinity: such a figure is null, and ``<name>_reason`` beside it says why. Every estimate
says of what kind it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import NninvertError
from nninvert.outcome import Kind, Proof, RowStatus
from nninvert.report.answers_json import answers_document, families_document
from nninvert.report.json_parts import Document, document, estimate, figure, numbers
from nninvert.result import (
    CheckReport,
    ConditionEstimate,
    DigitsReport,
    InversionResult,
    KeptFactors,
    LayerFinding,
    ModelSummary,
    PairsReport,
    SolveSummary,
    TargetReport,
    Witness,
)

if TYPE_CHECKING:
    from nninvert.formats import Description, PartDescription


def encode(document: Mapping[str, Any]) -> str:
    """The text of a document; NaN or infinity left in one is an error."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2)


def schema(name: str) -> Document:
    """The JSON Schema of a document: "check", "invert", "error", ..."""
    path = resources.files("nninvert.report") / "schemas" / f"{name}.json"
    loaded: Document = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def model_document(model: ModelSummary) -> Document:
    """What was read."""
    return {
        "path": model.path or None,
        "format": model.format,
        "dtype": model.dtype,
        "parameters": model.parameters,
        "input_shape": list(model.input_shape),
        "output_shape": list(model.output_shape),
        "input_parts": _parts(model.input_parts),
        "output_parts": _parts(model.output_parts),
        "notes": list(model.notes),
    }


def _parts(parts: Sequence[tuple[str, tuple[int, ...]]]) -> list[Document]:
    """Each with its place in a row; none where there is one part."""
    found: list[Document] = []
    for name, lengths in parts:
        start = found[-1]["start"] + found[-1]["size"] if found else 0
        size = math.prod(lengths)
        found.append({"name": name, "shape": list(lengths), "start": start, "size": size})
    return found


def check_document(report: CheckReport, exit_code: int) -> Document:
    """``nninvert.check/1``."""
    decided = None
    if report.deciding is not None:
        decided = {"index": report.deciding[0], "name": report.deciding[1]}
    return document(
        "check",
        exit_code=exit_code,
        model=model_document(report.model),
        quick=report.quick,
        verdict=report.verdict.value,
        headline=report.verdict.headline,
        deciding_layer=decided,
        sentence=report.sentence,
        image=report.image or None,
        layers=[_layer(layer) for layer in report.layers],
        witness=None if report.witness is None else _witness(report.witness),
        digits=None if report.digits is None else _digits(report.digits),
        advice=list(report.advice),
        max_condition=report.max_condition,
        ill_conditioned=[
            {"index": index, "name": name} for index, name in report.ill_conditioned
        ],
        target=None if report.target is None else _target(report.target),
        pairs=None if report.pairs is None else _pairs(report.pairs),
        kept_factors=None if report.kept is None else _kept(report.kept),
    )


def _layer(layer: LayerFinding) -> Document:
    return {
        "index": layer.index,
        "name": layer.name,
        "class": layer.label,
        "input_shape": list(layer.input_shape),
        "output_shape": list(layer.output_shape),
        "activation": layer.activation or None,
        "parameters": layer.parameters,
        "square": layer.square,
        "rank": layer.rank,
        "full_rank": layer.full_rank,
        "rank_stored": layer.rank_stored,
        **figure("largest_singular_value", layer.largest, "not computed"),
        **figure("smallest_singular_value", layer.smallest, "not computed"),
        "condition": None if layer.condition is None else _condition(layer.condition),
        "one_to_one": layer.one_to_one,
        "reason": layer.reason or None,
    }


def _condition(found: ConditionEstimate) -> Document:
    return {
        **figure("value", found.value),
        "norm": found.norm,
        "kind": found.kind.value,
        "method": found.method,
    }


def _witness(found: Witness) -> Document:
    return {
        "x1": numbers(found.x1),
        "x2": numbers(found.x2),
        "distance": found.distance,
        "difference": found.difference,
    }


def _digits(found: DigitsReport) -> Document:
    jacobian = None
    if found.jacobian is not None:
        jacobian = {
            "at": found.jacobian_at,
            "kind": Kind.ESTIMATE.value,
            "lost": numbers(found.jacobian),
        }
    return {
        **figure("weights", found.weights),
        "kind": found.kind.value,
        "jacobian": jacobian,
    }


def _target(found: TargetReport) -> Document:
    rows = [
        {
            "row": row,
            "reachable": found.reachable[row],
            "status": found.status[row].value,
            "proof": _proof(found.proof[row]),
            "layer": _place(found.layer[row]),
            "units_outside": int(found.units[row]),
            "worst_unit": int(found.unit[row]) if found.unit[row] >= 0 else None,
            **figure("value_needed", float(found.value[row]), "inside every range"),
            **figure("overshoot", float(found.overshoot[row])),
            **figure("residual", float(found.residual[row])),
            **estimate("digits", float(found.digits[row])),
        }
        for row in range(len(found.reachable))
    ]
    return {
        "rows": len(rows),
        "reachable": sum(answer is True for answer in found.reachable),
        "unreachable": sum(answer is False for answer in found.reachable),
        "undecided": sum(answer is None for answer in found.reachable),
        "row": rows,
    }


def _place(layer: tuple[str, str] | None) -> Document | None:
    return None if layer is None else {"index": layer[0], "name": layer[1]}


def _proof(proof: Proof) -> str | None:
    return None if proof is Proof.NONE else proof.value


def _pairs(found: PairsReport) -> Document:
    return {
        "rows": found.rows,
        "same": found.same,
        **figure("largest_relative", found.largest),
        **figure("median_relative", found.median),
        **figure("largest_absolute", found.largest_absolute),
        "rms_per_output": numbers(found.per_output),
        "within": found.within or None,
        "reading": found.reading or None,
        "tried": found.tried,
    }


def invert_document(
    result: InversionResult,
    model: ModelSummary,
    output: str,
    exit_code: int,
    family: str = "",
) -> Document:
    """``nninvert.invert/1``; x is inside unless it was written to the file `output`.

    With several answers x holds all of them. Families are summarised; all of their
    numbers are in the file `family`.
    """
    x = result.x if result.answers is None else result.answers.x
    return document(
        "invert",
        exit_code=exit_code,
        model=model_document(model),
        plan={
            "requested": result.plan.requested,
            "steps": [
                {"method": step.method, "rows": step.rows, "why": step.why}
                for step in result.plan.steps
            ],
        },
        tolerance={
            "relative": result.relative_tolerance,
            "origin": result.tolerance_origin,
            "targets_stored_as": result.precision,
        },
        counts={
            status.value: sum(found is status for found in result.status)
            for status in RowStatus
        },
        rows=[_row(result, row) for row in range(len(result.status))],
        output=output or None,
        x_shape=list(x.shape),
        x_dtype=x.dtype.name,
        x=None if output else numbers(x),
        answers=None if result.answers is None else answers_document(result.answers),
        families=families_document(result.families, family),
        seconds=result.seconds,
        notes=list(result.notes),
        solves=[_solve(found) for found in result.solves],
        kept_factors=None if result.kept is None else _kept(result.kept),
    )


def _solve(found: SolveSummary) -> Document:
    return {
        "index": found.index,
        "name": found.name,
        "path": found.path,
        "passes": found.passes,
        **figure("contraction", found.contraction, "not measured"),
        **figure("backward_error", found.backward_error, "not measured"),
        **figure("componentwise_backward_error", found.componentwise, "not measured"),
        **figure("seconds", found.seconds, "not measured"),
        "memory": found.memory,
    }


def _kept(found: KeptFactors) -> Document:
    return {"file": found.path, "bytes": found.nbytes, "seconds": found.seconds}


def _row(result: InversionResult, row: int) -> Document:
    return {
        "row": row,
        "status": result.status[row].value,
        "unique": result.unique[row].value,
        "free_dimensions": int(result.free_dimensions[row]),
        **figure("residual", float(result.residual[row])),
        **figure("relative_residual", float(result.relative_residual[row])),
        **estimate("movement", float(result.movement[row])),
        **estimate("digits", float(result.digits[row])),
        "edge_values": int(result.edge_values[row]),
        "method": result.method[row],
        "proof": _proof(result.proof[row]),
        "reason": result.reason[row] or None,
    }


def forward_document(model: ModelSummary, y: NDArray[np.float64], output: str) -> Document:
    """``nninvert.forward/1``; y is inside unless it was written to the file `output`."""
    return document(
        "forward",
        exit_code=0,
        model=model_document(model),
        output=output or None,
        y_shape=list(y.shape),
        y_dtype=y.dtype.name,
        y=None if output else numbers(y),
    )


def factor_document(model: ModelSummary, kept: KeptFactors) -> Document:
    """``nninvert.factor/1``."""
    return document("factor", exit_code=0, model=model_document(model), factors=_kept(kept))


def convert_document(model: ModelSummary, output: str) -> Document:
    """``nninvert.convert/1``."""
    return document("convert", exit_code=0, model=model_document(model), output=output)


def info_document(path: str, found: Description) -> Document:
    """``nninvert.info/1`` of a file; `layers_known` says whether all of it is read."""
    return document(
        "info",
        exit_code=0,
        path=path,
        format=found.format,
        inputs=list(found.inputs),
        outputs=list(found.outputs),
        input_parts=_described_parts(found.input_parts),
        output_parts=_described_parts(found.output_parts),
        notes=list(found.notes),
        layers_known=not any(layer.problem for layer in found.layers),
        layers=[
            {
                "index": layer.index,
                "name": layer.name,
                "class": layer.label,
                "input_shape": _open_shape(layer.input_shape),
                "output_shape": _open_shape(layer.output_shape),
                "activation": layer.activation or None,
                "parameters": layer.parameters,
                "dtype": layer.dtype or None,
                "where": layer.where or None,
                "inputs": list(layer.inputs),
                "problem": layer.problem or None,
            }
            for layer in found.layers
        ],
    )


def _described_parts(parts: Sequence[PartDescription]) -> list[Document]:
    """As `_parts`, null where the file leaves it open."""
    return [
        {
            "name": part.name,
            "shape": _open_shape(part.shape),
            "start": part.start,
            "size": part.size,
        }
        for part in (parts if len(parts) > 1 else ())
    ]


def _open_shape(shape: tuple[int | None, ...] | None) -> list[int | None] | None:
    return None if shape is None else list(shape)


def known_document(
    formats: list[tuple[str, str]],
    keras_layers: list[str],
    activations: list[tuple[str, str, str]],
) -> Document:
    """``nninvert.layers/1``: what ``info --layers`` lists."""
    return document(
        "layers",
        exit_code=0,
        formats=[{"name": name, "reads": reads} for name, reads in formats],
        keras_layers=keras_layers,
        activations=[
            {"name": name, "one_to_one": one_to_one == "yes", "values": values}
            for name, one_to_one, values in activations
        ],
    )


def error_document(error: NninvertError) -> Document:
    """``nninvert.error/1``: what a command gives instead of its own document."""
    parts = error.as_dict()
    return document("error", exit_code=parts.pop("exit_code"), **parts)
