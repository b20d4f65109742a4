"""The functions that people call."""

import subprocess
import sys

import numpy as np
import pytest
from problems import conditioned, dense, network, random_net

import nninvert
from nninvert.arrays import LoadedArray
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError, UsageError
from nninvert.layers import Reshape
from nninvert.linalg import factor
from nninvert.outcome import RowStatus, Uniqueness, Verdict


@pytest.fixture
def net(rng):
    return random_net(rng, n=3, depth=2, condition=5.0)


def loaded(values, half_step=None):
    return LoadedArray(np.asarray(values), None, half_step, "y.csv", "csv")


# The package.


def test_all_names_are_there():
    assert set(nninvert.__all__) <= set(dir(nninvert))
    for name in nninvert.__all__:
        assert getattr(nninvert, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'inverse'"):
        _ = nninvert.inverse


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, nninvert; nninvert.__version__; dir(nninvert);"
        "print({'numpy', 'scipy', 'h5py', 'rich', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# forward and shapes.


def test_forward_takes_one_row_or_many(net, rng):
    x = rng.standard_normal((2, 3))
    both = nninvert.forward(net, x)
    assert both.shape == (2, 3)
    # A matrix times a vector and a matrix times a matrix round differently.
    for one in (nninvert.forward(net, x[0]), nninvert.forward(net, x[0], single=True)):
        assert one.shape == (1, 3)
        np.testing.assert_allclose(one, both[:1], rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(nninvert.forward(net, x.tolist()), both)
    np.testing.assert_array_equal(nninvert.forward(net, loaded(x)), both)


def test_forward_is_in_float64_whatever_comes(net):
    x = np.array([[1, 2, 3]])
    assert nninvert.forward(net, x).dtype == np.float64
    low = x.astype(np.float16)
    np.testing.assert_array_equal(nninvert.forward(net, low), nninvert.forward(net, x))


@pytest.mark.parametrize(
    ("shape", "single"),
    [((4,), None), ((3, 4), None), ((2, 3), True), ((3,), False), ((0, 3), None)],
)
def test_shapes_that_fit_neither_way_are_refused(net, shape, single):
    with pytest.raises(ShapeError):
        nninvert.forward(net, np.zeros(shape), single=single)
    with pytest.raises(ShapeError):
        nninvert.invert(net, np.zeros(shape), single=single)


def test_images_come_as_images_or_flat(rng):
    net = network(Reshape((2, 3), (6,)), conditioned(6, 3.0, rng), Reshape((6,), (3, 2)))
    x = rng.standard_normal((4, 2, 3))
    y = nninvert.forward(net, x)
    np.testing.assert_array_equal(nninvert.forward(net, x.reshape(4, 6)), y)
    for targets in (y, y.reshape(4, 3, 2)):
        found = nninvert.invert(net, targets).x
        np.testing.assert_allclose(found, x.reshape(4, 6), atol=1e-12)
    one = nninvert.invert(net, y[0].reshape(3, 2))
    assert one.x.shape == (1, 6)


def test_a_vector_for_one_output_is_many_targets():
    net = network(np.array([[2.0]]), "tanh")
    found = nninvert.invert(net, np.tanh([2.0, 1.0, 0.5]))
    np.testing.assert_allclose(found.x[:, 0], [1.0, 0.5, 0.25])
    with pytest.raises(ShapeError):
        nninvert.invert(net, np.zeros(3), single=True)


@pytest.mark.parametrize("values", [["a", "b", "c"], [1j, 0, 0], [True, False, True]])
def test_what_is_no_real_number_is_refused(net, values):
    with pytest.raises(DataError, match="expected real numbers"):
        nninvert.forward(net, np.array(values))


# invert.


def test_the_type_of_y_decides_how_well_it_is_met(net, rng):
    y = net.forward(rng.standard_normal((2, 3)))
    exact, rounded = (nninvert.invert(net, y.astype(t)) for t in (np.float64, np.float32))
    assert exact.precision == "float64"
    assert rounded.precision == "float32"
    assert exact.relative_tolerance == 1e-9
    assert rounded.relative_tolerance == pytest.approx(16 * np.finfo(np.float32).eps)
    assert (exact.digits > rounded.digits + 6).all()


def test_what_is_judged_is_x_after_the_cast(net, rng):
    y = net.forward(rng.standard_normal((3, 3)))
    whole, cast = (nninvert.invert(net, y, dtype=t) for t in (np.float64, np.float32))
    assert all(s is RowStatus.SOLVED for s in whole.status)
    assert cast.x.dtype == np.float32
    assert not cast.solved.any()
    np.testing.assert_array_equal(cast.fitted, net.forward(cast.x.astype(np.float64)))
    assert (cast.residual > 1e-10).all()
    met = nninvert.invert(net, y.astype(np.float32), dtype=np.float32)
    assert met.solved.all()


@pytest.mark.parametrize(
    "within", ["3%", 0.03, [0.03, 0.03, 0.03], np.full((2, 3), 0.03), np.float32(0.03)]
)
def test_forms_of_within(net, rng, within):
    y = net.forward(rng.standard_normal((2, 3)))
    found = nninvert.invert(net, y, within=within)
    assert found.solved.all()
    np.testing.assert_allclose(found.tolerance, 0.03, rtol=1e-6)
    assert (found.residual <= 0.0301).all()
    assert found.relative_tolerance is None
    assert found.tolerance_origin == "--within"
    assert (np.linalg.norm(found.x, axis=1) < 5.0).all()


@pytest.mark.parametrize("within", [0.0, -1.0, np.nan, "3", "-3%", [0.1, 0.2], "x%"])
def test_tolerances_that_are_none_are_refused(net, within):
    with pytest.raises(UsageError, match="--within"):
        nninvert.invert(net, np.zeros((1, 3)), within=within)


def test_near_chooses_among_many(rng):
    net = network(np.array([[1.0, 1.0]]))
    y = np.array([[2.0], [4.0]])
    for near, expected in [
        (None, [[1.0, 1.0], [2.0, 2.0]]),
        ([3.0, 0.0], [[2.5, -0.5], [3.5, 0.5]]),
        ([[3.0, 0.0], [0.0, 4.0]], [[2.5, -0.5], [0.0, 4.0]]),
        (loaded([3.0, 0.0]), [[2.5, -0.5], [3.5, 0.5]]),
    ]:
        found = nninvert.invert(net, y, near=near)
        np.testing.assert_allclose(found.x, expected, atol=1e-7)
        assert found.unique == (Uniqueness.NO, Uniqueness.NO)
    with pytest.raises(ShapeError, match="near"):
        nninvert.invert(net, y, near=[1.0, 2.0, 3.0])


def test_bounds_and_fixed_inputs_are_kept_to_the_last_bit(rng):
    net = network(np.array([[1.0, 1.0, 1.0]]), "tanh")
    y = np.tanh([[0.3]])
    found = nninvert.invert(net, y, lower=[-1.0, 0.2, -1.0], upper=1.0, fix={0: 0.1})
    assert found.solved.all()
    assert found.x[0, 0] == 0.1
    assert found.x[0, 1] >= 0.2
    impossible = nninvert.invert(net, y, lower=1.0, upper=2.0)
    assert not impossible.solved.any()
    assert ((impossible.x >= 1.0) & (impossible.x <= 2.0)).all()
    with pytest.raises(UsageError, match="input 0"):
        nninvert.invert(net, y, lower=2.0, upper=1.0)


def test_nan_is_an_error_unless_it_is_free(net, rng):
    y = net.forward(rng.standard_normal((2, 3)))
    y[1, 2] = np.nan
    with pytest.raises(DataError, match="row 1 > output 2"):
        nninvert.invert(net, y)
    found = nninvert.invert(net, y, nan_is_free=True)
    assert found.solved.all()
    np.testing.assert_allclose(found.fitted[1, :2], y[1, :2], atol=1e-8)
    y[1] = np.nan
    with pytest.raises(DataError, match="NaN only"):
        nninvert.invert(net, y, nan_is_free=True)


def test_written_decimals_are_the_precision():
    net = network(np.eye(2))
    y = loaded([[0.25, 3.0]], np.array([[0.005, 0.0]]))
    found = nninvert.invert(net, y)
    assert found.precision == "CSV decimals"
    assert found.tolerance[0, 0] == 0.005
    assert found.tolerance[0, 1] == pytest.approx(3e-9)


def test_methods_by_name(net, rng):
    y = net.forward(rng.standard_normal((1, 3)))
    for method in ("exact", "pinv", "lsq"):
        found = nninvert.invert(net, y, method=method)
        assert found.method == (method,)
        assert found.solved.all()
    with pytest.raises(UsageError, match="--method"):
        nninvert.invert(net, y, method="magic")


# check.


def test_targets_of_a_bijective_network(net, rng):
    y = np.concatenate([net.forward(rng.standard_normal((2, 3))), [[2.0, 0.0, 0.0]]])
    report = nninvert.check(net, target=y)
    assert report.verdict is Verdict.BIJECTIVE
    assert report.target.reachable == (True, True, False)
    assert report.digits.jacobian_at == "targets"
    assert report.digits.jacobian.shape == (2,)


def test_targets_of_other_networks(rng):
    net = network(rng.standard_normal((2, 4)), "tanh")
    report = nninvert.check(net, target=net.forward(rng.standard_normal((1, 4))))
    assert report.verdict is Verdict.SURJECTIVE
    assert report.target.reachable == (True,)


def test_no_digits_at_targets_that_nothing_reaches(net):
    report = nninvert.check(net, target=[[2.0, 0.0, 0.0]])
    assert report.digits.jacobian is None
    assert report.digits.jacobian_at == ""


def test_digits_at_inputs_are_the_condition_of_the_jacobian(net, rng):
    x = rng.standard_normal((4, 3))
    report = nninvert.check(net, inputs=x, target=net.forward(x[:1]))
    expected = [np.linalg.cond(net.linearize(row[None]).dense()[0]) for row in x]
    np.testing.assert_allclose(report.digits.jacobian, np.log10(expected))
    assert report.digits.jacobian_at == "inputs"
    assert nninvert.check(net, inputs=x, quick=True).digits is None


def test_inputs_at_which_the_jacobian_overflows_have_no_digits():
    net = network(np.eye(2), "exponential")
    report = nninvert.check(net, inputs=[[1e4, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(report.digits.jacobian, [np.nan, 0.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pairs_and_inputs_must_be_finite(net, bad):
    good, other = np.zeros((2, 3)), np.zeros((2, 3))
    other[1, 2] = bad
    for options in ({"inputs": other}, {"pairs": (other, good)}, {"pairs": (good, other)}):
        with pytest.raises(DataError, match="row 1 > column 2"):
            nninvert.check(net, **options)


def test_quick_and_max_condition_are_passed_on(net):
    assert nninvert.check(net, quick=True).quick
    assert nninvert.check(net, max_condition=1.5).ill_conditioned == (
        ("0", "layer_0"),
        ("2", "layer_2"),
    )


# Pairs.


def bare(tmp_path, layers, **options):
    path = str(tmp_path / "weights.npz")
    arrays = {}
    for k, (w, b) in enumerate(layers, 1):
        arrays |= {f"W{k}": w, f"b{k}": b}
    np.savez(path, **arrays)
    return nninvert.load(path, **options)


def test_pairs_tell_which_way_round_square_weights_are(tmp_path, rng):
    layers = [(conditioned(4, 3.0, rng), rng.standard_normal(4)) for _ in range(2)]
    truth = network(dense(*layers[0]), "tanh", dense(*layers[1]), "sigmoid")
    x = rng.standard_normal((6, 4))
    turned = [(w.T.copy(), b) for w, b in layers]
    read = bare(tmp_path, turned, activations="tanh", orientation="out,in")
    report = nninvert.check(read, pairs=(x, truth.forward(x)))
    assert report.pairs.same
    assert report.pairs.reading == "--orientation in,out --activations tanh,sigmoid"
    assert report.pairs.tried > 1
    assert report.layers[1].activation == "sigmoid"


def test_pairs_that_fit_need_no_other_reading(tmp_path, rng):
    layers = [(conditioned(3, 3.0, rng), rng.standard_normal(3))]
    read = bare(tmp_path, layers, activations="tanh")
    x = rng.standard_normal((6, 3))
    report = nninvert.check(read, pairs=(x, read.forward(x)))
    assert report.pairs.same
    assert (report.pairs.reading, report.pairs.tried) == ("", 1)


def test_rows_where_readings_agree_do_not_hide_the_right_one(tmp_path):
    """relu and leaky_relu give the same where all is positive, which is most rows."""
    read = bare(tmp_path, [(np.eye(2), np.zeros(2))], activations="relu")
    x = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 1.0], [-5.0, 1.0]])
    truth = network(np.eye(2), "leaky_relu:0.2")
    report = nninvert.check(read, pairs=(x, truth.forward(x)))
    assert report.pairs.same
    assert "leaky_relu:0.2" in report.pairs.reading


def test_measured_pairs_keep_the_reading_that_was_asked_for(tmp_path, rng):
    layers = [(conditioned(3, 3.0, rng), rng.standard_normal(3))]
    read = bare(tmp_path, layers, activations="tanh")
    x = rng.standard_normal((40, 3))
    measured = read.forward(x) + 0.01 * rng.standard_normal((40, 3))
    report = nninvert.check(read, pairs=(x, measured))
    assert not report.pairs.same
    assert report.pairs.reading == ""
    assert report.pairs.within in ("2%", "3%")
    assert nninvert.invert(read, measured, within=report.pairs.within).solved.mean() >= 0.95


def test_pairs_need_as_many_rows_and_fitting_widths(net):
    with pytest.raises(ShapeError, match="--pairs"):
        nninvert.check(net, pairs=(np.zeros((2, 3)), np.zeros((3, 3))))
    with pytest.raises(ShapeError, match="Y of --pairs"):
        nninvert.check(net, pairs=(np.zeros((2, 3)), np.zeros((2, 4))))


# Sessions.


@pytest.fixture
def factorisations(monkeypatch):
    """How many factorisations were made so far, as a list that grows."""
    made = []
    original = factor.select_factorisation

    def counted(linear_map, context):
        made.append(linear_map.shape)
        return original(linear_map, context)

    monkeypatch.setattr(factor, "select_factorisation", counted)
    return made


def test_a_session_factors_once(net, rng, factorisations):
    y = net.forward(rng.standard_normal((2, 3)))
    with nninvert.Session(net) as session:
        session.check()
        assert len(factorisations) == 2
        first = session.invert(y)
        session.invert(y[:1], dtype=np.float32)
        session.check(target=y)
        assert len(factorisations) == 2
        assert len(session.context.factors) >= 2  # bounds of outputs, too
    assert len(session.context.factors) == 0
    plain = nninvert.invert(net, y)
    assert len(factorisations) == 4
    np.testing.assert_array_equal(first.x, plain.x)
    assert first.status == plain.status


def test_a_session_answers_as_the_functions_do(net, rng):
    y = net.forward(rng.standard_normal((2, 3)))
    context = Context(seed=3)
    with nninvert.Session(net, context) as session:
        assert session.context is context
        found, expected = session.check(target=y), nninvert.check(net, target=y)
        assert found.verdict is expected.verdict
        assert found.sentence == expected.sentence
        np.testing.assert_array_equal(found.target.residual, expected.target.residual)


def test_a_session_forgets_its_factors_after_an_error(net):
    session = nninvert.Session(net)
    session.check()
    with pytest.raises(ShapeError), session:
        session.invert(np.zeros((1, 7)))
    assert len(session.context.factors) == 0


# Loading.


def test_parts_of_a_file(tmp_path, rng):
    layers = [(conditioned(3, 3.0, rng), rng.standard_normal(3)) for _ in range(3)]
    whole = bare(tmp_path, layers, activations="tanh")
    path = whole.source.path
    front = nninvert.load(path, activations="tanh", until="1")
    back = nninvert.load(path, activations="tanh", first="2")
    x = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(
        nninvert.forward(back, nninvert.forward(front, x)), nninvert.forward(whole, x)
    )
