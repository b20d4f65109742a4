"""The frameworks as fixtures, imported once."""

import pytest
from frameworks import framework


@pytest.fixture(scope="session")
def torch():
    return framework("torch")


@pytest.fixture(scope="session")
def keras():
    return framework("keras")
