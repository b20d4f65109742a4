"""Several answers and families as parts of a JSON document."""

from __future__ import annotations

import numpy as np

from nninvert.report.answers_text import main_input
from nninvert.report.json_parts import Document, figure, numbers
from nninvert.result import Answers, Family


def answers_document(answers: Answers) -> Document:
    """How many each row has, from how many starts; their residuals and distances."""
    return {
        "asked": answers.most,
        "rows": [
            {
                "row": row,
                "count": int(answers.count[row]),
                "found": int(answers.found[row]),
                "starts": int(answers.starts[row]),
                "residual": numbers(answers.residual[row, :given]),
                "distance": numbers(answers.distance[row, :given]),
                **figure("apart", float(answers.apart[row]), "fewer than two answers"),
            }
            for row, given in enumerate(answers.count.tolist())
        ],
    }


def families_document(families: tuple[Family, ...], file: str) -> Document | None:
    """Dimension and longest interval of each; None where none was asked for."""
    if not families and not file:
        return None
    return {"file": file or None, "rows": [_family(family) for family in families]}


def _family(family: Family) -> Document:
    longest = None
    if len(family.basis):
        direction = int(np.argmax(family.lengths))
        low, high = family.intervals[direction].tolist()
        longest = {
            "direction": direction,
            "main_input": main_input(family, direction),
            "from": low,
            "to": high,
            "points": int(family.points[direction]),
        }
    return {
        "row": family.row,
        "dimension": family.dimension,
        "directions": len(family.basis),
        "kind": family.kind.value,
        "longest": longest,
    }
