"""Numbers that grow beyond float64 on the way are no warnings, and no answers."""

import nets
import numpy as np
import pytest

import nninvert


@pytest.mark.parametrize("name", ["deep-elu-random-1", "deep-elu-trained-1"])
def test_multipliers_without_bound(name):
    # Layers of these have targets that no input of the box gives: their multipliers grow
    # until squares overflow.
    case = nets.named(name)
    y, _ = nets.targets(case, 20)
    found = nninvert.invert(case.network, y, method="pinv")
    assert np.isfinite(found.x).all()
