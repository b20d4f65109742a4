"""Sparse layers from SciPy's NPZ, HDF5 groups and memory, and back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from npy_files import raw_npy
from scipy import sparse

import nninvert
from nninvert.errors import DataError, FormatError
from nninvert.formats import ReadOptions, describe, load
from nninvert.layers import Dense
from nninvert.linalg.sparse import SparseMatrix
from nninvert.network import Network

TANH = ReadOptions(activations="tanh")


def small(m: int = 6, n: int = 6, seed: int = 0) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    made = sparse.random_array((m, n), density=0.4, rng=rng, format="csr")
    return sparse.csr_array(made + sparse.eye_array(m, n))


def kernel_of(network: Network) -> SparseMatrix:
    layer = network.segments[0].layer
    assert isinstance(layer, Dense)
    assert isinstance(layer.matrix, SparseMatrix)
    return layer.matrix


def write_group(group: h5py.Group, matrix: Any, names: str = "data indices indptr") -> None:
    for name, part in zip(names.split(), ("data", "indices", "indptr"), strict=True):
        group[name] = getattr(matrix, part)


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("compress", [True, False])
def test_every_layout_of_save_npz_is_a_layer(
    layout: str, compress: bool, tmp_path: Path
) -> None:
    path = str(tmp_path / "m.npz")
    matrix = small(4, 6)
    sparse.save_npz(path, getattr(sparse, f"{layout}_matrix")(matrix), compress)
    network = load(path, TANH)
    assert np.array_equal(kernel_of(network).to_float64(), matrix.toarray())
    turned = load(path, ReadOptions(activations="tanh", orientation="in,out"))
    assert np.array_equal(kernel_of(turned).to_float64(), matrix.toarray().T)
    told = describe(path)
    assert told.format == "SciPy sparse NPZ"
    assert told.layers[0].label == "Dense"


@pytest.mark.parametrize("format", [b"csr", "csr", np.array(["csr"], ">U3")])
def test_the_layout_as_any_text(format: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "m.npz")
    matrix = small(4, 6)
    parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
    np.savez(path, format=format, shape=matrix.shape, **parts)
    assert np.array_equal(kernel_of(load(path, TANH)).to_float64(), matrix.toarray())


def test_a_layout_with_a_damaged_header(tmp_path: Path) -> None:
    """Each of these came out of NumPy's own reader as an error of another kind."""
    header = "{'descr': '|S3', 'fortran_order': False, 'shape': ()}"
    for old, new in (("()", "(("), ("()", "None"), ("|S3", "|S999999999")):
        path = tmp_path / "m.npz"
        np.savez(path, shape=(3, 3), data=np.ones(3), indices=np.arange(3))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("format.npy", raw_npy(header.replace(old, new), b"csr"))
        with pytest.raises(FormatError):
            load(str(path), TANH)


def test_integers_and_short_floats_stay_as_stored(tmp_path: Path) -> None:
    for dtype in ("float32", "int8"):
        path = str(tmp_path / f"{dtype}.npz")
        sparse.save_npz(path, (small() * 4).astype(dtype))
        assert kernel_of(load(path, TANH)).dtype == dtype


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"indices": np.array([0, 7, 1])}, "indices from 0 to 7"),
        ({"indptr": np.array([0, 2, -1, 3])}, "indptr that falls"),
        ({"shape": np.array([3, 10**12])}, "1000000000000"),
        ({"shape": np.array([3.0, 3.0])}, "two whole numbers"),
        ({"shape": np.array([3, 3, 3])}, "two whole numbers"),
        ({"format": np.array(b"lil")}, "'lil'"),
        ({"format": np.array(3)}, "one word"),
        ({"format": np.array(b"coo")}, "no 'row'"),
        ({"data": np.array([1.0, np.nan, 1.0])}, "nan"),
        ({"format": np.float64(3)}, "'format': got no text"),
        ({"format": np.array("csr" * 200)}, "'format': got no text"),
        ({"format": np.array(["csr", "csc"])}, "'format': got no text"),
    ],
)
def test_hostile_npz_is_refused_in_one_line(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    good: dict[str, Any] = {
        "format": b"csr",
        "shape": (3, 3),
        "data": np.ones(3),
        "indices": np.array([0, 1, 2]),
        "indptr": np.array([0, 1, 2, 3]),
    }
    path = str(tmp_path / "m.npz")
    np.savez(path, **{**good, **changed})
    with pytest.raises((FormatError, DataError), match=said) as caught:
        load(path, TANH).require_finite()
    assert caught.value.file == path
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["anndata", "h5sparse", "10x"])
@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_groups_of_hdf5_stand_where_kernels_do(
    kind: str, layout: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "m.h5")
    first, second = small(5, 7, seed=1), small(3, 5, seed=2)
    with h5py.File(path, "w") as file:
        for name, matrix in (("W1", first), ("W2", second)):
            group = file.create_group(name)
            write_group(group, matrix.asformat(layout))
            if kind == "anndata":
                group.attrs["encoding-type"] = f"{layout}_matrix"
                group.attrs["shape"] = matrix.shape
            elif kind == "h5sparse":
                group.attrs["h5sparse_format"] = layout
                group.attrs["h5sparse_shape"] = matrix.shape
            else:
                group["shape"] = matrix.shape
        file["b1"] = np.arange(5.0)
    network = load(path, ReadOptions(activations="tanh,linear"))
    x = np.random.default_rng(3).standard_normal((2, 7))
    hidden = np.tanh(x @ first.toarray().T + np.arange(5.0))
    assert np.allclose(network.forward(x), hidden @ second.toarray().T, rtol=1e-14)
    assert not network.source.notes


