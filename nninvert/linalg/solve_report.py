"""What a solve with refinement says of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nninvert.linalg.refinement import Refined


@dataclass(frozen=True)
class SolveReport:
    """How solutions were computed and how good they are.

    Attributes
    ----------
    path : str
        "float32 LU, refined", "float32 LU, GMRES", "float64 LU, refined", "float64 LU".
    rows : int
    passes : int
        Most products with the weights that a block of rows took.
    contraction : float
        The largest ratio of successive corrections; 0.0 where none was needed.
    backward_error : float
        Normwise, the largest of all rows that were measured.
    componentwise : float
        The same componentwise; NaN where it was measured for none.
    accurate : bool
        Whether all rows have a backward error at the level of rounding.
    """

    path: str
    rows: int
    passes: int
    contraction: float
    backward_error: float
    componentwise: float
    accurate: bool

    def joined(self, other: SolveReport) -> SolveReport:
        """Both in one: the worse of the two, all rows counted."""
        worse = self if self.backward_error >= other.backward_error else other
        return replace(
            worse,
            rows=self.rows + other.rows,
            passes=max(self.passes, other.passes),
            contraction=max(self.contraction, other.contraction),
            componentwise=float(np.fmax(self.componentwise, other.componentwise)),
            accurate=self.accurate and other.accurate,
        )


def report_of(found: Refined, path: str) -> SolveReport:
    """Sum up refined rows, at least one of which was measured."""
    measured = ~np.isnan(found.backward_error)
    componentwise = found.componentwise[~np.isnan(found.componentwise)]
    return SolveReport(
        path=path,
        rows=len(found.x),
        passes=found.passes,
        contraction=found.contraction,
        backward_error=float(found.backward_error[measured].max()),
        componentwise=float(componentwise.max()) if componentwise.size else float("nan"),
        accurate=bool(found.accurate[measured].all()),
    )
