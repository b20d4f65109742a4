"""What every JSON document is made of: figures that may be unknown, arrays, a head."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert import __version__
from nninvert.outcome import Kind

Document = dict[str, Any]


def document(name: str, **content: Any) -> Document:
    """Begin a document with its schema and the tool."""
    return {
        "schema": f"nninvert.{name}/1",
        "tool": {"name": "nninvert", "version": __version__},
        **content,
    }


def figure(name: str, value: float | None, unknown: str = "not known") -> Document:
    """One number, or null and the reason."""
    if value is None:
        return {name: None, f"{name}_reason": unknown}
    if math.isfinite(value):
        return {name: float(value)}
    reason = unknown if math.isnan(value) else f"{'-' if value < 0 else ''}infinite"
    return {name: None, f"{name}_reason": reason}


def estimate(name: str, value: float) -> Document:
    """A figure that is no more than an estimate, and says so."""
    return {**figure(name, value), f"{name}_kind": Kind.ESTIMATE.value}


def numbers(values: NDArray[Any]) -> list[Any]:
    """An array as nested lists, null where a value is not finite."""
    found: list[Any] = np.asarray(values, dtype=np.float64).tolist()
    return [_finite(item) for item in found]


def _finite(item: Any) -> Any:
    if isinstance(item, list):
        return [_finite(inner) for inner in item]
    return item if math.isfinite(item) else None
