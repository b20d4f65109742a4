"""Reference frameworks: imported where they are installed, quiet, with their tests skipped
where they are not.

With NNINVERT_REQUIRE_ORACLES=1 in the environment a missing framework is an error, so that
a run meant to compare cannot pass by comparing nothing.
"""

import contextlib
import importlib
import importlib.util
import os
import warnings

import numpy as np
import pytest

BACKENDS = ("tensorflow", "torch", "jax")
"""Of Keras 3, the ones that keep float64 first."""


@contextlib.contextmanager
def framework_at_work():
    """Frameworks warn and round as they like: neither concerns the tests of nninvert."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def framework(name):
    """The module `name`; without it the test is skipped, or fails where it must not be."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if name == "keras":
        for backend in BACKENDS:
            if importlib.util.find_spec(backend):
                os.environ.setdefault("KERAS_BACKEND", backend)
    with framework_at_work():
        if os.environ.get("NNINVERT_REQUIRE_ORACLES") == "1":
            return importlib.import_module(name)
        return pytest.importorskip(name)
