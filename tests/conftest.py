"""What every test runs under: strict floating point, a fixed terminal, fixed seeds."""

import os
from collections.abc import Iterator

# Small products are what the tests compute: threads would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

# Read by rich and typer when they are imported, so this cannot wait for a fixture.
for _name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH"):
    os.environ.pop(_name, None)
os.environ |= {"NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}

# Continuous integration judges a change, not luck: it draws the same cases every time.
hypothesis.settings.register_profile(
    "nninvert", deadline=None, max_examples=50, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("nninvert")


@pytest.fixture(autouse=True)
def strict_floating_point() -> Iterator[None]:
    """Overflow, division by zero and invalid operations are errors."""
    options = np.get_printoptions()
    np.set_printoptions(precision=17, linewidth=88, legacy=False)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield
    np.set_printoptions(**options)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20250717)
