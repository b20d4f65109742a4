"""The driver believes no method: it judges x as written, by the plain forward pass."""

import numpy as np
import pytest
from problems import bottleneck, dense, hidden_gelu, network, random_net

from nninvert.context import Context
from nninvert.errors import DataError, OutOfTime, UsageError
from nninvert.layers import Preimage
from nninvert.methods import METHODS, conclusion
from nninvert.methods._base import Attempt, Method
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import Proof, RowStatus, Uniqueness

SOLVED, UNREACHABLE, NEAREST, STOPPED, FAILED = RowStatus


def method_giving(x, name="fake", stopped=False, reason="", preimage=False):
    """A method that answers every row with the same x, whatever is asked."""

    class Fake(Method):
        summary = ""

        def obstacle(self, problem):
            return ""

        def attempt(self, problem, start):
            rows = problem.rows
            answer = np.tile(np.asarray(x, dtype=np.float64), (rows, 1))
            found = Preimage.of_inside(answer, 0.0 * answer) if preimage else None
            return Attempt(answer, np.full(rows, stopped), (reason,) * rows, found)

    Fake.name = name
    Fake.searches = name == "lsq"
    return Fake


@pytest.fixture
def fake(monkeypatch):
    def install(x, name="fake", **options):
        monkeypatch.setitem(METHODS, name, method_giving(x, name, **options))
        return name

    return install


@pytest.fixture
def double():
    """y = 2 x."""
    return network(2.0 * np.eye(2))


@pytest.mark.parametrize("describing", ["_movement", "_uniqueness", "findings"])
def test_x_is_kept_where_time_is_up_while_it_is_described(double, monkeypatch, describing):
    def late(*arguments):
        raise OutOfTime("--time-limit", got="1 second")

    monkeypatch.setattr(conclusion, describing, late)
    result = invert(ask(double, np.array([[2.0, 4.0], [np.e, 4.0]])), method="exact")
    assert result.status == (SOLVED, SOLVED)
    if describing == "_movement":
        assert np.isnan(result.digits).all()
    if describing == "_uniqueness":
        assert set(result.unique) == {Uniqueness.UNKNOWN}


def test_success_is_decided_here(double, fake):
    y = np.array([[2.0, 4.0], [2.0, 4.1]])
    result = invert(ask(double, y), method=fake([1.0, 2.0]))
    assert result.status[0] is SOLVED
    assert result.status[1] is not SOLVED
    np.testing.assert_array_equal(result.solved, [True, False])
    np.testing.assert_allclose(result.residual, [0.0, 0.1], atol=1e-15)
    np.testing.assert_allclose(result.relative_residual[1], 0.1 / np.hypot(2.0, 4.1))
    np.testing.assert_array_equal(result.fitted, [[2.0, 4.0]] * 2)


@pytest.mark.parametrize(("error", "solved"), [(0.99, True), (1.01, False)])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_tolerance_is_a_sharp_limit(double, fake, error, solved, sign):
    x = np.array([1.0 + sign * error * 0.05, 1.0])
    result = invert(ask(double, np.array([[2.0, 2.0]]), within=0.1), method=fake(x))
    assert (result.status[0] is SOLVED) == solved
    assert result.relative_tolerance is None
    assert result.tolerance_origin == "--within"


def test_every_wanted_output_counts_and_no_other(double, fake):
    y = np.array([[2.0, np.nan], [np.nan, 2.0]])
    result = invert(ask(double, y, nan_is_free=True), method=fake([1.0, 7.0]))
    assert result.status[0] is SOLVED
    assert result.status[1] is not SOLVED
    assert result.residual[0] == 0.0


def test_the_written_type_is_what_is_judged(double, fake):
    """0.1 in float32 is off by 1.5e-9, more than a float64 target tolerates."""
    y = np.array([[0.2, 0.2]])
    name = fake([0.1, 0.1])
    assert invert(ask(double, y), method=name).status == (SOLVED,)
    short = invert(ask(double, y), method=name, dtype=np.float32)
    assert short.status[0] is not SOLVED
    assert short.x.dtype == np.float32
    assert "rounded to float32 it misses: float64 keeps it" in short.reason[0]
    assert short.residual[0] == pytest.approx(3e-9, rel=0.1)
    same = invert(ask(double, y.astype(np.float32)), method=name, dtype=np.float32)
    assert same.status == (SOLVED,)


