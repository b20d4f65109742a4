"""Keras architectures with wrong values end in an error of ours, whatever value it was."""

import json
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import NninvertError

DATA = Path(__file__).parents[1] / "formats" / "data"
TRIES = 40

WRONG = [
    *(None, True, 0, 1, -1, 3, 10**12, 2**63, 1e300, 0.5, float("nan")),
    *("", "same", "causal", "channels_first", "relu", [], [0], [1, 2], [[1, 2]], [[]]),
    *({}, {"class_name": "Dense"}, [None, 1], [1, 2, 3, 4, 5], ["start", 0, 0]),
]


@pytest.fixture(autouse=True)
def little_memory():
    """Sizes that a file claims must not be believed."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


UNREAD = ("initializer", "regularizer", "constraint")


def _places(value, way=()):
    """Every place in parsed JSON that any reader looks at."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        if str(key).endswith(UNREAD):
            continue
        yield (*way, key)
        if isinstance(item, dict | list):
            yield from _places(item, (*way, key))


def _spoilt(config, chance):
    """A copy with one or two values replaced, or left out."""
    config = json.loads(json.dumps(config))
    for _ in range(chance.randint(1, 2)):
        *way, last = chance.choice(list(_places(config)))
        holder = config
        for key in way:
            holder = holder[key]
        if isinstance(holder, dict) and chance.random() < 0.2:
            del holder[last]
        else:
            holder[last] = chance.choice(WRONG)
    return config


def _survives(path):
    for attempt in (formats.load, formats.describe):
        with suppress(NninvertError):
            attempt(str(path))


@pytest.mark.parametrize(
    "name", ["keras1_tf_merges", "tf215_images", "tf215_nested", "tf215_operations"]
)
def test_graphs_in_hdf5(name, tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes((DATA / f"{name}.h5").read_bytes())
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    chance = random.Random(1)
    for _ in range(TRIES):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(_spoilt(config, chance))
        _survives(path)


@pytest.mark.parametrize("name", ["keras3_images", "keras3_operations", "keras3_shared"])
def test_graphs_in_archives(name, tmp_path):
    with zipfile.ZipFile(DATA / f"{name}.keras") as archive:
        members = {key: archive.read(key) for key in archive.namelist()}
    config = json.loads(members["config.json"])
    chance = random.Random(2)
    for _ in range(TRIES):
        members["config.json"] = json.dumps(_spoilt(config, chance)).encode()
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as made:
            for key, content in members.items():
                made.writestr(key, content)
        _survives(tmp_path / "m.keras")


@pytest.mark.parametrize("vintage", ["keras1_theano", "keras3"])
def test_layers_in_every_variant(vintage, tmp_path):
    """The arrays are missing; what a configuration claims is judged without them."""
    about = json.loads(np.load(DATA / f"{vintage}_layers.npz")["about"].tobytes())
    chance = random.Random(3)
    for _ in range(3 * TRIES):
        case = chance.choice(about["cases"])
        with h5py.File(tmp_path / "m.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(_spoilt(case["config"], chance))
            file.attrs["keras_version"] = "1.2.2" if vintage == "keras1_theano" else "3.15"
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = np.array([], dtype="S1")
        _survives(tmp_path / "m.h5")
