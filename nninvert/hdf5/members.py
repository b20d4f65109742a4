"""The names in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nninvert.hdf5._failure import reading

if TYPE_CHECKING:
    import h5py


def members(group: h5py.Group) -> list[str]:
    """The names in a group, whatever they lead to.

    Raises
    ------
    FormatError
        If the group is damaged.
    """
    with reading(group, ""):
        return [str(name) for name in group]
