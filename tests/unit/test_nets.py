"""The test nets are what they are said to be: flat units, training, targets."""

import nets
import numpy as np
import pytest

from nninvert.layers.activations import activation_from_text

EVERY = [f"{a}-{f}" for a in nets.ARCHITECTURES for f in nets.ACTIVATIONS]
SOME = [f"{a}-{f}" for a, f in zip(nets.ARCHITECTURES, nets.ACTIVATIONS, strict=False)]


def flat_share(case):
    """The share of hidden units whose slope is small for at least 90 % of the inputs."""
    value = np.random.default_rng(5).standard_normal((1000, case.network.n_in))
    function = activation_from_text(nets.ACTIVATIONS[case.activation][0])
    steepest = 0.25 if case.activation == "sigmoid" else 1.0
    flat = []
    for matrix, bias in nets.affine_parts(case.network)[:-1]:
        z = value @ matrix.T + bias
        small = np.abs(function.derivative(z)) <= nets.FLAT * steepest
        flat.append(small.mean(axis=0) >= nets.MOSTLY)
        value = function.forward(z)
    return np.concatenate(flat).mean()


@pytest.mark.parametrize("name", EVERY)
def test_a_tenth_to_three_tenths_of_random_units_are_saturated_or_dead(name):
    for seed in (0, 4):
        assert 0.1 <= flat_share(nets.named(f"{name}-random-{seed}")) <= 0.3


@pytest.mark.parametrize("name", SOME)
def test_training_learns_its_task(name):
    case = nets.named(f"{name}-trained-0")
    net = case.network
    task = nets.task(case.name, net.n_in, net.n_out, case.output)
    x = np.random.default_rng(5).standard_normal((1000, net.n_in))
    error = np.square(net.forward(x) - task(x)).mean()
    assert error < 0.9 * task(x).var(axis=0).mean()


@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax"])
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_training_follows_the_slopes_of_its_loss(activation, output, rng):
    """Half the mean over the rows of the squared error, by central differences."""
    function = activation_from_text(nets.ACTIVATIONS[activation][0])
    parts = nets.WEIGHTS["random"]("any", [3, 5, 5, 2], activation, output)
    x, wanted = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))

    def loss(flat):
        value, used = x, 0
        for k, (matrix, bias) in enumerate(parts):
            a = flat[used : used + matrix.size].reshape(matrix.shape)
            b = flat[used + matrix.size : used + matrix.size + bias.size]
            used += matrix.size + bias.size
            value = value @ a.T + b
            value = function.forward(value) if k < 2 else nets._ending(output, value)
        return 0.5 * np.square(value - wanted).sum() / 4

    flat = np.concatenate([a.ravel() for part in parts for a in part])
    steps = 1e-6 * np.eye(flat.size)
    expected = [(loss(flat + d) - loss(flat - d)) / 2e-6 for d in steps]
    found = nets._gradients(parts, function, output, x, wanted)
    found = np.concatenate([g.ravel() for g in found])
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("kind", nets.WEIGHTS)
def test_the_name_decides_everything(kind):
    name = f"narrow-elu-{kind}-1"
    first, second = nets.named(name), nets.named(name)
    for left, right in zip(
        nets.affine_parts(first.network), nets.affine_parts(second.network), strict=True
    ):
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])
    for make in (nets.targets, lambda case, rows: vars(nets.unreachable(case, rows))["y"]):
        np.testing.assert_array_equal(make(first, 3)[0], make(second, 3)[0])


def test_seeds_give_different_nets():
    y = [nets.targets(nets.named(f"square-tanh-random-{s}"), 1)[0].sum() for s in range(5)]
    assert len(set(y)) == 5


def test_every_combination_comes_once():
    names = nets.names(2)
    assert len(set(names)) == len(names) == len(EVERY) * 2
    assert next(nets.nets(2)).name == names[0] == "one-tanh-random-2"


def test_sets_are_kept_apart():
    assert not set(nets.SEEDS["development"]) & set(nets.SEEDS["held_out"])
    with pytest.raises(ValueError, match="1000"):
        nets.names(1000)
    with pytest.raises(ValueError, match="development has"):
        nets.names(1000, "development")


@pytest.mark.parametrize("name", SOME)
def test_reachable_targets_are_values_of_the_plain_formula(name):
    case = nets.named(f"{name}-random-3")
    y, x0 = nets.targets(case, 4)
    function = activation_from_text(nets.ACTIVATIONS[case.activation][0])
    *hidden, last = nets.affine_parts(case.network)
    value = x0
    for matrix, bias in hidden:
        value = function.forward(value @ matrix.T + bias)
    value = value @ last[0].T + last[1]
    if case.output == "softmax":
        value = np.exp(value) / np.exp(value).sum(axis=1, keepdims=True)
    else:
        value = activation_from_text(case.output).forward(value)
    np.testing.assert_allclose(y, value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", EVERY)
def test_unreachable_targets_are_missed_by_random_inputs(name):
    """By more than the least margin of 1e-4, in the sense that each `why` means."""
    case = nets.named(f"{name}-random-0")
    asked = nets.unreachable(case, 3)
    x = 3.0 * case.rng.uniform(-1.0, 1.0, (500, case.network.n_in))
    y = case.network.forward(x)
    if asked.why == "sums to more than 1":
        assert (asked.y.sum(axis=1) > 1.00005).all()
    elif asked.why == "off the plane of the outputs":
        matrix, bias = nets.affine_parts(case.network)[-1]
        away = asked.y - bias
        away -= (away @ np.linalg.qr(matrix)[0]) @ np.linalg.qr(matrix)[0].T
        size = np.linalg.norm(asked.y, axis=1)
        assert (np.linalg.norm(away, axis=1) > 0.5e-4 * size).all()
    else:
        top = np.ones(case.network.n_out) if case.output != "linear" else y.max(axis=0)
        assert (asked.y > top).any(axis=1).all()


def test_all_reasons_for_being_out_of_reach_occur():
    cases = [nets.named(f"{name}-random-0") for name in EVERY]
    assert len({nets.unreachable(case, 1).why for case in cases}) == 4
