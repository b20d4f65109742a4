"""Every reader with the files that it is tried with, and what is tried.

A case is a few files, the first of which is handed to the reader. The same number makes the
same case, whatever came before it.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path

import fuzz_seeds as seeds
import numpy as np
from mutations import EDGES, damaged_bytes, damaged_npy, damaged_text, encoded
from mutations_hdf5 import Structure
from mutations_json import JsonText
from mutations_pickle import Pickle, pickles
from mutations_protobuf import Message
from mutations_zip import Archive

from nninvert import arrays, formats
from nninvert.arrays.scaler import read_scaler
from nninvert.formats import ReadOptions
from nninvert.network import Network

TESTS = Path(__file__).parents[1]
DATA, ONNX = TESTS / "formats" / "data", TESTS / "formats" / "onnx_data"
MODELS = TESTS.parent / "sample_models"

MOST = 20_000
"""Numbers in and out of each layer up to which a network is evaluated."""

Files = dict[str, bytes]
Make = Callable[[random.Random], Files]
Attempt = Callable[[str, random.Random], None]


@dataclass(frozen=True)
class Target:
    """A reader: how its cases are made, and what is tried with the first file of one."""

    make: Make
    attempt: Attempt


def read_model(path: str, chance: random.Random) -> None:
    """Describe a file that states its architecture, or build the network."""
    part = chance.choice(((None, None),) * 8 + ((None, "0"), ("1", None)))
    _read(path, chance, ReadOptions(first=part[0], until=part[1]))


def read_weights(path: str, chance: random.Random) -> None:
    """The same for bare weights; seldom every reading of them."""
    if chance.random() < 0.01:
        for _, network in islice(formats.candidates(path), 4):
            _evaluate(network)
        return
    options = ReadOptions(
        activations=chance.choice(("tanh", "tanh", "relu", "tanh,linear")),
        orientation=chance.choice((None,) * 6 + ("out,in", "in,out")),
    )
    _read(path, chance, options)


def read_apart(path: str, chance: random.Random) -> None:
    """The same with the architecture in a second file, where there is one."""
    config = Path(path).with_name("config.json")
    if config.stat().st_size == 0:
        read_weights(path, chance)
    else:
        _read(path, chance, ReadOptions(config=str(config)))


def _read(path: str, chance: random.Random, options: ReadOptions) -> None:
    if chance.random() < 0.25:
        formats.describe(path, options)
    else:
        _evaluate(formats.load(path, options))


def _evaluate(network: Network) -> None:
    """Two rows through the network if it is small."""
    sizes = [prod(node.layer.output_shape) for node in network.graph.leaves()]
    if max(network.n_in, network.n_out, network.parameters, *sizes) <= MOST:
        with np.errstate(all="ignore"):
            made = network.forward(np.full((2, network.n_in), 0.5))
        assert made.shape == (2, network.n_out)


def read_array(path: str, chance: random.Random) -> None:
    """By its place, as a rule without a key; seldom from a stream."""
    if chance.random() < 0.05:
        with open(path, "rb") as stream:
            arrays.read_array("-", stdin=stream)
        return
    key = chance.choice(("",) * 9 + (":y",))
    arrays.read_array(path + key)


def _hdf5(held: Sequence[tuple[bytes, str | None]], name: str = "m.h5") -> Make:
    made = [Structure(*one) for one in held]

    def make(chance: random.Random) -> Files:
        return {name: chance.choice(made).damaged(chance, chance.choice(made))}

    return make


def _member(name: str, content: bytes, chance: random.Random) -> bytes:
    """Damage to a member of an archive by what it holds."""
    if not content:
        return chance.choice((b"", b"x", b"\0" * 99))
    if name.endswith(".npy"):
        return damaged_npy(content, content, chance)
    if name.endswith(".json"):
        text = _json(content)
        return encoded(text.damaged(chance, text), chance)
    if name.endswith(".pkl"):
        found = _pickle(content)
        return found.damaged(chance, found)
    if name.endswith(".h5"):
        found = _structure(content)
        return found.damaged(chance, found)
    return damaged_bytes(content, content, chance)


def _kept(build: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Parse each sound content once."""
    known: dict[bytes, object] = {}

    def find(content: bytes) -> object:
        if content not in known:
            known[content] = build(content)
        return known[content]

    return find


_json = _kept(lambda content: JsonText(content.decode()))
_pickle, _structure = _kept(Pickle), _kept(Structure)


def _zips(held: Sequence[bytes], name: str) -> Make:
    made = [Archive(one) for one in held]

    def make(chance: random.Random) -> Files:
        return {name: chance.choice(made).damaged(chance, chance.choice(made), _member)}

    return make


