"""What is found about each layer by itself."""

import numpy as np
import pytest
from problems import conditioned, dense, hilbert, network, with_singular_values

from nninvert import tolerances
from nninvert.analysis.findings import layer_findings
from nninvert.context import Context, Progress
from nninvert.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    Graph,
    Node,
    Reshape,
    Softmax,
)
from nninvert.linalg.stored import ArrayMatrix
from nninvert.network import Network
from nninvert.outcome import Kind


def findings(*parts, shape=None, quick=False):
    return layer_findings(network(*parts, shape=shape), Context(), quick=quick)


def test_a_dense_layer(rng):
    values = np.array([4.0, 2.0, 0.5])
    kernel = with_singular_values(values, (5, 3), rng)
    found = findings(dense(kernel, np.zeros(5)))[0]
    assert (found.index, found.name, found.label) == ("0", "layer_0", "Dense")
    assert (found.input_shape, found.output_shape) == ((3,), (5,))
    assert found.activation == ""
    assert found.parameters == 20
    assert found.square is False
    assert (found.rank, found.full_rank, found.rank_stored) == (3, 3, 3)
    assert found.largest == pytest.approx(4.0)
    assert found.smallest == pytest.approx(0.5)
    assert found.condition.value == pytest.approx(8.0)
    assert (found.condition.kind, found.condition.norm) == (Kind.EXACT, "2")
    assert found.one_to_one is True
    assert found.reason == ""


def test_an_activation_of_the_same_layer_belongs_to_it():
    nodes = [
        Node(dense(np.eye(2)), "0", "hidden", "Dense"),
        Node(network("relu", shape=(2,)).graph.nodes[0].layer, "0", "hidden", "Dense"),
        Node(Softmax((2,), -1), "1", "out", "Softmax"),
    ]
    net = Network.of_graph(Graph((2,), nodes))
    hidden, out = layer_findings(net, Context(), quick=False)
    assert hidden.activation == "relu"
    assert hidden.rank == 2
    assert hidden.one_to_one is False
    assert hidden.reason == "relu is constant on (-inf, 0]: what lies there is lost"
    assert out.activation == "softmax"
    assert out.square is out.rank is out.condition is out.largest is None
    assert out.one_to_one is False


def test_a_wide_layer_says_how_much_it_loses():
    found = findings(np.eye(2, 5))[0]
    assert found.one_to_one is False
    assert found.reason == "maps 5 numbers to 2: at least 3 directions of x are lost"


def test_zero_rows_and_columns_of_a_kernel_are_named(rng):
    a = conditioned(9, 2.0, rng)
    a[:, [1, 4]] = 0.0
    a[3] = 0.0
    found = findings(a)[0]
    assert found.rank == 6 or found.rank == 7
    assert "rank 7 of 9" in found.reason
    assert "; row 1, 4 of its kernel is zero: what comes in there is never read" in (
        found.reason
    )
    assert found.reason.endswith("; column 3 of its kernel is zero: constant outputs")


def test_many_zero_rows_are_counted():
    found = findings(np.diag([1.0, *np.zeros(7)]))[0]
    assert "row 1, 2, 3, 4, 5, ... (7 in all) of its kernel is zero" in found.reason


def test_low_rank_without_zero_rows_is_only_a_rank():
    found = findings(np.ones((3, 3)))[0]
    assert found.reason.startswith("rank 1 of 3 (smallest singular value ")
    assert "kernel" not in found.reason


def test_gamma_zero_is_a_unit_not_a_kernel():
    parameters = {
        "mean": np.ones(3),
        "variance": np.ones(3),
        "gamma": np.array([0.0, 1.0, 0.0]),
    }
    found = findings(BatchNormalization((3,), parameters, 1e-3, (0,)))[0]
    assert (found.rank, found.full_rank) == (1, 3)
    assert found.one_to_one is False
    assert found.reason.endswith("; unit 0, 2 is multiplied by zero")


def test_the_rank_at_the_stored_precision_is_reported(rng):
    """Full rank in float64, but 1e-7 is noise where weights are stored in float16."""
    kernel = np.diag([1.0, 1e-4, 6.103515625e-05]).astype(np.float16)
    found = findings(Dense((3,), ArrayMatrix(kernel), None))[0]
    assert (found.rank, found.rank_stored) == (3, 1)
    assert found.one_to_one is True
    assert found.reason == ("rank 1 of 3 at the precision in which the weights are stored")
    assert findings(hilbert(8))[0].rank_stored == 8
    assert findings(hilbert(8).astype(np.float32))[0].rank_stored < 8


def test_a_stored_rank_that_says_nothing_is_not_reported(rng):
    kernel = rng.standard_normal((1030, 2)).astype(np.float16)
    found = findings(Dense((2,), ArrayMatrix(kernel), None))[0]
    assert (found.rank, found.rank_stored, found.reason) == (2, None, "")


def test_quick_looks_at_shapes_only():
    square, wide = findings(np.full((2, 2), np.nan), np.eye(1, 2), quick=True)
    assert (square.square, square.full_rank) == (True, 2)
    assert square.rank is square.condition is square.largest is None
    assert square.one_to_one is None
    assert wide.one_to_one is False


@pytest.mark.parametrize(("work", "kind"), [(1e9, Kind.EXACT), (1.0, Kind.ESTIMATE)])
def test_above_the_limit_conditions_are_estimates(rng, monkeypatch, work, kind):
    monkeypatch.setattr(tolerances, "SVD_WORK", work)
    found = findings(conditioned(12, 200.0, rng))[0]
    assert found.condition.kind is kind
    assert found.condition.value == pytest.approx(200.0, rel=0.05)
    assert found.rank == found.rank_stored == 12
    assert found.one_to_one is True


def test_a_singular_matrix_above_the_limit_is_still_found(rng, monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 1.0)
    found = findings(with_singular_values(np.array([2.0, 1.0, 0.0]), (3, 3), rng))[0]
    assert found.one_to_one is False
    assert found.rank == 2


def test_layers_without_weights_are_full_rank():
    flat, tanh = findings(Reshape((2, 3), (6,)), "tanh")
    assert (flat.rank, flat.condition.value, flat.one_to_one) == (6, 1.0, True)
    assert (tanh.rank, tanh.activation, tanh.one_to_one) == (None, "tanh", True)


def test_progress_counts_the_layers():
    events = []
    net = network(np.eye(2), "tanh", np.eye(2))
    layer_findings(net, Context(listener=events.append), quick=False)
    assert events == [Progress("checking layers", k, 3) for k in range(3)]


@pytest.mark.parametrize("size", [30, 1600])
def test_inputs_that_a_convolution_never_reads_are_named(size):
    """Also where the matrix is too large to be looked at."""
    kernel = np.array([[[0.0, 2.0], [0.0, 0.0]]])
    layer = Convolution((size, 2), kernel)
    found = findings(layer)[0]
    assert found.one_to_one is False
    assert "; input 1, 3, 5, 7, 9, ..." in found.reason
    assert "; output 0, 2, 4, 6, 8, ..." in found.reason
    assert "kernel" not in found.reason
