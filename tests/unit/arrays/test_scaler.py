"""Files with mean and scale, or min and max."""

import numpy as np
import pytest

from nninvert.arrays.scaler import read_scaler
from nninvert.errors import DataError, InputError, NninvertError, ShapeError

ROLE = "--input-scaler"


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "s.csv"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / "s.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


def scaled(found, x):
    return found.factor * (np.asarray(x) - found.centre) + found.value


def test_mean_and_scale(npz, csv):
    mean, scale = np.array([1.0, -2.0]), np.array([0.5, 4.0], dtype=np.float32)
    found = read_scaler(npz(mean=mean, scale=scale), ROLE)
    x = np.array([[3.0, 7.0], [0.0, 1.5]])
    np.testing.assert_allclose(scaled(found, x), (x - mean) / scale, rtol=1e-15)
    np.testing.assert_array_equal(found.centre, mean)
    assert found.names is None
    text = read_scaler(csv("# how\n,T,'p'\nscale,0.5,4\nmean,1,-2\n"), ROLE)
    np.testing.assert_array_equal(scaled(text, x), scaled(found, x))
    assert text.names == ("T", "'p'")


def test_min_and_max(npz, csv):
    least, most = np.array([-1.0, 10.0]), np.array([1.0, 30.0])
    found = read_scaler(npz(min=least, max=most), ROLE)
    np.testing.assert_allclose(scaled(found, [least, most]), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(found.centre, [0.0, 20.0])
    ranged = npz(min=least, max=most, feature_range=np.array([-1, 3]))
    np.testing.assert_allclose(
        scaled(read_scaler(ranged, ROLE), [least, most]), [[-1, -1], [3, 3]]
    )
    text = csv("name;a;b\nmin;-1;10\nmax;1;30\nrange_min;-1;-1\nrange_max;3;3\n")
    np.testing.assert_allclose(
        scaled(read_scaler(text, ROLE), [least, most]), [[-1, -1], [3, 3]]
    )


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mean": [1.0]}, "got mean, expected mean and scale, or min and max"),
        ({"mean": [1.0], "min": [0.0]}, "expected mean and scale, or min and max"),
        ({"mean": [0.0] * 2, "scale": [1.0, 0.0]}, "scale: got 0 for number 1"),
        ({"mean": [0.0], "scale": [-1.0]}, "scale: got -1 for number 0"),
        ({"mean": [np.nan], "scale": [1.0]}, "mean: got nan, expected finite"),
        ({"min": [1.0], "max": [1.0]}, "max: got 1 for number 0, expected above min"),
        ({"mean": [0.0], "scale": [1.0], "var_": [1.0]}, "var_: got an array of"),
        ({"min": [0], "max": [1], "feature_range": [1, 0]}, "a range that ascends"),
        ({"mean": [0], "scale": [1], "feature_range": [0, 1]}, "belongs to min and max"),
        ({"mean": [0.0], "scale": [1.0 + 2.0j]}, "scale: got complex numbers"),
        ({"mean": [0.0], "scale": [1e-309]}, "scale: got a scale out of all proportion"),
        ({"min": [0.0], "max": [5e-324]}, "max: got a scale out of all proportion"),
    ],
)
def test_what_cannot_be_meant(npz, arrays, words):
    path = npz(**{name: np.array(values) for name, values in arrays.items()})
    with pytest.raises(DataError) as caught:
        read_scaler(path, ROLE)
    message = str(caught.value)
    assert words in message
    assert message.startswith(path)


def test_the_widest_range_of_all(npz):
    most = np.array([1.7e308])
    found = read_scaler(npz(min=-most, max=most), ROLE)
    np.testing.assert_allclose(found.factor, 0.5 / most)
    np.testing.assert_array_equal(found.value, [0.5])


@pytest.mark.parametrize(
    "arrays",
    [
        {"mean": np.zeros(3), "scale": np.ones(2)},
        {"min": np.zeros(2), "max": np.ones(2), "feature_range": np.ones(3)},
    ],
)
def test_lengths_that_differ(npz, arrays):
    with pytest.raises(ShapeError):
        read_scaler(npz(**arrays), ROLE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3\n4,5,6\n", "a header"),
        ("", "an empty file"),
        ("x,a,b\nmean,1,2\nscale,1\n", "line 3 > scale: got 1 numbers"),
        ("x,a\nmean,1\nmean,2\n", "'mean' once more"),
        ("x,a\nmean,1\nstd,2\n", "line 3: got 'std'"),
        ("x,a\nmean,1\nscale,many\n", "many"),
        ("x,a\nmin,1\nmax,2\nrange_min,0\n", "range_max: got nothing"),
        ("x,a\nmean,1\nscale,inf\n", "scale: got inf"),
    ],
)
def test_tables_that_cannot_be_meant(csv, text, words):
    with pytest.raises(NninvertError) as caught:
        read_scaler(csv(text), ROLE)
    assert words in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(InputError):
        read_scaler(str(tmp_path / "none.npz"), ROLE)
