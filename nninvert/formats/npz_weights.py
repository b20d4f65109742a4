"""Bare weights in .npz files, as ``numpy.savez("m.npz", W1=W1, b1=b1)`` writes them."""

from __future__ import annotations

from nninvert.formats._arrays import NpzArray
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_weights, is_matrix_or_bias


class NpzWeights(BareReader):
    """Matrices and biases in an .npz file."""

    name = "NPZ weights"
    suffixes = (".npz",)
    reads = "matrices and biases by name: W1, b1, ...; kernel, bias; 0.weight; arr_0, arr_1"

    def sniff(self, head: bytes, path: str) -> bool:
        """A zip of .npy members."""
        from nninvert.archive import ZIP_MAGIC
        from nninvert.npz import is_npz

        return head.startswith(ZIP_MAGIC) and is_npz(path)

    def collect(self, path: str) -> BareWeights:
        """All arrays of numbers; pickled ones are named, or refused where they matter."""
        from nninvert.npz import list_npz

        listing = list_npz(path)
        for name, error in listing.refused.items():
            if is_matrix_or_bias(name) or not listing.arrays:
                raise error
        arrays = {name: NpzArray(member) for name, member in listing.arrays.items()}
        return bare_weights(arrays, self.name, list(listing.refused))
