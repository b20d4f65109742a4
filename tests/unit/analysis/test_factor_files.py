"""Factors of large layers in files, by the library."""

import numpy as np
import pytest
from problems import conditioned, network

import nninvert
from nninvert import tolerances
from nninvert.analysis.factor_files import conclude, unfinished
from nninvert.context import Context, Disk, Notice
from nninvert.errors import InputError, OutOfTime, UsageError
from nninvert.linalg.panels import workspace
from nninvert.linalg.panels.workspace import Workspace

N = 40


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    """Matrices of order 40 count as large, and every folder as a disk."""
    monkeypatch.setattr(tolerances, "SVD_WORK", 1e4)
    monkeypatch.setattr(workspace, "_MEMORY_FILESYSTEMS", ())


@pytest.fixture
def net(rng):
    return network(conditioned(N, 10.0, rng), "tanh", conditioned(N, 10.0, rng))


@pytest.fixture
def y(net, rng):
    return net.forward(0.3 * rng.standard_normal((2, N)))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "net.factors")


def test_factor_once_solve_many(net, y, path):
    kept = nninvert.factor(net, path)
    assert (kept.path, kept.seconds > 0.0) == (path, True)
    told = []
    with nninvert.Session(net, Context(listener=told.append), path) as session:
        found = session.invert(y)
        session.check()
    texts = [event.text for event in told if isinstance(event, Notice)]
    assert texts.count("factors of order 40 taken from the file") == 2
    assert found.solved.all()
    np.testing.assert_allclose(net.forward(found.x), y, atol=1e-12)


def test_weights_that_are_scaled_on_the_way_are_known_again(path, rng):
    scales = 10.0 ** np.linspace(-30.0, 30.0, N)
    net = network(scales[:, None] * conditioned(N, 10.0, rng))
    y = net.forward(0.3 * rng.standard_normal((2, N)))
    nninvert.factor(net, path)
    with nninvert.Session(net, factors=path) as session:
        assert session.invert(y).solved.all()


def test_rows_are_known_before_the_plan(net, y):
    context = Context()
    nninvert.invert(net, y, context=context)
    assert context.rows == 2


def test_a_context_that_is_handed_in_stays_open(net, y, path):
    context = Context(disk=Disk(output=path))
    nninvert.check(net, context=context)
    assert len(context.factors) == 2
    assert context.peek(Workspace) is not None
    kept = conclude(context)
    assert kept is not None
    assert kept.path == path
    context.close()


def test_own_contexts_are_closed(net, y, monkeypatch):
    closed = []
    monkeypatch.setattr(Context, "close", lambda context: closed.append(context))
    nninvert.invert(net, y)
    nninvert.check(net)
    with nninvert.Session(net):
        pass
    assert len(closed) == 3


def test_a_session_closes_its_own_context_after_an_error(net, monkeypatch):
    closed = []
    monkeypatch.setattr(Context, "close", lambda context: closed.append(context))
    with pytest.raises(KeyError), nninvert.Session(net):
        raise KeyError
    assert len(closed) == 1


def test_nothing_is_concluded_where_nothing_was_made(net):
    context = Context()
    assert conclude(context) is None
    assert context.peek(Workspace) is None
    assert nninvert.check(net).kept is None


def test_verify_compares_all_weights(net, path, tmp_path):
    large = np.random.default_rng(1).standard_normal((1500, 1500)).astype(np.float32)
    first = network(large)
    nninvert.factor(first, path)
    # The fingerprint is a sample; this entry is not in it.
    changed = large.copy()
    changed[3, 700] += 1.0
    other = network(changed)
    # Were it in the sample, this would be refused, and the test would show nothing.
    with Context(disk=Disk(factors=path)) as context:
        context.shared(Workspace).require(
            [layer.matrix.transposed for layer in _dense(other)]
        )
    with (
        Context(disk=Disk(factors=path, verify=True)) as context,
        pytest.raises(InputError, match="differ from those which were factored"),
    ):
        nninvert.invert(other, np.zeros(1500), context=context)


def _dense(net):
    return [node.layer for node in net.graph.leaves()]


def test_other_weights_are_refused(net, path, rng, y):
    nninvert.factor(net, path)
    other = network(conditioned(N, 10.0, rng), "tanh", conditioned(N, 10.0, rng))
    with pytest.raises(InputError, match="factors of other weights"):
        nninvert.Session(other, factors=path).invert(y)


def test_nothing_large_is_refused(path, rng):
    with pytest.raises(UsageError, match="no layer that is large"):
        nninvert.factor(network(conditioned(3, 2.0, rng)), path)


def test_unfinished_work_is_told(net, path):
    assert unfinished(Disk()) == ""
    assert unfinished(Disk(output=path)) == ""
    with (
        Context(time_limit=1e-9, disk=Disk(output=path)) as context,
        pytest.raises(OutOfTime),
    ):
        nninvert.factor(net, path, context)
    # No panel was finished: nothing is left.
    assert unfinished(Disk(output=path)) == ""
