"""What nninvert answers: plain frozen dataclasses, made below, drawn and printed above.

Arrays are float64 with one entry or row for each target. No field is text made for one
screen only: `report` turns these objects into tables, sentences and JSON.
"""

from nninvert.result.checking import (
    CheckReport,
    ConditionEstimate,
    DigitsReport,
    LayerFinding,
    PairsReport,
    TargetReport,
    Witness,
)
from nninvert.result.inversion import (
    Answers,
    Family,
    InversionResult,
    Plan,
    PlanStep,
    SolveSummary,
)
from nninvert.result.shared import Float64, KeptFactors, ModelSummary, Shape

__all__ = [
    "Answers",
    "CheckReport",
    "ConditionEstimate",
    "DigitsReport",
    "Family",
    "Float64",
    "InversionResult",
    "KeptFactors",
    "LayerFinding",
    "ModelSummary",
    "PairsReport",
    "Plan",
    "PlanStep",
    "Shape",
    "SolveSummary",
    "TargetReport",
    "Witness",
]