def _texts(held: Sequence[str], name: str) -> Make:
    def make(chance: random.Random) -> Files:
        text = damaged_text(chance.choice(held), chance.choice(held), chance)
        raw = encoded(text, chance)
        return {name: damaged_bytes(raw, raw, chance) if chance.random() < 0.1 else raw}

    return make


def _npy(chance: random.Random, held: Sequence[bytes]) -> Files:
    return {"y.npy": damaged_npy(chance.choice(held), chance.choice(held), chance)}


def _messages(held: Sequence[bytes]) -> Make:
    made = [Message(one) for one in held]

    def make(chance: random.Random) -> Files:
        return {"m.onnx": chance.choice(made).damaged(chance, chance.choice(made))}

    return make


def _safetensors(chance: random.Random, held: Sequence[bytes]) -> Files:
    data, other = chance.choice(held), chance.choice(held)
    if chance.random() < 0.15:
        return {"m.safetensors": damaged_bytes(data, other, chance)}
    end = 8 + int.from_bytes(data[:8], "little")
    text = _json(data[8:end])
    raw = encoded(text.damaged(chance, text), chance)
    said = len(raw) if chance.random() < 0.9 else chance.choice(EDGES)
    return {"m.safetensors": said.to_bytes(8, "little") + raw + data[end:]}


def _legacy(held: Sequence[bytes]) -> Make:
    parts = [pickles(one, 5) for one in held]

    def make(chance: random.Random) -> Files:
        here, other = chance.choice(parts), chance.choice(parts)
        if chance.random() < 0.1:
            data = b"".join(p.data for p in here[:1])
            return {"m.pt": damaged_bytes(data, other[0].data, chance)}
        at = chance.choice((1, 2, 3, 3, 3, 3, 4))
        raw = [p.data[: len(p.data) - len(p.rest)] for p in here]
        raw[at] = here[at].damaged(chance, chance.choice(other))
        rest = here[-1].rest
        if chance.random() < 0.2:
            rest = damaged_bytes(rest, rest, chance)
        return {"m.pt": b"".join(raw) + rest}

    return make


def _apart(held: Sequence[bytes], config: str, name: str) -> Make:
    """Weights beside an architecture, either of them damaged; seldom no architecture."""
    made, text = [Structure(one) for one in held], JsonText(config)

    def make(chance: random.Random) -> Files:
        files = {name: chance.choice(made).data, "config.json": config.encode()}
        which = chance.random()
        if which < 0.35:
            files["config.json"] = encoded(text.damaged(chance, text), chance)
        else:
            files[name] = chance.choice(made).damaged(chance, chance.choice(made))
            if which > 0.8:
                files["config.json"] = b""
        return files

    return make


def _shards() -> Files:
    return {
        path.name: path.read_bytes()
        for path in (
            DATA / "keras3_shards.weights.json",
            *sorted(DATA.glob("keras3_shards_0000?.weights.h5")),
        )
    }


def _sharded() -> Make:
    """The list of the files, one of them, or the architecture damaged."""
    sound = _shards()
    listing, *names = sound
    config = (DATA / "keras3_shards.json").read_text()
    text, listed = JsonText(config), JsonText(sound[listing].decode())
    made = {name: Structure(sound[name]) for name in names}

    def make(chance: random.Random) -> Files:
        files = {**sound, "config.json": config.encode()}
        which = chance.choice((listing, *names, *names, "config.json"))
        if which == listing:
            files[listing] = encoded(listed.damaged(chance, listed), chance)
        elif which == "config.json":
            files[which] = encoded(text.damaged(chance, text), chance)
        else:
            files[which] = made[which].damaged(chance, made[chance.choice(names)])
        if chance.random() < 0.1:
            files["config.json"] = b""
        return files

    return make


def _fixtures(*names: str) -> list[bytes]:
    return [(DATA / name).read_bytes() for name in names]


def _keras(*names: str) -> Make:
    """Models in HDF5 with room for longer architectures."""
    return _hdf5([seeds.with_room(data, "model_config") for data in _fixtures(*names)])


def _own_hdf5() -> Make:
    held = seeds.own_files(_TO_SAVE, ".h5")
    return _hdf5([seeds.with_room(data, "nninvert") for data in held])


_TO_SAVE = [
    *(
        DATA / f"{name}.h5"
        for name in ("keras3_branch", "tf23_functional", "keras3_reshape")
    ),
    DATA / "torch_sequential.pt",
    MODELS / "pruned.h5",
]


