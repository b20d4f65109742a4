"""Sound small files, made here where there is no fixture of the kind."""

import io
import json
import tempfile
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from nninvert import formats
from nninvert.formats import ReadOptions

ROOM = 1500
"""Blanks behind a JSON text in HDF5, so that longer ones fit into its place."""

NNET = """// two layers
2,3,2,3,
3,2,2,
0,
-1.0,-2.0,-3.0,
1.0,2.0,3.0,
0.5,0.25,0.0,7.0,
2.0,1.0,4.0,10.0,
1.0,2.0,3.0,
-1.0,0.5,0.25,
0.1,
-0.2,
1.5,-1.0,
2.0,0.5,
0.0,
1.0,
"""


def with_room(data: bytes, attribute: str) -> tuple[bytes, str]:
    """The HDF5 file with blanks behind a text attribute of its root, and that text."""
    image = io.BytesIO(data)
    with h5py.File(image, "r+") as file:
        text = file.attrs[attribute]
        text = (text.decode() if isinstance(text, bytes) else str(text)) + " " * ROOM
        file.attrs[attribute] = text
    return image.getvalue(), text


def own_files(models: list[Path], suffix: str) -> list[bytes]:
    """Models as nninvert writes them."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            path = Path(folder) / f"m{suffix}"
            bare = model.suffix in (".pt", ".npz")
            options = ReadOptions(activations="tanh" if bare else None)
            formats.save(formats.load(str(model), options), str(path))
            found.append(path.read_bytes())
    return found


def _numbers() -> np.random.Generator:
    return np.random.default_rng(5)


def _dense() -> dict[str, np.ndarray]:
    rng = _numbers()
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    return {name: rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}


def npz_bytes(arrays: dict[str, np.ndarray], compress: bool = False) -> bytes:
    """As NumPy writes it."""
    image = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(image, **arrays)
    return image.getvalue()


def dense_npz() -> list[bytes]:
    """Bare weights."""
    named = {"W1": np.eye(4, 3), "b1": np.zeros(4), "W2": np.ones((2, 4), "f2")}
    alone = {"arr_0": np.arange(6.0).reshape(2, 3)}
    return [
        npz_bytes(_dense()),
        npz_bytes(_dense(), True),
        npz_bytes(named),
        npz_bytes(alone),
    ]


def _band(m: int, n: int) -> sparse.csr_array:
    return sparse.csr_array(
        sparse.diags_array([1.0, 2.0, 0.5], offsets=[-1, 0, 1], shape=(m, n))
    )


def sparse_npz() -> list[bytes]:
    """Every layout of SciPy's, and groups of arrays."""
    found = []
    for layout in ("csr", "csc", "coo", "bsr", "dia"):
        image = io.BytesIO()
        matrix = getattr(sparse, f"{layout}_matrix")(_band(4, 6))
        sparse.save_npz(image, matrix, compressed=layout == "coo")
        found.append(image.getvalue())
    return found


def sparse_hdf5() -> list[bytes]:
    """Groups as anndata, h5sparse, 10x Genomics and MATLAB write them."""
    found = []
    for kind in ("anndata", "h5sparse", "10x", "MATLAB"):
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            for name, matrix in (("W1", _band(5, 7)), ("W2", _band(3, 5))):
                group = file.create_group(name)
                matrix = matrix.tocsc() if kind == "MATLAB" else matrix
                names = ("ir", "jc") if kind == "MATLAB" else ("indices", "indptr")
                group["data"] = matrix.data
                group[names[0]], group[names[1]] = matrix.indices, matrix.indptr
                if kind == "anndata":
                    group.attrs["encoding-type"] = "csr_matrix"
                    group.attrs["shape"] = matrix.shape
                elif kind == "h5sparse":
                    group.attrs["h5sparse_format"] = "csr"
                    group.attrs["h5sparse_shape"] = matrix.shape
                elif kind == "10x":
                    group["shape"] = matrix.shape
                else:
                    group.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
            file["b1"] = np.arange(5.0)
        found.append(image.getvalue())
    return found


