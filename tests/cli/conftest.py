"""Small models and data in a folder of their own, which is the current one."""

import numpy as np
import pytest
from cli_runner import READ, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(folder, rng):
    """m.npz: 3 -> 3 -> 3, tanh between; x.npy and y.npy belong together."""
    weights = {
        "W1": rng.standard_normal((3, 3)) + 2 * np.eye(3),
        "b1": rng.standard_normal(3),
        "W2": rng.standard_normal((3, 3)) + 2 * np.eye(3),
        "b2": rng.standard_normal(3),
    }
    np.savez(folder / "w.npz", **weights)
    x = 0.3 * rng.standard_normal((4, 3))
    hidden = np.tanh(x @ weights["W1"].T + weights["b1"])
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", hidden @ weights["W2"].T + weights["b2"])
    return folder


@pytest.fixture
def model(tiny):
    """The same as m.h5, which says everything itself."""
    assert run("convert", "w.npz", *READ, "-o", "m.h5").code == 0
    return tiny
