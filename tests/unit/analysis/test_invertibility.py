"""Verdicts on networks for which the truth is known, and that none is ever wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import bottleneck, conditioned, dense, network, random_net
from scipy.optimize import least_squares, minimize_scalar
from strategies import LOSING, generators, nets

from nninvert import tolerances
from nninvert.analysis.invertibility import check_network
from nninvert.context import Context
from nninvert.errors import DataError
from nninvert.layers import (
    BatchNormalization,
    DenseLinearization,
    Graph,
    LayerNormalization,
    MultiHeadAttention,
    Node,
    Normalization,
    PReLU,
    Rescaling,
    RMSNormalization,
    SearchedLayer,
    Softmax,
    UnitNormalization,
)
from nninvert.layers.activations import activation_from_text
from nninvert.linalg.stored import ArrayMatrix
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.network import Network
from nninvert.outcome import Kind, RowStatus, Verdict


def check(*parts, shape=None, **options):
    return check_network(network(*parts, shape=shape), Context(), **options)


def batch_normalization(gamma):
    n = len(gamma)
    parameters = {
        "mean": np.zeros(n),
        "variance": np.ones(n),
        "gamma": np.array(gamma, dtype=np.float64),
        "beta": np.zeros(n),
    }
    return BatchNormalization((n,), parameters, 1e-3, (0,))


def signed_pairs(rng, n=2):
    """[A; -A], after which a relu loses nothing: relu(z) - relu(-z) = z."""
    a = conditioned(n, 3.0, rng)
    return np.vstack([a, -a])


# Networks whose verdict is known on paper.


def test_a_fused_widening_is_bijective(rng):
    found = check_network(bottleneck(rng), Context())
    assert found.verdict is Verdict.BIJECTIVE
    assert found.deciding is None
    assert found.sentence == "all layers are square, nonsingular and one-to-one"
    assert found.image == "(-1, 1)^32"
    assert [layer.one_to_one for layer in found.layers] == [True, False, True]


def test_a_fused_narrowing_is_singular_and_the_narrow_layer_is_named(rng):
    found = check(rng.standard_normal((4, 8)), rng.standard_normal((8, 4)))
    assert found.verdict is Verdict.SINGULAR
    assert found.deciding == ("0", "layer_0")
    assert found.sentence == (
        "layer 0 'layer_0': maps 8 numbers to 4: at least 4 directions of x are lost"
    )
    assert found.image == "a part of R^8"


def test_hidden_saturating_layers_bound_the_image(rng):
    found = check_network(random_net(rng, n=3, depth=2), Context())
    assert found.verdict is Verdict.BIJECTIVE
    assert found.image == (
        "a part of (-1, 1)^3: hidden tanh layers bound it, so not every y in range has an "
        "answer"
    )
    onto = check_network(random_net(rng, n=3, activation="leaky_relu:0.1"), Context())
    assert onto.image == "R^3"


def test_widening_is_injective(rng):
    found = check(rng.standard_normal((3, 2)), "tanh", rng.standard_normal((5, 3)))
    assert found.verdict is Verdict.INJECTIVE
    assert found.deciding == ("0", "layer_0")
    assert found.sentence == (
        "layer 0 'layer_0' widens 2 numbers to 3: most y have no answer"
    )


@pytest.mark.parametrize(
    ("last", "image"),
    [
        ("relu", "[0, inf)^2"),
        ("gelu", "[-0.169971, inf)^2"),
        ("tanh", "(-1, 1)^2"),
        ("hard_shrink", "((-inf, -0.5) or [0, 0] or (0.5, inf))^2"),
    ],
)
def test_surjective_onto_the_range_of_the_last_activation(rng, last, image):
    found = check(rng.standard_normal((2, 4)), "leaky_relu:0.1", np.eye(2), last)
    assert found.verdict is Verdict.SURJECTIVE
    assert found.image == image


def test_a_hidden_activation_that_is_not_onto_makes_nothing_surjective(rng):
    found = check(rng.standard_normal((2, 4)), "tanh", np.eye(2))
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert found.sentence == (
        "layer 0 'layer_0' maps 4 numbers to 2: at least 2 directions of x are lost. The "
        "other layers lose nothing"
    )


def test_what_is_lost_is_counted_in_inputs_of_the_network(rng):
    found = check(rng.standard_normal((32, 6)), "tanh", rng.standard_normal((3, 32)))
    assert found.deciding == ("2", "layer_2")
    assert found.sentence == (
        "layer 2 'layer_2' maps 32 numbers to 3: at least 3 directions of x are lost. The "
        "other layers lose nothing"
    )
    found = check(rng.standard_normal((8, 2)), "tanh", rng.standard_normal((5, 8)))
    assert found.sentence == (
        "layer 2 'layer_2' maps 8 numbers to 5; for the whole network it is not decided"
    )


def test_relu_between_square_layers_has_a_witness(rng):
    net = random_net(rng, activation="relu", last=False)
    found = check_network(net, Context())
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert found.deciding == ("1", "layer_1")
    assert_witness(net, found)


def test_kinks_far_from_near_are_found_by_branches(rng):
    a = conditioned(3, 4.0, rng)
    net = network(dense(a, np.array([100.0, 200.0, 300.0])), "relu", a)
    found = check_network(net, Context())
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert_witness(net, found)
    assert np.linalg.norm(found.witness.x1) > 20.0


@pytest.mark.parametrize("activation", ["gelu", "silu", "mish", "leaky_relu:-0.5"])
def test_two_branches_give_a_witness(rng, activation):
    net = random_net(rng, n=3, depth=2, activation=activation, condition=3.0, last=False)
    found = check_network(net, Context())
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert_witness(net, found)


@pytest.mark.parametrize("later", [(), ("tanh",), ("sigmoid",)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_widening_relu_that_loses_nothing_is_undecided(rng, later, scale):
    """Also where tanh rounds to 1 in float64: equal outputs are no witness then."""
    parts = [signed_pairs(rng), "relu"]
    for name in later:
        parts += [scale * conditioned(4, 5.0, rng), name]
    found = check(*parts)
    assert found.verdict is Verdict.UNDECIDED
    assert found.witness is None
    assert found.deciding == ("1", "layer_1")
    assert found.sentence.endswith("; for the whole network it is not decided")


def test_a_network_that_relu_makes_onto_is_not_called_a_part():
    """relu(x) - relu(-x) = x: neither seen, nor denied."""
    eye = np.eye(2)
    found = check(np.vstack([eye, -eye]), "relu", np.hstack([eye, -eye]))
    assert found.verdict is Verdict.UNDECIDED
    assert found.image == "R^2 or a part of it"


def test_softmax_loses_a_direction_of_a_square_net(rng):
    net = network(rng.standard_normal((3, 3)), Softmax((3,), -1))
    found = check_network(net, Context())
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert found.deciding == ("1", "layer_1")
    assert_witness(net, found)


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize("last", [Softmax((10,), -1), LayerNormalization((10,), (0,), 1.0)])
def test_a_constant_that_a_widening_does_not_reach_is_no_loss(rng, scale, last):
    matrix = scale * rng.standard_normal((10, 3))
    found = check(matrix, last)
    assert found.verdict is Verdict.INJECTIVE
    assert "widens 3 numbers to 10" in found.sentence
    matrix[:, 2] = 3.0 - matrix[:, 0] - matrix[:, 1]
    reaching = check(matrix, last)
    assert reaching.verdict is Verdict.NOT_INJECTIVE
    assert reaching.deciding == ("1", "layer_1")
    assert reaching.witness is not None


def test_normalisations(rng):
    a = conditioned(4, 3.0, rng)
    rms = RMSNormalization((4,), (0,), 1e-3)
    found = check(a, rms, a)
    assert found.verdict is Verdict.BIJECTIVE
    assert found.image.startswith("a part of R^4: hidden rms_normalization layers bound")
    assert check(a, rms).image == "(-2, 2)^4"
    for lossy in (
        LayerNormalization((4,), (0,), 1e-3),
        UnitNormalization((4,), (0,), 1e-9),
    ):
        net = network(a, lossy, a)
        found = check_network(net, Context())
        assert found.verdict is Verdict.NOT_INJECTIVE
        assert found.deciding == ("1", "layer_1")
        assert_witness(net, found)


def test_of_a_layer_that_is_searched_nothing_is_claimed(rng):
    kernel = rng.standard_normal((3, 1, 3))
    arrays = dict.fromkeys(("query", "key", "value"), kernel)
    attention = MultiHeadAttention((2, 3), arrays | {"output": kernel.transpose(1, 2, 0)})
    found = check(attention)
    assert found.verdict is Verdict.UNDECIDED
    assert "whether it is one-to-one is not known" in found.sentence
    behind = check(attention, LayerNormalization((2, 3), (-1,), 1e-3))
    assert behind.verdict is Verdict.NOT_INJECTIVE
    assert "lose nothing" not in behind.sentence


def test_prelu(rng):
    a = conditioned(3, 3.0, rng)
    for slopes, verdict in [
        ([0.1, 0.2, 0.3], Verdict.BIJECTIVE),
        ([0.1, 0.0, 0.3], Verdict.NOT_INJECTIVE),
        ([0.1, 0.2, -1.0], Verdict.NOT_INJECTIVE),
    ]:
        net = network(a, PReLU((3,), np.array(slopes)), a)
        found = check_network(net, Context())
        assert found.verdict is verdict, slopes
        if verdict is Verdict.NOT_INJECTIVE:
            assert_witness(net, found)


def test_batch_normalisation_with_gamma_zero_is_named(rng):
    net = network(conditioned(3, 2.0, rng), batch_normalization([1, 0, 2]), "tanh")
    found = check_network(net, Context())
    assert found.verdict is Verdict.SINGULAR
    assert found.deciding == ("1", "layer_1")
    assert "unit 1 is multiplied by zero" in found.sentence


def test_a_pruned_unit_is_named_behind_other_linear_layers(rng):
    kernel = conditioned(4, 2.0, rng)
    kernel[:, 2] = 0.0
    net = network(
        conditioned(4, 2.0, rng),
        "tanh",
        batch_normalization([1, 2, 3, 4]),
        kernel,
        batch_normalization([1, 2, 3, 4]),
        "tanh",
    )
    found = check_network(net, Context())
    assert found.verdict is Verdict.SINGULAR
    assert found.deciding == ("3", "layer_3")
    assert "rank 3 of 4" in found.sentence
    assert "row 2 of its kernel is zero" in found.sentence


def test_scales_of_any_factor_do_not_make_a_network_singular(rng):
    scales = Rescaling((2,), np.array([1e10, 1e-10]), np.zeros(()))
    net = network(scales, conditioned(2, 3.0, rng), "tanh")
    found = check_network(net, Context())
    assert found.verdict is Verdict.BIJECTIVE
    assert found.digits.weights > 15.0


def test_a_singular_layer_behind_a_widening_is_undecided(rng):
    """The values before it lie on a surface that need not meet its kernel."""
    singular = np.diag([1.0, 1.0, 1.0, 0.0])
    found = check(rng.standard_normal((4, 2)), "tanh", singular, "tanh")
    assert found.verdict is Verdict.UNDECIDED
    assert found.deciding == ("2", "layer_2")


def test_a_singular_layer_behind_a_loss_is_not_called_singular(rng):
    found = check(np.eye(3), "relu", np.diag([1.0, 1.0, 0.0]), "tanh")
    assert found.verdict is Verdict.NOT_INJECTIVE


def test_a_tall_layer_of_low_rank_is_not_injective(rng):
    tall = np.outer(np.ones(4), [1.0, 2.0])
    found = check(tall, "tanh")
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert "rank 1 of 2" in found.sentence
    assert_witness(network(tall, "tanh"), found)


def test_nested_graphs_are_judged_by_their_leaves(rng):
    kernel = np.diag([1.0, 0.0, 2.0])
    inner = network(conditioned(3, 2.0, rng), "tanh", kernel, "tanh").graph
    nodes = [Node(inner, "0", "model", "Sequential")]
    found = check_network(Network.of_graph(Graph((3,), nodes)), Context())
    assert found.verdict is Verdict.SINGULAR
    assert found.deciding == ("0.2", "model/layer_2")


def test_what_jumps_is_no_case_for_invariance_of_domain(rng):
    parts = ("thresholded_relu:-1", rng.standard_normal((2, 3)), "tanh", np.ones((3, 2)))
    found = check(*parts, shape=(3,), quick=True)
    assert found.verdict is Verdict.UNDECIDED
    assert check("relu", *parts[1:], shape=(3,), quick=True).verdict is (
        Verdict.NOT_INJECTIVE
    )


class Digits(SearchedLayer):
    """Two numbers in one, as only a map that jumps can keep them: x1 in units of 1000."""

    def __init__(self, shape):
        self.input_shape = shape

    @property
    def output_shape(self):
        return (1,)

    def forward(self, x):
        return 1000.0 * np.floor(x[:, :1]) + x[:, 1:]

    def linearize(self, x):
        slopes = np.broadcast_to([[[0.0, 1.0]]], (len(x), 1, 2))
        return DenseLinearization(self, self.forward(x), slopes)


def test_nothing_is_known_of_jumps_in_a_layer_of_a_user():
    found = check_network(network(np.eye(2), Digits((2,))), Context(), quick=True)
    assert found.verdict is Verdict.UNDECIDED
    assert found.image == "R^1 or a part of it"


# Options.


def test_quick_looks_at_structure_only(rng, monkeypatch):
    def refuse(*_):
        raise AssertionError("a weight was read")

    net = random_net(rng, n=3, depth=2)
    wide = network(rng.standard_normal((4, 2)), "tanh")
    narrow = network(rng.standard_normal((2, 4)), "tanh")
    monkeypatch.setattr(ArrayMatrix, "read", refuse)
    monkeypatch.setattr(ArrayMatrix, "to_float64", refuse)
    found = check_network(net, Context(), quick=True)
    assert found.verdict is Verdict.UNDECIDED
    assert found.quick
    assert found.deciding is None
    assert found.digits is None
    assert found.layers[0].rank is None
    assert found.sentence == (
        "square layers and one-to-one activations; ranks were not computed"
    )
    assert check_network(wide, Context(), quick=True).sentence.startswith(
        "layers that never narrow and one-to-one activations"
    )
    found = check_network(narrow, Context(), quick=True)
    assert found.verdict is Verdict.NOT_INJECTIVE
    assert found.witness is None


def test_weights_that_are_not_finite_are_refused_unless_quick():
    kernel = np.eye(2)
    kernel[1, 0] = np.nan
    with pytest.raises(DataError, match=r"layer 0 'layer_0' > kernel: got nan .*: 1\)"):
        check(kernel, "tanh")
    assert check(kernel, "tanh", quick=True).verdict is Verdict.UNDECIDED


def test_layers_above_max_condition_are_listed(rng):
    net = network(conditioned(3, 10.0, rng), "tanh", conditioned(3, 1e5, rng), "tanh")
    found = check_network(net, Context(), max_condition=1e4)
    assert found.ill_conditioned == (("2", "layer_2"),)
    assert found.max_condition == 1e4
    assert check_network(net, Context(), max_condition=1e6).ill_conditioned == ()
    assert check_network(net, Context()).ill_conditioned == ()


def test_digits_are_the_product_of_the_conditions(rng):
    net = network(conditioned(3, 10.0, rng), "tanh", conditioned(3, 1e5, rng), "tanh")
    found = check_network(net, Context()).digits
    assert found.weights == pytest.approx(6.0, abs=1e-9)
    assert found.kind is Kind.EXACT
    assert check(np.diag([1.0, 0.0]), "tanh").digits.weights == np.inf
    assert check("tanh", shape=(2,)).digits.weights == 0.0


def test_estimates_say_what_they_are(rng, monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 10.0)
    net = network(conditioned(8, 50.0, rng), "tanh")
    found = check_network(net, Context())
    assert found.verdict is Verdict.BIJECTIVE
    estimate = found.layers[0].condition
    assert estimate.kind is Kind.ESTIMATE
    assert estimate.value == pytest.approx(50.0, rel=0.05)
    assert found.digits.kind is Kind.LOWER_BOUND
    assert found.layers[0].rank == 8


# No verdict is ever wrong.


def assert_witness(net, found):
    """Two inputs clearly apart with one output, recomputed."""
    witness = found.witness
    apart = np.linalg.norm(witness.x1 - witness.x2)
    assert witness.distance == pytest.approx(apart)
    assert apart > 1e-3
    # One after the other: in one batch, products are summed in other orders, and where
    # later layers shrink what earlier ones rounded, that is more than spacings of y.
    runs = [net.forward_with_terms(x[None, :]) for x in (witness.x1, witness.x2)]
    size = np.max([np.maximum(np.abs(y), terms) for y, terms in runs], axis=0)
    assert (np.abs(runs[0][0] - runs[1][0]) <= 64.0 * tolerances.EPS64 * size).all()


def brute_force_pair(net, rng, tries=4):
    """x1, x2 at least 1 apart with one output, or None: least squares on the difference.

    Outputs must agree far below what the slopes on the way could hide.
    """
    n = net.n_in
    for _ in range(tries):
        x1 = rng.standard_normal(n)
        direction = rng.standard_normal(n)
        start = x1 + direction / np.linalg.norm(direction)

        def misfit(x2, x1=x1):
            y1, y2 = net.forward(np.stack([x1, x2]))
            return np.append(y2 - y1, 10.0 * max(1.0 - np.linalg.norm(x2 - x1), 0.0))

        found = least_squares(misfit, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        if np.abs(found.fun).max() < 1e-9:
            return x1, found.x
    return None


moderate = nets(
    activations=("tanh", "sigmoid", "softsign", "elu", "leaky_relu:0.1", "linear"),
    square=False,
    condition=st.floats(0.0, 1.0),
)


@settings(max_examples=40)
@given(net=moderate, rng=generators())
def test_one_to_one_networks_have_no_witness(net, rng):
    found = check_network(net, Context())
    if found.verdict not in (Verdict.BIJECTIVE, Verdict.INJECTIVE):
        return
    pair = brute_force_pair(net, rng)
    if pair is not None:
        # Equal to 1e-9 at unit distance: then slopes on the way are as small as that.
        assert least_slope(net, *pair) < 1e-7, pair


def least_slope(net, x1, x2):
    """The least singular value between two inputs; it may be small at one place alone."""

    def slope(share):
        x = x1 + share * (x2 - x1)
        return np.linalg.svd(net.linearize(x[None]).dense()[0], compute_uv=False).min()

    shares = np.linspace(0.0, 1.0, 9)
    near = int(np.argmin([slope(share) for share in shares]))
    sides = shares[max(near - 1, 0)], shares[min(near + 1, 8)]
    return minimize_scalar(slope, bounds=sides, options={"xatol": 1e-12}).fun


@settings(max_examples=80)
@given(net=nets(activations=(*LOSING, "relu", "tanh", "sigmoid"), square=False))
def test_every_witness_is_one(net):
    found = check_network(net, Context())
    if found.witness is not None:
        assert found.verdict is Verdict.NOT_INJECTIVE
        assert_witness(net, found)


@settings(max_examples=40)
@given(
    rng=generators(),
    scale=st.sampled_from([0.1, 1.0, 10.0, 300.0]),
    name=st.sampled_from(["tanh", "sigmoid", "softsign", "softplus", "elu"]),
    gate=st.sampled_from(["relu", "relu:0.5:0"]),
)
def test_what_is_one_to_one_in_truth_is_never_called_not_injective(rng, scale, name, gate):
    """[A; -A] and a gate that keeps one sign lose nothing, however they saturate later."""
    later = dense(scale * conditioned(4, 9.0, rng), rng.standard_normal(4))
    found = check(signed_pairs(rng), gate, later, name)
    assert found.verdict is Verdict.UNDECIDED


@settings(max_examples=40)
@given(
    rng=generators(),
    n_in=st.integers(2, 5),
    inner=st.sampled_from(["leaky_relu:0.2", "linear", "tanh_shrink"]),
    last=st.sampled_from(["tanh", "relu", "gelu", "sigmoid", "softplus", "linear"]),
)
def test_surjective_means_that_targets_in_the_box_are_reached(rng, n_in, inner, last):
    net = network(rng.standard_normal((2, n_in)), inner, conditioned(2, 3.0, rng), last)
    found = check_network(net, Context())
    if found.verdict is Verdict.SURJECTIVE:
        y = activation_from_text(last).forward(2.0 * rng.standard_normal((3, 2)))
        result = invert(ask(net, y))
        assert all(s is RowStatus.SOLVED for s in result.status), (y, result.reason)


def test_the_report_names_its_model(rng):
    shift = Normalization((3,), np.zeros(3), np.ones(3), (0,), False)
    found = check(shift, rng.standard_normal((2, 3)).astype(np.float32), "tanh").model
    assert found.input_shape == (3,)
    assert found.output_shape == (2,)
    assert found.parameters == 12
    assert found.dtype == "float64+float32"
