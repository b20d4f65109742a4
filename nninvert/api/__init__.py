"""The functions that people call: load, check, invert, forward, factor, and sessions.

The command line does nothing that is not here. Arrays may come in any real type; what a
target's type says about its precision is used.
"""

from nninvert.api.checking import check
from nninvert.api.inverting import invert
from nninvert.api.keeping import Session, factor
from nninvert.api.reading import forward, load
from nninvert.formats import from_arrays

__all__ = ["Session", "check", "factor", "forward", "from_arrays", "invert", "load"]
