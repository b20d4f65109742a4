"""What is planned, and what is refused before the work."""

from dataclasses import replace

import numpy as np
import pytest
from problems import conditioned, dense, network
from scipy import sparse

from nninvert import tolerances
from nninvert.analysis import planning
from nninvert.analysis.planning import (
    announce,
    announce_structure,
    factored_matrices,
    forecast,
    large_layers,
    require_room,
    weighted_layers,
)
from nninvert.context import Context, Disk, Notice
from nninvert.errors import MachineError, UsageError
from nninvert.formats import from_arrays
from nninvert.layers import Dense
from nninvert.linalg.panels import workspace
from nninvert.linalg.plan import SLACK

N = 40


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    """Matrices of order 40 count as large, and every folder as a disk."""
    monkeypatch.setattr(tolerances, "SVD_WORK", 1e4)
    monkeypatch.setattr(workspace, "_MEMORY_FILESYSTEMS", ())


@pytest.fixture
def square(rng):
    return conditioned(N, 10.0, rng)


def engines(net, **options):
    return [layer.engine for layer in forecast(net, Context(**options)).layers]


def test_small_layers_are_counted_not_planned(rng, square):
    net = network(conditioned(3, 2.0, rng), np.ones((N, 3)), "tanh", square)
    made = forecast(net, Context())
    assert (made.small, [layer.shape for layer in made.layers]) == (2, [(N, N)])
    nothing = forecast(network(conditioned(3, 2.0, rng)), Context())
    assert (nothing.layers, nothing.machine, nothing.room) == ((), None, None)


def test_layers_are_found_wherever_they_are(rng, square):
    repeated = Dense((2, N), dense(square).matrix, None)
    net = network(repeated, shape=(2, N))
    assert [found.shape for found in weighted_layers(net)] == [(N, N)]
    again = network(square, "tanh").repeat(3)
    assert len(weighted_layers(again)) == 1


def test_engines_by_shape_and_by_wish(rng, square):
    tall = network(rng.standard_normal((2 * N, N)))
    assert engines(network(square)) == ["panel"]
    assert engines(network(square), engine="lapack") == ["lapack"]
    assert engines(network(square), engine="iterative") == ["iterative"]
    assert engines(tall) == ["qr"]
    assert engines(tall, engine="iterative") == ["iterative"]
    assert engines(tall, memory=SLACK) == ["iterative"]
    with pytest.raises(UsageError, match="--engine"):
        engines(network(square), engine="magic")


def sparse_layer(matrix):
    return from_arrays([(matrix.tocsr(), None, None)])


def test_sparse_layers_by_their_pattern(rng):
    n = 400
    off = np.full(n - 1, 2.0)
    band = sparse_layer(sparse.diags_array([off, np.ones(n), off], offsets=[-1, 0, 1]))
    (planned,) = forecast(band, Context()).layers
    assert (planned.engine, planned.precision) == ("band", "float64")
    assert "1 diagonals below" in planned.why
    assert planned.memory < 2 * SLACK
    assert engines(band, memory=1000) == ["iterative"]
    scattered = sparse.random_array((n, n), density=0.02, rng=rng)
    assert engines(sparse_layer(scattered + sparse.eye_array(n))) == ["sparse"]
    assert engines(sparse_layer(scattered[:100])) == ["iterative"]


def test_memory_disk_and_time_are_sums(rng, square):
    larger = conditioned(2 * N, 10.0, rng)
    net = network(square, "tanh", rng.standard_normal((2 * N, N)), "tanh", larger)
    context = Context(disk=Disk(output="f.factors"))
    made = forecast(net, context)
    assert [layer.engine for layer in made.layers] == ["panel", "qr", "panel"]
    assert made.memory == sum(layer.memory for layer in made.layers)
    assert made.disk == made.layers[0].disk + made.layers[2].disk
    assert made.layers[2].disk > 3 * made.layers[0].disk > 0
    assert made.seconds == pytest.approx(sum(layer.seconds for layer in made.layers))


def test_more_targets_take_longer(square):
    one, many = (forecast(network(square), Context(rows=k)) for k in (1, 10_000))
    assert many.rows == 10_000
    assert many.seconds > one.seconds
    assert many.memory > one.memory


def test_what_an_earlier_run_has_reserved_counts_as_room(square, tmp_path):
    place = tmp_path / "f.factors"
    context = Context(disk=Disk(output=str(place)))
    before = forecast(network(square), context).room
    (tmp_path / "f.factors.part").write_bytes(bytes(1 << 24))
    after = forecast(network(square), context).room
    # The disk is used by others, too.
    assert abs(after - before) < 1 << 23


def test_room_is_required(square, tmp_path, monkeypatch):
    context = Context(disk=Disk(output=str(tmp_path / "f.factors")))
    made = forecast(network(square), context)
    require_room(made)
    assert made.has_room
    full = replace(made, room=made.disk - 1)
    assert not full.has_room
    with pytest.raises(MachineError, match="free on this disk"):
        require_room(full)
    monkeypatch.setattr(planning.os, "access", lambda folder, mode: False)
    with pytest.raises(MachineError, match="cannot be written to"):
        require_room(made)


def test_no_room_is_required_in_memory(square):
    made = forecast(network(square), Context(disk=Disk(scratch="no/such/folder/f")))
    assert (made.place, made.room) == ("", None)
    require_room(made)


def test_what_goes_into_a_factor_file(rng, square):
    net = network(square, "tanh", np.ones((3, N)), "tanh", conditioned(3, 2.0, rng))
    (matrix,) = factored_matrices(net)
    assert matrix.column_major
    assert matrix.shape == (N, N)
    turned = network(dense(square.T).matrix.transposed.to_float64())
    assert len(factored_matrices(turned)) == 1


def test_announcements(square, rng):
    told = []
    context = Context(listener=told.append)
    net = network(square, "tanh", rng.standard_normal((2 * N, N)))
    announce_structure(net, context)
    announce(forecast(net, context), context)
    texts = [event.text for event in told if isinstance(event, Notice)]
    assert texts[0].startswith("structure: ")
    assert texts[1].startswith("layer 0 'layer_0': 40 x 40 float64, square; ")
    assert "80 x 40 float64, not square; QR" in texts[2]


def test_a_small_network_announces_nothing(rng):
    told = []
    announce_structure(network(conditioned(3, 2.0, rng)), Context(listener=told.append))
    assert told == []
    assert large_layers(network(conditioned(3, 2.0, rng))) == 0
