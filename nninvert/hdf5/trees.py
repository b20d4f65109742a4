"""A look at the B-trees (version 1) that list the members of groups and the chunks of data.

The HDF5 library (1.14 and 2.0) follows the nodes of one level to the right for ever if they
lead round. HDF5 File Format Specification 3.0, III.A.1.
"""

from __future__ import annotations

from nninvert.hdf5.signatures import Data, places

_SIGNATURE = b"TREE"
_RIGHT = 16  # where a node keeps the address of the next one; 8 bytes in all that is seen
_LENGTH = 24


def endless_tree(data: Data, base: int) -> int | None:
    """The byte of a node that is its own neighbour; addresses count from `base`."""
    known: set[int] = set()
    for place in places(data, _SIGNATURE):
        way: set[int] = set()
        here: int | None = place
        while here is not None and here not in known:
            if here in way:
                return here
            way.add(here)
            here = _right_of(data, here, base)
        known |= way
    return None


def _right_of(data: Data, place: int, base: int) -> int | None:
    """The node to the right; None where there is none."""
    raw = data[place + _RIGHT : place + _LENGTH]
    found = base + int.from_bytes(raw, "little")
    inside = len(raw) == _LENGTH - _RIGHT and found + _LENGTH <= len(data)
    return found if inside and data[found : found + 4] == _SIGNATURE else None
