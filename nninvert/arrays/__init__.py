"""Arrays and tables in and out: .npy, .npz, .csv, HDF5, pipes; whole files or none."""

from nninvert.arrays.atomic import atomic_output
from nninvert.arrays.bounds import BoundsRow, read_bounds
from nninvert.arrays.constraints import read_constraints
from nninvert.arrays.linear import LinearRelation
from nninvert.arrays.loaded import LoadedArray
from nninvert.arrays.output_check import check_output
from nninvert.arrays.reading import read_array
from nninvert.arrays.writing import ARRAY_SUFFIXES, write_array, write_table

__all__ = [
    "ARRAY_SUFFIXES",
    "BoundsRow",
    "LinearRelation",
    "LoadedArray",
    "atomic_output",
    "check_output",
    "read_array",
    "read_bounds",
    "read_constraints",
    "write_array",
    "write_table",
]
