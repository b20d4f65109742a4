"""nninvert's own files: the architecture as JSON and the arrays, in HDF5 or NPZ.

What `Graph.config` and `Graph.weights` give is written as it is, each array in its stored
type, so that reading it back gives the same numbers bit for bit.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, NninvertError, UsageError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._base import Reader
from nninvert.formats._json import Fields, parse_json
from nninvert.formats._options import ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed, Place, Step
from nninvert.formats.sparse import layout_of, separated, with_sparse
from nninvert.layers import LAYERS, Graph, Node, Shape, Weights
from nninvert.layout import Layout, Part
from nninvert.linalg.sparse import SparseMatrix
from nninvert.linalg.stored import StoredMatrix
from nninvert.network import Network

SCHEMA = "nninvert.model/1"
MEMBER = "nninvert"
"""The NPZ member and the HDF5 root attribute that hold the JSON."""

ARRAYS = "weights"
"""The HDF5 group of the arrays."""

MAX_ARRAYS = 100_000

# What rebuilding layers from a damaged description can raise beside NninvertError: a key
# is missing, or a value is of another type or shape than `config` wrote.
_DAMAGED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)


class _OwnReader(Reader):
    """What both containers share."""

    def _parsed(self, text: str, arrays: Mapping[str, StoredArray], path: str) -> Parsed:
        try:
            document = Fields(parse_json(text, f"'{MEMBER}'"))
            if document.raw("schema") != SCHEMA:
                raise FormatError(
                    "schema",
                    got=repr(document.raw("schema")),
                    expected=repr(SCHEMA),
                    next_step="Another version of nninvert wrote this file.",
                )
            return _from_document(document, arrays, self.name)
        except NninvertError as error:
            raise error.at(file=path) from error
        except _DAMAGED as error:
            raise FormatError(
                f"'{MEMBER}'",
                got=f"a description that does not fit ({type(error).__name__}: {error})",
                expected=f"what nninvert writes as {SCHEMA}",
                next_step="Convert the original again: nninvert convert MODEL -o OUT",
                file=path,
            ) from error


class OwnHdf5(_OwnReader):
    """nninvert's own HDF5."""

    name = "nninvert HDF5"
    suffixes = (".h5", ".hdf5")
    reads = "everything that nninvert convert and nninvert.save write"

    def sniff(self, head: bytes, path: str) -> bool:
        """HDF5 with the root attribute ``nninvert``."""
        from nninvert import hdf5

        if not hdf5.is_hdf5(path):
            return False
        with hdf5.open_hdf5(path) as file:
            return hdf5.attribute_text(file, MEMBER) is not None

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Rebuild the layers."""
        from nninvert import hdf5
        from nninvert.formats._arrays import Hdf5Array

        refuse_bare_options(path, options)
        with hdf5.open_hdf5(path) as file:
            text = hdf5.attribute_text(file, MEMBER) or ""
            arrays: dict[str, StoredArray] = {}
            if ARRAYS in hdf5.members(file):
                group = hdf5.group(file, ARRAYS)
                for name in hdf5.datasets(group, MAX_ARRAYS):
                    arrays[name] = Hdf5Array(hdf5.dataset(group, name))
            return self._parsed(text, arrays, path)


class OwnNpz(_OwnReader):
    """nninvert's own NPZ."""

    name = "nninvert NPZ"
    suffixes = (".npz",)
    reads = "everything that nninvert convert and nninvert.save write"

    def sniff(self, head: bytes, path: str) -> bool:
        """A zip of .npy members, one of them ``nninvert.npy``."""
        from nninvert.archive import ZIP_MAGIC, member_names
        from nninvert.npz import is_npz

        if not head.startswith(ZIP_MAGIC) or not is_npz(path):
            return False
        return f"{MEMBER}.npy" in member_names(path)

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Rebuild the layers."""
        from nninvert.formats._arrays import NpzArray
        from nninvert.npz import list_npz

        refuse_bare_options(path, options)
        members = list_npz(path).arrays
        if MEMBER not in members or members[MEMBER].header.dtype != np.uint8:
            raise FormatError(
                f"'{MEMBER}'", got="no text", expected="bytes of JSON", file=path
            )
        try:
            text = members.pop(MEMBER).read().tobytes().decode()
        except UnicodeDecodeError as error:
            raise FormatError(
                f"'{MEMBER}'", got="bytes that are no UTF-8", expected="JSON", file=path
            ) from error
        arrays = {name: NpzArray(member) for name, member in members.items()}
        return self._parsed(text, arrays, path)


def save(network: Network, path: str) -> None:
    """Write a network to nninvert's own HDF5 or NPZ, whole or not at all.

    Parameters
    ----------
    network : Network
    path : str
        Ends in .h5, .hdf5 or .npz. A file of that name is replaced.

    Raises
    ------
    UsageError
        For another suffix, or a layer of the user's: no file can hold its code.
    OutputError
        If it cannot be written.
    """
    from nninvert.arrays.atomic import atomic_output

    write = _write_npz if path.lower().endswith(OwnNpz.suffixes) else _write_hdf5
    if not path.lower().endswith((*OwnNpz.suffixes, *OwnHdf5.suffixes)):
        raise UsageError(
            "output",
            got=repr(path),
            expected="a name that ends in .h5, .hdf5 or .npz",
            file=path,
        )
    _refuse_layers_of_users(network.graph, path)
    with atomic_output(path) as stream:
        write(stream, _to_document(network), separated(network.graph.weights()))


def _refuse_layers_of_users(graph: Graph, path: str) -> None:
    """Refuse layers that are in no registry, wherever they are."""
    for node in graph.wiring.nodes:
        if isinstance(node.layer, Graph):
            _refuse_layers_of_users(node.layer, path)
        elif LAYERS.get(node.layer.kind) is not type(node.layer):
            raise UsageError(
                "kind",
                got=f"a layer of class {type(node.layer).__name__}",
                expected="layers of nninvert's own",
                because="a file holds numbers, not the code of others",
                next_step="Keep the original file, and load it with layers= again.",
                file=path,
                layer=(node.index, node.name),
            )


def _to_document(network: Network) -> str:
    """Everything but the numbers."""
    graph, source = network.graph, network.source
    weights = graph.weights().items()
    document = {
        "schema": SCHEMA,
        "input": _end(network.inputs, graph.input_shape),
        "output": _end(network.outputs, graph.output_shape),
        "graph": graph.config(),
        "matrices": [name for name, made in weights if isinstance(made, StoredMatrix)],
        "sparse": {
            name: {"layout": layout_of(made), "shape": made.shape}
            for name, made in weights
            if isinstance(made, SparseMatrix)
        },
        "source": {"format": source.format, "notes": source.notes},
    }
    return json.dumps(document, allow_nan=False)


def _end(layout: Layout, shape: Shape) -> dict[str, Any]:
    """An end of the graph; its parts, where there are several."""
    found: dict[str, Any] = {"name": layout.parts[0].name, "shape": shape}
    if len(layout.parts) > 1:
        parts = [{"name": part.name, "shape": part.shape} for part in layout.parts]
        found["parts"] = parts
    return found


def _layout(end: Fields, shape: Shape) -> Layout:
    """The parts of an end, as `_end` wrote them; one of the whole shape else."""
    if end.raw("parts") is None:
        return Layout((Part(end.text("name"), shape),))
    parts = end.objects("parts")
    found = Layout(tuple(Part(k.text("name"), k.wholes("shape")) for k in parts))
    apart = len(found.offsets) == len(found.parts)
    if (found.size,) != shape or not apart or any(part.size < 1 for part in found.parts):
        raise FormatError(
            "parts",
            got=", ".join(f"{part.name} {part.shape}" for part in found.parts),
            expected=f"names that differ, and shapes that make {shape}",
        )
    return found


def _from_document(
    document: Fields, arrays: Mapping[str, StoredArray], format_name: str
) -> Parsed:
    arrays = with_sparse(arrays, document.raw("sparse") or {})
    matrices = set(document.raw("matrices") or ())
    weights: dict[str, StoredMatrix | NDArray[np.generic]] = {
        name: array.matrix() if name in matrices else array.read()
        for name, array in arrays.items()
    }
    shape = document.inner("input").wholes("shape")
    if any(length < 1 for length in shape):
        raise FormatError("input > shape", got=str(shape), expected="lengths above 0")
    graph = Graph.from_config(document.raw("graph"), weights, shape)
    steps: list[Step] = []
    outputs = _add_steps(graph, (-1,), (), "", arrays, steps)
    names = document.inner("input").text("name"), document.inner("output").text("name")
    inputs = _layout(document.inner("input"), graph.input_shape)
    layouts = inputs, _layout(document.inner("output"), graph.output_shape)
    notes = document.inner("source").raw("notes") or []
    return Parsed(
        format=format_name,
        steps=tuple(steps),
        outputs=outputs,
        input_names=names[:1],
        names=names,
        notes=tuple(str(note) for note in notes),
        input_shapes=(graph.input_shape,),
        layouts=layouts,
    )


def _add_steps(
    graph: Graph,
    before: tuple[int, ...],
    around: tuple[Place, ...],
    prefix: str,
    arrays: Mapping[str, StoredArray],
    steps: list[Step],
) -> tuple[int, ...]:
    """Append the layers of a graph that `before` feeds, those of nested graphs in place.

    Returns the positions of the steps that give its output: one, or `before` where the
    graph is empty.
    """
    wiring = graph.wiring
    readers = Counter(source for sources in wiring.sources for source in sources)
    ends = {-1: before}
    for position, node in enumerate(wiring.nodes):
        sources = tuple(p for s in wiring.sources[position] for p in ends[s])
        place = Place(str(node.index), str(node.name), str(node.label))
        places = (*around, place)
        own = f"{prefix}{position}/"
        if isinstance(node.layer, Graph):
            ends[position] = _add_steps(node.layer, sources, places, own, arrays, steps)
            continue
        held = tuple(array for name, array in arrays.items() if name.startswith(own))
        follows = wiring.sources[position] == (position - 1,) and position > 0
        if follows and readers[position - 1] == 1 and steps[-1].places == places:
            steps[-1] = _joined(steps[-1], node, held)
        else:
            steps.append(Step(places, sources, arrays=held).built([node.layer]))
        ends[position] = (len(steps) - 1,)
    return ends[len(wiring.nodes) - 1]


def _joined(step: Step, node: Node, held: tuple[StoredArray, ...]) -> Step:
    """A file's layer that became several nodes, as a Dense with its activation."""
    both = Step(step.places, step.sources, arrays=step.arrays + held)
    return both.built([*step.layers, node.layer])