def _tree() -> Make:
    return _apart(
        _fixtures("keras3_attention.weights.h5"),
        (DATA / "keras3_attention.json").read_text(),
        "m.weights.h5",
    )


def _old_weights() -> Make:
    """The weights of a model in two layouts, and an architecture that fits both."""
    sizes = {"first": (3, 4, "tanh"), "second": (4, 2, "sigmoid")}
    layers = [
        {
            "class_name": "Dense",
            "config": {
                "name": name,
                "units": units,
                "activation": activation,
                "use_bias": True,
                "batch_input_shape": [None, entering],
            },
        }
        for name, (entering, units, activation) in sizes.items()
    ]
    top = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    config = json.dumps({**top, "keras_version": "2.3.0", "backend": "tensorflow"})
    held = [*_fixtures("tf215_weights_only.h5"), seeds.keras1_weights()]
    return _apart(held, config, "m.weights.h5")


def _archives() -> Make:
    return _zips(
        _fixtures(
            "keras3_float64.keras",
            "keras3_branch.keras",
            "keras38_functional.keras",
            "tf215_preprocessing.keras",
        ),
        "m.keras",
    )


def _torch_zip() -> Make:
    return _zips(
        _fixtures("torch_no_bias.pt", "torch_checkpoint.pt", "torch_sequential.pt"), "m.pt"
    )


TARGETS: dict[str, Callable[[], Target]] = {
    "own-hdf5": lambda: Target(_own_hdf5(), read_model),
    "own-npz": lambda: Target(
        _zips(seeds.own_files(_TO_SAVE, ".npz"), "m.npz"), read_model
    ),
    "keras-hdf5-legacy": lambda: Target(
        _keras(
            "tf215_mixed16.h5",
            "tf23_functional.h5",
            "keras1_tf_merges.h5",
            "keras210_theano_sequential.h5",
            "keras222_reshape.h5",
            "tf215_nested.h5",
        ),
        read_model,
    ),
    "keras-hdf5-3": lambda: Target(
        _keras("keras3_float64.h5", "keras3_branch.h5", "keras3_reshape.h5"), read_model
    ),
    "keras-archive": lambda: Target(_archives(), read_model),
    "keras-weights": lambda: Target(_old_weights(), read_apart),
    "keras-tree": lambda: Target(_tree(), read_apart),
    "keras-shards": lambda: Target(_sharded(), read_apart),
    "sparse-npz": lambda: Target(_zips(seeds.sparse_npz(), "m.npz"), read_weights),
    "sparse-hdf5": lambda: Target(
        _hdf5([(one, None) for one in seeds.sparse_hdf5()]), read_weights
    ),
    "bare-npz": lambda: Target(_zips(seeds.dense_npz(), "m.npz"), read_weights),
    "bare-hdf5": lambda: Target(
        _hdf5([(one, None) for one in seeds.hdf5_weights()]), read_weights
    ),
    "safetensors": lambda: Target(
        partial(_safetensors, held=seeds.safetensors_files()), read_weights
    ),
    "torch-zip": lambda: Target(_torch_zip(), read_weights),
    "torch-legacy": lambda: Target(
        _legacy(_fixtures("torch_checkpoint_legacy.pt", "torch_sequential_legacy.pt")),
        read_weights,
    ),
    "onnx": lambda: Target(
        _messages([path.read_bytes() for path in sorted(ONNX.glob("*.onnx"))]), read_model
    ),
    "nnet": lambda: Target(_texts([seeds.NNET], "m.nnet"), read_model),
    "array-npy": lambda: Target(partial(_npy, held=seeds.npy_files()), read_array),
    "array-npz": lambda: Target(_zips(seeds.npz_files(), "y.npz"), read_array),
    "array-csv": lambda: Target(_texts(seeds.TABLES, "y.csv"), read_array),
    "array-hdf5": lambda: Target(
        _hdf5([(one, None) for one in seeds.hdf5_datasets()], "y.h5"), read_array
    ),
    "constraints": lambda: Target(
        _texts(seeds.RELATIONS, "c.txt"),
        lambda path, _: arrays.read_constraints(path) and None,
    ),
    "bounds": lambda: Target(
        _texts(seeds.BOUNDS, "b.csv"), lambda path, _: arrays.read_bounds(path) and None
    ),
    "scaler-npz": lambda: Target(
        _zips(seeds.scaler_npz(), "s.npz"), lambda path, _: read_scaler(path, "s") and None
    ),
    "scaler-csv": lambda: Target(
        _texts(seeds.SCALERS, "s.csv"), lambda path, _: read_scaler(path, "s") and None
    ),
}
"""By the names that the command line takes."""
