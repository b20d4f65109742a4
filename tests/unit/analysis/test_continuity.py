"""Jumps are told from the branches of an activation; layers of users may have some."""

import numpy as np
import pytest
from strategies import LOSING, ONE_TO_ONE

from nninvert.analysis.continuity import joins
from nninvert.layers.activations import activation_from_text


@pytest.mark.parametrize(
    ("name", "continuous"),
    [
        ("relu", True),
        ("tanh", True),
        ("gelu", True),
        ("leaky_relu:-1", True),
        ("elu:-1", True),
        ("hard_sigmoid:1/6", True),
        ("soft_shrink", True),
        ("hard_shrink", False),
        ("thresholded_relu", False),
        ("thresholded_relu:-1", False),  # A jump, but its image has no gap.
        ("threshold:0:5", False),
        ("threshold:1:1", True),
        ("relu:0.5:9:1", False),
    ],
)
def test_continuity_is_told_from_the_ends_of_branches(name, continuous):
    assert joins(activation_from_text(name)) == continuous


@pytest.mark.parametrize("name", ["relu", *LOSING, *ONE_TO_ONE])
def test_continuity_agrees_with_values(name):
    activation = activation_from_text(name)
    z = np.linspace(-6.0, 6.0, 120_001)
    jump = np.abs(np.diff(activation.forward(z))).max()
    assert joins(activation) == (jump < 0.1)