def _write_npz(stream: BinaryIO, text: str, weights: Weights) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        described = np.frombuffer(text.encode(), dtype=np.uint8)
        for name, values in {MEMBER: described, **weights}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = {
                    "descr": np.lib.format.dtype_to_descr(_native(values)),
                    "fortran_order": False,
                    "shape": tuple(values.shape),
                }
                np.lib.format.write_array_header_1_0(cast(BinaryIO, member), header)
                for _, block in _blocks(values):
                    member.write(np.ascontiguousarray(block).data)


def _write_hdf5(stream: BinaryIO, text: str, weights: Weights) -> None:
    import h5py

    with h5py.File(stream, "w") as file:
        file.attrs[MEMBER] = text
        group = file.create_group(ARRAYS)
        for name, values in weights.items():
            dataset = group.create_dataset(name, values.shape, _native(values))
            for place, block in _blocks(values):
                dataset[place] = block


def _native(values: StoredMatrix | NDArray[np.generic]) -> np.dtype[np.generic]:
    return values.dtype.newbyteorder("=")


def _blocks(
    values: StoredMatrix | NDArray[np.generic],
) -> Iterator[tuple[Any, NDArray[np.generic]]]:
    """Whole rows of a matrix at a time, an array at once; in native byte order."""
    if isinstance(values, StoredMatrix):
        yield from values.blocks()
    else:
        yield ..., values.astype(_native(values), copy=False)
