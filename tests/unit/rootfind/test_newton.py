"""The batched root finder: known roots, hard brackets, honest failures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nninvert.rootfind import newton, solve_monotone

LARGEST = np.finfo(np.float64).max


@pytest.fixture(autouse=True)
def no_floating_point_warning():
    with np.errstate(all="raise", under="ignore"):
        yield


def cube(z):
    with np.errstate(over="ignore"):
        return z**3


def cube_slope(z):
    with np.errstate(over="ignore"):
        return 3.0 * z * z


def logistic(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def logistic_slope(z):
    return 0.25 / np.cosh(np.clip(0.5 * z, -300, 300)) ** 2


def test_roots_of_every_magnitude_from_one_bracket():
    roots = np.array([1e-100, -1e-50, 3.0, -2e100, 0.5, 0.0])
    found = solve_monotone(cube, cube_slope, cube(roots), -1.0, 1.0, 0.3)
    assert found.converged.all()
    np.testing.assert_allclose(found.z[:5], roots[:5], rtol=4e-16)
    assert cube(found.z[5]) == 0.0  # Any z whose cube underflows is a root.


@given(st.floats(-1e100, 1e100), st.floats(-1e3, 1e3), st.floats(0, 1e3))
@settings(deadline=None, max_examples=200)
def test_any_bracket_and_start(root, lower, width):
    y = np.array([root + np.arctan(root)])
    found = solve_monotone(
        lambda z: z + np.arctan(z),
        lambda z: 1.0 + 1.0 / (1.0 + np.minimum(np.abs(z), 1e150) ** 2),
        y,
        lower,
        lower + width,
        lower + 0.9 * width,
    )
    assert found.converged[0]
    assert abs(found.z[0] - root) <= 4 * np.spacing(abs(root))


def test_decreasing_function():
    roots = np.array([0.5, -700.0, 700.0, -1.0])
    found = solve_monotone(
        lambda z: -np.exp(z), lambda z: -np.exp(z), -np.exp(roots), -1.0, 1.0, 0.0
    )
    assert found.converged.all()
    np.testing.assert_allclose(found.z, roots, rtol=1e-15)


def test_newton_alone_would_run_away():
    # From 3 the full Newton step on tanh overshoots to -50 and beyond.
    found = solve_monotone(
        lambda z: np.tanh(z),
        lambda z: 1.0 / np.cosh(z) ** 2,
        np.array([0.1, -0.99, 0.0]),
        -300.0,
        300.0,
        3.0,
    )
    assert found.converged.all()
    np.testing.assert_allclose(found.z[:2], np.arctanh([0.1, -0.99]), rtol=4e-15)
    assert found.z[2] == 0.0


def test_quadratic_convergence_is_used():
    y = np.linspace(2.0, 9.0, 50)
    found = solve_monotone(
        lambda z: z * z, lambda z: 2.0 * z, y, 1.0, 4.0, 2.5, limits=(0.0, LARGEST)
    )
    np.testing.assert_allclose(found.z, np.sqrt(y), rtol=4e-16)
    assert found.steps <= 8


def test_function_whose_last_bits_are_noise_is_solved_to_its_rounding():
    # As near the minimum of gelu: many z have one value of g.
    y = 1.0 + np.linspace(1e-12, 1e-6, 2000)
    found = solve_monotone(
        lambda z: 1.0 + z * z, lambda z: 2.0 * z, y, 0.0, 1.0, 0.5, limits=(0.0, 1.0)
    )
    assert found.converged.all()
    assert (np.abs(found.residual) <= np.spacing(1.0)).all()
    assert (np.abs(found.z - np.sqrt(y - 1.0)) <= np.spacing(1.0) / found.z).all()


def test_wrong_derivative_still_ends_in_the_root():
    roots = np.array([0.3, 1e-200, -5e10])
    found = solve_monotone(
        lambda z: z, lambda z: np.full(z.shape, -1e-30), roots, -1e20, 1e20, 1.0
    )
    assert found.converged.all()
    np.testing.assert_array_equal(found.z, roots)
    assert found.steps <= 70


def test_zero_infinite_and_missing_derivatives_mean_bisection():
    for bad in (0.0, np.inf, np.nan):
        found = solve_monotone(
            lambda z: z,
            lambda z, bad=bad: np.full(z.shape, bad),
            np.array([0.3, -1e-9]),
            -1.0,
            1.0,
            0.5,
        )
        assert found.converged.all()
        np.testing.assert_array_equal(found.z, [0.3, -1e-9])


def test_no_root_is_reported_and_the_nearest_end_given():
    y = np.array([2.0, -1.0, 0.25])
    found = solve_monotone(logistic, logistic_slope, y, -1.0, 1.0, 0.0)
    np.testing.assert_array_equal(found.converged, [False, False, True])
    assert logistic(found.z[0]) == 1.0
    assert logistic(found.z[1]) == 0.0
    np.testing.assert_allclose(found.residual[:2], [-1.0, 1.0])


def test_limits_are_never_passed():
    seen = []

    def square(z):
        seen.append(z.copy())
        return z * z

    y = np.array([-1.0, 0.0, 1e-20, 1e300])
    found = solve_monotone(square, lambda z: 2.0 * z, y, 1.0, 2.0, 1.0, limits=(0.0, 1e154))
    assert min(z.min() for z in seen) == 0.0
    assert max(z.max() for z in seen) <= 1e154
    np.testing.assert_array_equal(found.converged, [False, True, True, True])
    np.testing.assert_allclose(found.z, [0.0, 0.0, 1e-10, 1e150], rtol=1e-15)


def test_targets_that_are_not_finite_do_not_disturb_the_others():
    y = np.array([np.nan, 0.5, np.inf, -np.inf])
    found = solve_monotone(lambda z: z, np.ones_like, y, -1.0, 1.0, 0.0)
    np.testing.assert_array_equal(found.converged, [False, True, False, False])
    assert found.z[1] == 0.5
    assert np.isnan(found.z[[0, 2, 3]]).all()


def test_function_that_turns_nan_is_not_called_converged():
    found = solve_monotone(
        lambda z: np.where(np.abs(z) < 1.0, np.nan, z),
        np.ones_like,
        np.array([0.5, 3.0]),
        -2.0,
        2.0,
        0.0,
    )
    np.testing.assert_array_equal(found.converged, [False, True])


def test_empty_and_input_untouched():
    y = np.array([0.25, 0.5])
    copy = y.copy()
    solve_monotone(logistic, logistic_slope, y, -1.0, 1.0, 0.0)
    np.testing.assert_array_equal(y, copy)
    empty = solve_monotone(logistic, logistic_slope, np.zeros(0), -1.0, 1.0, 0.0)
    assert empty.z.shape == (0,)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e9, 1e9))
@settings(deadline=None, max_examples=200)
def test_midpoint_halves_the_list_of_floats(first, second):
    low, high = np.array([min(first, second)]), np.array([max(first, second)])
    middle = newton._midpoint(low, high)
    assert low <= middle <= high
    ordinals = [int(newton._ordinal(z)[0]) for z in (low, middle, high)]
    assert abs((ordinals[2] - ordinals[1]) - (ordinals[1] - ordinals[0])) <= 1
