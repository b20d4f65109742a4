"""The conditions that conftest.py promises to every test hold."""

import os
import warnings

import numpy as np
import pytest


@pytest.mark.parametrize(
    "operation",
    [
        lambda: np.array([1.0]) / np.array([0.0]),
        lambda: np.array([1e308]) * 10.0,
        lambda: np.sqrt(np.array([-1.0])),
    ],
)
def test_floating_point_errors_raise(operation):
    with pytest.raises(FloatingPointError):
        operation()


def test_underflow_is_left_alone():
    assert np.array([1e-308]) * 1e-308 == 0.0


def test_warnings_are_errors():
    with pytest.raises(UserWarning):
        warnings.warn("seen", UserWarning, stacklevel=1)


def test_generator_is_seeded(rng):
    assert rng.random() == np.random.default_rng(20250717).random()


def test_terminal_is_fixed():
    assert (os.environ["COLUMNS"], os.environ["NO_COLOR"]) == ("80", "1")