def test_a_matrix_of_matlab_is_read_by_columns(tmp_path: Path) -> None:
    path = str(tmp_path / "m.mat")
    matrix = small(4, 6).tocsc()
    with h5py.File(path, "w") as file:
        group = file.create_group("A")
        write_group(group, matrix, "data ir jc")
        group.attrs["MATLAB_sparse"] = np.uint64(4)
    assert np.array_equal(kernel_of(load(path, TANH)).to_float64(), matrix.toarray())


def test_one_unnamed_matrix_is_the_layer_and_the_rest_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "m.h5")
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        write_group(group, small())
        group.attrs["shape"] = (6, 6)
        file["obs/count"] = np.ones(3)
    network = load(path, TANH)
    assert np.array_equal(kernel_of(network).to_float64(), small().toarray())
    assert any("obs/count" in note for note in network.source.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda group: group.attrs.__delitem__("shape"), "without a shape"),
        (lambda group: group.attrs.__setitem__("shape", "big"), "whole numbers"),
        (lambda group: group.attrs.__setitem__("shape", (6, 10**12)), "1000000000000"),
        (lambda group: group.attrs.__setitem__("encoding-type", "lil_matrix"), "'lil'"),
        (lambda group: group["indptr"].__setitem__(2, -1), "indptr"),
        (lambda group: group["indices"].__setitem__(0, 99), "indices from"),
        (lambda group: group.create_dataset("bias", data=np.ones(6)), "bias"),
    ],
)
def test_hostile_groups_are_refused_in_one_line(
    change: Any, said: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "m.h5")
    with h5py.File(path, "w") as file:
        group = file.create_group("W1")
        write_group(group, small())
        group.attrs["shape"] = (6, 6)
        group.attrs["encoding-type"] = "csr_matrix"
        change(group)
    with pytest.raises(FormatError, match=said) as caught:
        load(path, TANH)
    assert caught.value.file == path
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize("orientation", ["out,in", "in,out"])
def test_own_files_keep_sparse_layers_sparse(
    suffix: str, orientation: str, tmp_path: Path
) -> None:
    matrix = small().astype(np.float32)
    layers = [(matrix, np.ones(6), "tanh"), (np.eye(6), None, None)]
    network = nninvert.from_arrays(layers, orientation=orientation)
    path = str(tmp_path / f"m{suffix}")
    nninvert.save(network, path)
    again = load(path)
    x = np.random.default_rng(0).standard_normal((3, 6))
    assert np.array_equal(again.forward(x), network.forward(x))
    before, after = kernel_of(network), kernel_of(again)
    assert after.dtype == np.float32
    assert np.array_equal(after.data, before.data)
    assert after.column_major == before.column_major
    assert again.parameters == network.parameters == matrix.nnz + 6 + 36


def test_from_arrays_takes_all_that_scipy_makes() -> None:
    matrix = small(4, 6)
    expected = np.tanh(np.ones((1, 6)) @ matrix.toarray().T)
    for layout in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
        network = nninvert.from_arrays([(matrix.asformat(layout), None, "tanh")])
        assert np.allclose(network.forward(np.ones((1, 6))), expected, rtol=1e-14)


def test_from_arrays_refuses_numbers_that_are_not_real() -> None:
    with pytest.raises(DataError, match="complex"):
        nninvert.from_arrays([(small() * 1j, None, "tanh")])
