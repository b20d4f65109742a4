"""The outputs of a graph: which of them are numbers that can be asked for."""

from __future__ import annotations

from nninvert.formats.onnx.records import ModelRecord

_LABELS = {2: "whole numbers", 6: "whole numbers", 7: "whole numbers", 8: "text"}
"""Types of tensors that classifiers give beside their scores."""


def wanted_outputs(model: ModelRecord) -> tuple[list[str], list[str]]:
    """The names of the outputs that are read, and notes on those that are left out.

    A class says nothing that its scores, an output of their own, do not say better.
    """
    labels = [record for record in model.outputs if record.element in _LABELS]
    if len(labels) == len(model.outputs):
        labels = []
    notes = [
        f"output '{record.name}' is a class ({_LABELS[record.element]}), and left out"
        for record in labels
    ]
    return [one.name for one in model.outputs if one not in labels], notes
