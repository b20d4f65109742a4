"""The smallest changes, sentence by sentence."""

import numpy as np
import pytest
from problems import network

from nninvert.analysis.advice import smallest_changes
from nninvert.analysis.findings import layer_findings
from nninvert.context import Context
from nninvert.layers import LogSoftmax, Normalization, PReLU, Rescaling, Softmax


def advice(*parts, shape=None, quick=False):
    net = network(*parts, shape=shape)
    return smallest_changes(net, layer_findings(net, Context(), quick=quick))


def full(m, n, seed=3):
    return np.random.default_rng(seed).standard_normal((m, n))


def test_an_invertible_network_needs_none():
    assert advice(full(3, 3), "tanh", full(3, 3)) == ()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("relu", "leaky_relu"),
        ("gelu", "elu"),
        ("hard_tanh", "tanh"),
        ("hard_sigmoid:1/6", "sigmoid"),
        ("hard_shrink", "tanh_shrink"),
        ("elu:-1", "a strictly monotone one"),
    ],
)
def test_activations_to_replace(name, instead):
    old = name.split(":")[0]
    assert advice(full(2, 2), name) == (f"{old} -> {instead} in layer 1",)


def test_one_sentence_for_all_layers_of_a_kind():
    assert advice(full(2, 2), "relu", full(2, 2), "gelu", full(2, 2), "relu") == (
        "relu -> leaky_relu in layers 1, 5",
        "gelu -> elu in layer 3",
    )


@pytest.mark.parametrize("layer", [Softmax, LogSoftmax])
def test_keep_the_logits(layer):
    assert advice(full(3, 3), layer((3,), -1)) == (
        f"{layer.kind} -> linear (keep the logits) in layer 1",
    )


def test_prelu_only_where_slopes_are_not_positive():
    assert advice(PReLU((2,), np.array([0.1, 0.2]))) == ()
    assert advice(PReLU((2,), np.array([0.1, 0.0]))) == (
        "prelu -> prelu with slopes above 0 in layer 0",
    )


FEWER = (
    "the outputs are fewer than the inputs ({} < {}): more of them, or fewer inputs "
    "(--fix), for a unique answer"
)


def test_hidden_widths_and_outputs():
    assert advice(full(4, 10), "tanh", full(3, 4), "tanh") == (
        "width 4 -> 10 in layer 0",
        FEWER.format(3, 10),
    )


def test_hidden_widths_of_a_linear_run_are_no_outputs():
    assert advice(full(4, 8), full(8, 4)) == ("width 4 -> 8 in layer 0",)
    assert advice(full(4, 10), full(3, 4)) == (
        "width 4 -> 10 in layer 0",
        FEWER.format(3, 10),
    )


def test_scalers_at_the_end_change_no_widths():
    scale = Rescaling((2,), np.ones(2), np.zeros(2))
    assert advice(full(2, 3), "tanh", scale) == (FEWER.format(2, 3),)


def test_widths_are_told_from_structure_alone():
    assert advice(full(2, 4), "tanh", full(4, 2), quick=True) == (
        "width 2 -> 4 in layer 0",
    )


def test_networks_without_weights():
    shift = Normalization((2,), np.zeros(2), np.ones(2), (0,), False)
    assert advice(shift, "relu") == ("relu -> leaky_relu in layer 1",)
    assert advice("relu", shape=(2,)) == ("relu -> leaky_relu in layer 0",)


def test_lost_ranks():
    assert advice(np.diag([1.0, 0.0, 1.0]), "tanh") == (
        "train layer 0 again without the pruned or dependent units (rank 2 of 3)",
    )
