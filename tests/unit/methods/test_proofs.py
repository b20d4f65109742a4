"""Proofs for the rows of a problem."""

import numpy as np
from problems import network

from nninvert.methods.proofs import proofs
from nninvert.methods.question import ask
from nninvert.outcome import Proof


def prove(net, y, tolerance=1e-9, **options):
    problem = ask(net, np.asarray(y, dtype=np.float64), **options)
    return proofs(problem, np.full(problem.targets.values.shape, tolerance))


CHAIN = network(np.eye(2), "tanh", np.eye(2), "tanh")


def test_kinds():
    y = [[0.1, 0.1], [0.9, 0.1], [1.5, 0.1]]
    assert prove(CHAIN, y) == (Proof.NONE, Proof.PULL_BACK, Proof.OUTPUT_RANGE)


def test_no_rows_no_proofs():
    problem = ask(CHAIN, np.zeros((1, 2))).take(np.array([], dtype=np.int64))
    assert proofs(problem, np.zeros((0, 2))) == ()


def test_bounds():
    y = CHAIN.forward(np.array([[0.5, 0.0], [1.5, 0.0]]))
    assert prove(CHAIN, y, upper=1.0) == (Proof.NONE, Proof.BOUNDS)
    assert prove(CHAIN, y) == (Proof.NONE, Proof.NONE)


def test_bounds_prove_nothing_within_the_tolerance():
    y = CHAIN.forward(np.array([[1.0 + 1e-6, 0.0]]))
    assert prove(CHAIN, y, upper=1.0) == (Proof.BOUNDS,)
    assert prove(CHAIN, y, upper=1.0, tolerance=1e-3) == (Proof.NONE,)


def test_bounds_prove_nothing_where_other_inputs_do():
    wide = network(np.array([[1.0, 1.0]]), "tanh")
    y = wide.forward(np.array([[0.5, 0.5]]))
    assert prove(wide, y, fix={0: 0.9}) == (Proof.NONE,)
    folded = network("leaky_relu:-1", shape=(1,))
    assert prove(folded, [[2.0]], upper=0.0) == (Proof.NONE,)


def test_bounds_prove_nothing_through_ill_conditioned_layers():
    net = network(np.diag([1.0, 1e-12]))
    assert prove(net, [[2.0, 0.0]], upper=1.0) == (Proof.NONE,)
    assert prove(network(np.eye(2)), [[2.0, 0.0]], upper=1.0) == (Proof.BOUNDS,)


def test_outputs_that_do_not_matter_prove_nothing():
    assert prove(CHAIN, [[0.1, np.nan]], nan_is_free=True) == (Proof.NONE,)
    assert prove(CHAIN, [[1.5, np.nan]], nan_is_free=True) == (Proof.OUTPUT_RANGE,)
