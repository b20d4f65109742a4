"""Bare weights in HDF5: data sets such as W1 and b1, or groups of kernel and bias.

A group of data, indices and indptr is a sparse matrix, and stands where a data set would.
"""

from __future__ import annotations

from nninvert import hdf5
from nninvert.errors import FormatError
from nninvert.formats._arrays import Hdf5Array, StoredArray
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_weights, is_matrix_or_bias
from nninvert.formats.sparse import single_matrix, sparse_groups

MAX_DATASETS = 10_000
"""So many are looked at; networks of bare weights have far fewer."""


class PlainHdf5(BareReader):
    """Matrices and biases in HDF5, written by any program."""

    name = "HDF5 weights"
    suffixes = (".h5", ".hdf5")
    reads = (
        "matrices and biases by name: W1, b1, ... or groups of kernel and bias; sparse "
        "ones as groups of data, indices, indptr and shape"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """Any HDF5 file: this reader comes last and says what is inside."""
        return hdf5.is_hdf5(path)

    def collect(self, path: str) -> BareWeights:
        """Find data sets whose names are those of weights."""
        with hdf5.open_hdf5(path) as file:
            names = hdf5.datasets(file, MAX_DATASETS)
            groups = sparse_groups(file, names)
            for group in groups:
                names = [name for name in names if name not in groups[group].members]
            if len(groups) == 1 and not any(map(is_matrix_or_bias, (*groups, *names))):
                (only,) = groups.values()
                return single_matrix(only, self.name, names)
            arrays: dict[str, StoredArray] = {}
            left_out: list[str] = []
            for name in (*groups, *names):
                if not is_matrix_or_bias(name):
                    left_out.append(name or "/")
                elif name in groups:
                    arrays[name] = groups[name]
                else:
                    arrays[name] = Hdf5Array(hdf5.dataset(file, name))
            if not arrays:
                inside = ", ".join(hdf5.tree(file, 8)) or "nothing"
                raise FormatError(
                    "",
                    got=f"HDF5 without a model in it; it holds {inside}",
                    expected="a Keras model, or weights named W1, b1, ... or kernel, bias",
                )
            return bare_weights(arrays, self.name, left_out)
