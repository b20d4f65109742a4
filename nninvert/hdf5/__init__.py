"""HDF5 files opened so that nothing outside them is read and no claim is believed.

An HDF5 file may hold links to other files, data sets whose bytes lie in other files,
filters that load plug-ins, and sizes that no disk could hold. What is opened here comes
with none of these, or not at all.
"""

from nninvert.hdf5.attributes import attribute_names, attribute_numbers, attribute_text
from nninvert.hdf5.dataset import dataset
from nninvert.hdf5.listing import datasets, tree
from nninvert.hdf5.members import members
from nninvert.hdf5.opening import Inside, is_hdf5, open_hdf5, open_stream
from nninvert.hdf5.path import child, group
from nninvert.hdf5.screening import screen, screen_bytes
from nninvert.hdf5.values import mapped, place, read, read_block

__all__ = [
    "Inside",
    "attribute_names",
    "attribute_numbers",
    "attribute_text",
    "child",
    "dataset",
    "datasets",
    "group",
    "is_hdf5",
    "mapped",
    "members",
    "open_hdf5",
    "open_stream",
    "place",
    "read",
    "read_block",
    "screen",
    "screen_bytes",
    "tree",
]
