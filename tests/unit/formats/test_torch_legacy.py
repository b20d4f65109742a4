"""PyTorch files from before the zip: the same tensors as in the newer ones."""

from pathlib import Path

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, NninvertError
from nninvert.formats import ReadOptions
from nninvert.formats.torch_legacy import TorchLegacy
from nninvert.formats.torch_zip import TorchZip

DATA = Path(__file__).parents[2] / "formats" / "data"


@pytest.mark.parametrize("name", ["torch_sequential", "torch_checkpoint"])
def test_the_same_tensors_as_in_the_zip(name):
    old = formats.describe(str(DATA / f"{name}_legacy.pt"), ReadOptions("tanh"))
    new = formats.describe(str(DATA / f"{name}.pt"), ReadOptions("tanh"))
    assert [layer.name for layer in old.layers] == [layer.name for layer in new.layers]
    x = np.linspace(-1.0, 1.0, 5)[
        : formats.load(str(DATA / f"{name}.pt"), ReadOptions("tanh")).n_in
    ]
    found, wanted = (
        formats.load(str(DATA / f"{name}{end}.pt"), ReadOptions("tanh")).forward(x[None])
        for end in ("_legacy", "")
    )
    assert np.array_equal(found, wanted)


def test_recognised_by_its_first_pickle():
    head = (DATA / "torch_sequential_legacy.pt").read_bytes()[:512]
    assert TorchLegacy().sniff(head, "m.pt")
    assert not TorchZip().sniff(head, "m.pt")


@pytest.mark.parametrize("end", [40, 700, -1])
def test_cut_off(tmp_path, end):
    content = (DATA / "torch_sequential_legacy.pt").read_bytes()
    path = tmp_path / "m.pt"
    path.write_bytes(content[:end])
    with pytest.raises(FormatError):
        formats.load(str(path), ReadOptions("tanh"))


def test_damaged_bytes(tmp_path, rng):
    content = (DATA / "torch_checkpoint_legacy.pt").read_bytes()
    path = tmp_path / "m.pt"
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            formats.load(str(path), ReadOptions("tanh"))
        except NninvertError:
            refused += 1
    assert refused > 100