def hdf5_datasets() -> list[bytes]:
    """One data set in many ways; the last two with the newest structures."""
    values = np.arange(12.0).reshape(4, 3)
    ways: list[dict[str, object]] = [
        {},
        {"chunks": (2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"dtype": "f2"},
        {"dtype": ">i4", "chunks": (4, 1)},
        {"chunks": (4, 3), "compression": "lzf"},
        {"dtype": "f4", "chunks": (2, 3), "fletcher32": True},
    ]
    found = []
    for version in ("earliest", "latest"):
        for way in ways if version == "earliest" else ways[:2]:
            image = io.BytesIO()
            with h5py.File(image, "w", libver=version) as file:
                made = file.create_dataset("y", data=values, **way)
                made.attrs["MATLAB_class"] = np.bytes_("double")
            found.append(image.getvalue())
    return found


def hdf5_weights() -> list[bytes]:
    """Bare weights on the root, in a group, and bfloat16 as Keras stores it."""
    found = []
    for prefix in ("", "net/"):
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            for name, values in _dense().items():
                file[prefix + name] = values
        found.append(image.getvalue())
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["W"] = np.zeros((3, 2), "V2")
        file["W"].attrs["dtype"] = "bfloat16"
        file["b"] = h5py.SoftLink("/c")
        file["c"] = np.ones(3, "f4")
    return [*found, image.getvalue()]


def keras1_weights() -> bytes:
    """As the oldest Keras wrote them: layers and arrays by number."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["nb_layers"] = 2
        for k, (rows, cols) in enumerate(((3, 4), (4, 2))):
            group = file.create_group(f"layer_{k}")
            group.attrs["nb_params"] = 2
            group["param_0"] = np.ones((rows, cols), "f4")
            group["param_1"] = np.zeros(cols, "f4")
    return image.getvalue()


def safetensors_files() -> list[bytes]:
    """Bare weights in several types."""
    found = []
    for kind, code in (("f4", "F32"), ("f8", "F64"), ("f2", "BF16")):
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        parts = b""
        for name, values in _dense().items():
            raw = values.astype(kind).tobytes()
            ends = [len(parts), len(parts) + len(raw)]
            header[name] = {"dtype": code, "shape": values.shape, "data_offsets": ends}
            parts += raw
        text = json.dumps(header).encode()
        found.append(len(text).to_bytes(8, "little") + text + parts)
    return found


def npy_files() -> list[bytes]:
    """Arrays of several types, orders and versions."""
    base = np.arange(12.0).reshape(4, 3)
    kinds = (base, base.astype(">f4"), base.T, base.astype("i2"), np.float64(3), base > 1)
    found = []
    for values in kinds:
        image = io.BytesIO()
        np.save(image, values)
        found.append(image.getvalue())
    image = io.BytesIO()
    np.lib.format.write_array(image, base, version=(2, 0))
    return [*found, image.getvalue()]


def npz_files() -> list[bytes]:
    """One array, several, and compressed ones."""
    values = np.arange(12.0).reshape(4, 3)
    several = {"y": values, "n": values.astype("i8")}
    return [npz_bytes({"y": values}), npz_bytes({"y": values}, True), npz_bytes(several)]


def scaler_npz() -> list[bytes]:
    """Both kinds of scaling."""
    n = np.arange(1.0, 4.0)
    ends = {"min": -n, "max": n, "feature_range": np.array([-1.0, 1.0])}
    return [npz_bytes({"mean": n, "scale": n}), npz_bytes(ends, True)]


TABLES = (
    "conversion,outlet_T,purity\n0.633,320.6,0.966\n0.95,300.0,0.999\n",
    "1;2;3\n4;nan;6\n# a comment\n7;8;-inf\n",
    "a\tb\n1e-3\t2.50\n",
    '"feed T","flow"\n 1.0 , 2.0 \n',
    "1 2 3\n4 5 6\n",
    "0.5\n",
)
BOUNDS = (
    "name,lower,upper,fixed,near\nfeed_T,290.0,330.0,,310.0\ncatalyst,0.5,2.0,,1.0\nx[1],,,3,\n",
    "name;upper;lower\nx0;1;-inf\n# no more\nx1;inf;\n",
    'lower\tname\n-1\t"feed T"\n2\tb\n',
)
RELATIONS = (
    "feed_T + 2*flow <= 30\nx0 - x1 >= 0\na + b == 1\n0 <= a - b <= 5\n",
    '2*(x[0] - 3*(x[1]/4 - 1)) + "feed T" <= -(1e3) # total\n-+a*2 == .5e-2\n',
    "a,b,sense,limit,name\n1,2,<=,3,total\n,-1.5,==,0,\n1,0,>=,-2,x\n",
)
SCALERS = (
    "what,a,b,c\nmean,1,2,3\nscale,1,1,2\n",
    "what;a;b\nmin;0;0\nmax;1;2\nrange_min;-1;-1\nrange_max;1;1\n",
)
