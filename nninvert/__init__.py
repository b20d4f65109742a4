"""Which input makes a trained network say this? Checks, inverts, proves the answer.

::

    import nninvert

    network = nninvert.load("camera.h5")
    result = nninvert.invert(network, y)
    result.x, result.status

Importing the package loads nothing heavy: each name below is fetched when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nninvert.api import Session, check, factor, forward, from_arrays, invert, load
    from nninvert.context import Context
    from nninvert.errors import NninvertError
    from nninvert.formats import FileLayer, save
    from nninvert.network import Network
    from nninvert.outcome import RowStatus, Uniqueness, Verdict
    from nninvert.result import CheckReport, InversionResult

__version__ = "0.1.0"

_HOMES = {
    "load": "nninvert.api",
    "from_arrays": "nninvert.api",
    "check": "nninvert.api",
    "invert": "nninvert.api",
    "factor": "nninvert.api",
    "forward": "nninvert.api",
    "Session": "nninvert.api",
    "FileLayer": "nninvert.formats",
    "save": "nninvert.formats",
    "Network": "nninvert.network",
    "Context": "nninvert.context",
    "NninvertError": "nninvert.errors",
    "CheckReport": "nninvert.result",
    "InversionResult": "nninvert.result",
    "RowStatus": "nninvert.outcome",
    "Uniqueness": "nninvert.outcome",
    "Verdict": "nninvert.outcome",
}

__all__ = [
    "CheckReport",
    "Context",
    "FileLayer",
    "InversionResult",
    "Network",
    "NninvertError",
    "RowStatus",
    "Session",
    "Uniqueness",
    "Verdict",
    "__version__",
    "check",
    "factor",
    "forward",
    "from_arrays",
    "invert",
    "load",
    "save",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