def test_rounding_to_the_written_type_stays_inside_the_bounds(double, fake):
    """float32(0.1) is above 0.1, float32(0.3) above 0.3: one has to be rounded down."""
    x = [0.1, 0.3]
    bounds = {"lower": [0.1, 0.0], "upper": [1.0, 0.3]}
    problem = ask(double, np.array([[0.2, 0.6]]), within=1e-6, **bounds)
    result = invert(problem, method=fake(x), dtype=np.float32)
    assert result.status == (SOLVED,)
    assert problem.domain.contain(result.x.astype(np.float64)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_inputs_fixed_at_what_the_type_cannot_hold(double, fake, dtype):
    problem = ask(double, np.array([[0.2, 0.6]]), within=1e-2, fix={0: 0.1})
    result = invert(problem, method=fake([0.1, 0.3]), dtype=dtype)
    assert result.status == (SOLVED,)
    assert result.x[0, 0] == dtype(0.1)


def test_outside_the_bounds_is_not_solved(double, fake):
    problem = ask(double, np.array([[2.0, 2.0]]), upper=0.5)
    result = invert(problem, method=fake([1.0, 1.0]))
    assert result.residual[0] == 0.0
    assert result.status == (UNREACHABLE,)
    assert result.proof == (Proof.BOUNDS,)


def test_bounds_that_are_met_are_no_proof(double):
    y = np.array([[2.0, 2.0], [2.0, 4.0]])
    result = invert(ask(double, y, upper=1.0))
    assert result.status == (SOLVED, UNREACHABLE)
    assert (result.x <= 1.0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_finite_is_failed(double, fake, bad):
    result = invert(ask(double, np.ones((1, 2))), method=fake([1.0, bad]))
    assert result.status == (FAILED,)
    assert np.isnan(result.x).all()
    assert np.isnan(result.fitted).all()
    assert np.isnan(result.residual).all()


def test_an_input_whose_output_overflows_is_failed(fake):
    net = network(np.eye(1), "exponential")
    result = invert(ask(net, np.ones((1, 1))), method=fake([1000.0]))
    assert result.status == (FAILED,)
    assert np.isnan(result.x).all()


@pytest.fixture
def unprovable():
    """tanh(s) - tanh(s - 1) is never 0.95, but that two values belong together is lost."""
    both = dense(np.ones((2, 2)), np.array([0.0, -1.0]))
    net = network(both, "tanh", np.array([[1.0, -1.0]]))
    return ask(net, np.array([[0.95]]))


def test_a_search_that_ends_is_nearest_one_that_is_cut_is_stopped(fake, unprovable):
    fake([1.5, 1.5], name="lsq", reason="as near as it gets")
    nearest = invert(unprovable, method="lsq")
    assert (nearest.status, nearest.reason) == ((NEAREST,), ("as near as it gets",))
    fake([1.5, 1.5], name="lsq", stopped=True)
    stopped = invert(unprovable, method="lsq")
    assert stopped.status == (STOPPED,)
    assert stopped.reason == (STOPPED.meaning,)


def test_a_search_that_confirms_what_was_there_is_nearest(fake, unprovable):
    """lsq finds nothing better than pinv: the row was searched all the same."""
    fake([1.5, 1.5], name="pinv")
    fake([1.5, 1.5], name="lsq")
    result = invert(unprovable)
    assert [step.method for step in result.plan.steps] == ["pinv", "lsq"]
    assert result.status == (NEAREST,)


def test_the_better_of_two_attempts_is_kept(double, fake):
    y = np.array([[2.0, 2.0]])
    for first, second, kept in (
        ([1.1, 1.0], [1.2, 1.0], 1.1),
        ([1.2, 1.0], [1.1, 1.0], 1.1),
    ):
        fake(first, name="exact", reason="first")
        fake(second, name="lsq", reason="second")
        result = invert(ask(double, y))
        assert result.x[0, 0] == kept
        assert result.method == ("exact" if kept == first[0] else "lsq",)


def test_a_later_failure_does_not_spoil_a_row(double, fake):
    fake([1.1, 1.0], name="exact")
    fake([np.nan, 1.0], name="lsq")
    result = invert(ask(double, np.array([[2.0, 2.0]])))
    assert result.x[0, 0] == 1.1
    assert result.status[0] is not FAILED


def test_solved_rows_are_left_alone(double, fake):
    fake([1.0, 1.0], name="exact")
    fake([3.0, 3.0], name="lsq")
    result = invert(ask(double, np.array([[2.0, 2.0], [6.0, 6.0]])))
    assert result.status == (SOLVED, SOLVED)
    assert result.method == ("exact", "lsq")
    assert [(s.method, s.rows) for s in result.plan.steps] == [("exact", 2), ("lsq", 1)]
    assert result.reason == ("", "")


def test_an_interrupt_between_methods_keeps_the_best(double, fake):
    context = Context()
    fake([1.1, 1.0], name="exact")
    context.interrupt()
    result = invert(ask(double, np.array([[2.0, 2.0]]), context=context))
    assert result.status == (STOPPED,)
    assert len(result.plan.steps) == 1


def test_bad_weights_and_unknown_methods_are_refused(double):
    with pytest.raises(DataError, match="kernel"):
        invert(ask(network(np.diag([1.0, np.nan])), np.ones((1, 2))))
    with pytest.raises(UsageError, match="--method"):
        invert(ask(double, np.ones((1, 2))), method="magic")


# What is said beside the status.


def test_proofs_name_the_layer_that_is_left():
    net = network(np.eye(2), "tanh", 2.0 * np.eye(2), "tanh")
    y = np.array([[0.5, 0.999], [0.5, 1.5], [0.5, 0.5]])
    result = invert(ask(net, y), method="exact")
    assert result.status == (UNREACHABLE, UNREACHABLE, SOLVED)
    assert result.proof == (Proof.PULL_BACK, Proof.OUTPUT_RANGE, Proof.NONE)
    assert result.reason[0].startswith(Proof.PULL_BACK.meaning)
    assert "layer 1 'layer_1'" in result.reason[0]
    assert "layer 3 'layer_3'" in result.reason[1]
    assert result.reason[2] == ""


def test_one_to_one_rows_are_unique():
    result = invert(ask(network(np.eye(2), "tanh"), np.array([[0.1, 0.2]])))
    assert (result.unique, result.free_dimensions[0]) == ((Uniqueness.YES,), 0)


def test_fused_widening_is_unique(rng):
    net = bottleneck(rng)
    x = 0.2 * rng.standard_normal((2, 32))
    result = invert(ask(net, net.forward(x)))
    assert result.unique == (Uniqueness.YES,) * 2
    assert (result.digits > 10).all()


def test_families_are_counted(rng):
    net = network(rng.standard_normal((2, 5)))
    result = invert(ask(net, rng.standard_normal((2, 2))))
    assert result.status == (SOLVED,) * 2
    assert result.unique == (Uniqueness.NO,) * 2
    np.testing.assert_array_equal(result.free_dimensions, 3)


def test_what_meets_a_tolerance_is_not_unique():
    result = invert(ask(network(np.eye(2), "tanh"), np.array([[0.1, 0.2]]), within=0.1))
    assert result.unique == (Uniqueness.NO,)


def test_nothing_is_unique_where_other_inputs_give_the_same_to_rounding():
    net = hidden_gelu()
    result = invert(ask(net, net.forward(np.array([[0.3]]))))
    assert result.status == (SOLVED,)
    assert result.unique[0] is not Uniqueness.YES
    far = network(np.eye(1), np.array([-9.0]), "gelu", np.array([0.5]))
    result = invert(ask(far, far.forward(np.array([[-40.0]]))))
    assert result.status == (SOLVED,)
    assert result.unique[0] is not Uniqueness.YES


def test_rows_that_are_not_solved_claim_nothing():
    result = invert(ask(network(np.eye(2), "tanh"), np.array([[0.1, 1.2]])))
    assert result.unique == (Uniqueness.UNKNOWN,)
    assert np.isnan(result.movement[0])
    assert np.isnan(result.digits[0])


@pytest.mark.parametrize(("dtype", "digits"), [(np.float16, 3), (np.float32, 7)])
def test_digits_follow_the_precision_of_the_targets(dtype, digits, rng):
    net = random_net(rng, n=6, depth=1, condition=1.0, activation="linear")
    y = net.forward(rng.standard_normal((4, 6))).astype(dtype)
    result = invert(ask(net, y))
    assert (np.abs(result.digits - digits) < 1.0).all()
    assert result.precision == np.dtype(dtype).name


def test_movement_predicts_the_real_error(rng):
    """The estimate promises no more digits than there are, and about one less at most."""
    net = random_net(rng, n=20, depth=2, condition=30.0)
    x = 0.5 * rng.standard_normal((10, 20))
    result = invert(ask(net, net.forward(x).astype(np.float32)))
    real = np.linalg.norm(result.x - x, axis=1) / np.linalg.norm(x, axis=1)
    ratio = real / result.movement
    assert (ratio < 3.0).all()
    assert np.median(ratio) > 0.1


def test_values_on_unattained_ends_are_counted():
    y = np.array([[1.0, 0.5], [-1.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    result = invert(ask(network(np.eye(2), "tanh"), y))
    np.testing.assert_array_equal(result.edge_values, [1, 2, 0])


def test_the_tolerance_says_where_it_came_from(double):
    result = invert(ask(double, np.ones((1, 2), dtype=np.float32)))
    assert "T = 1.9e-06 for y in float32" in result.tolerance_origin
    decimals = np.full((1, 2), 0.05)
    written = invert(ask(double, np.ones((1, 2)), decimals=decimals))
    assert "half the last written decimal" in written.tolerance_origin
    np.testing.assert_array_equal(written.tolerance, 0.05)


def test_what_a_method_says_of_a_solved_row_is_kept(double, fake):
    problem = ask(double, np.array([[2.0, 4.0]]))
    result = invert(problem, method=fake([1.0, 2.0], reason="a nearer x may exist"))
    assert result.status == (SOLVED,)
    assert result.reason == ("a nearer x may exist",)
    pulled = invert(problem, method=fake([1.0, 2.0], reason="left a range", preimage=True))
    assert pulled.reason == ("",)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_tolerance_is_kept_by_the_x_that_is_written(dtype, rng):
    net = random_net(rng, 6, 2, "tanh", 10.0)
    y = net.forward(rng.standard_normal((5, 6)))
    problem = ask(net, y, within=0.03)
    result = invert(problem, dtype=dtype)
    assert result.x.dtype == dtype
    assert result.status == (SOLVED,) * 5
    assert (np.abs(net.forward(result.x.astype(np.float64)) - y) <= 0.03).all()


class TestUniquenessInTheDomain:
    """x0 + x1 + x2 through tanh: what may move decides how many other x there are."""

    net = network(np.array([[1.0, 1.0, 1.0]]), "tanh")

    def said(self, **options):
        result = invert(ask(self.net, np.tanh([[0.5]]), **options))
        assert result.status == (RowStatus.SOLVED,)
        return result.unique[0], result.free_dimensions[0]

    def test_all_inputs(self):
        assert self.said() == (Uniqueness.NO, 2)

    def test_fixed_ones(self):
        assert self.said(fix={0: 0.1}) == (Uniqueness.NO, 1)
        assert self.said(fix={0: 0.1, 1: 0.2}) == (Uniqueness.LOCALLY, 0)

    def test_whole_ones(self):
        given = {"integer": [0, 1], "lower": -1.0, "upper": 1.0}
        assert self.said(**given) == (Uniqueness.LOCALLY, 0)

    def test_in_a_corner_nothing_is_known(self):
        corner = [0.1, 0.1, 0.3]
        assert self.said(lower=corner) == (Uniqueness.UNKNOWN, 0)

    def test_with_a_tolerance_fixed_inputs_do_not_count(self):
        assert self.said(within=0.1, fix={0: 0.1}) == (Uniqueness.NO, 2)
