"""Passes divided among threads: the same results, errors and interrupts as of one."""

import threading
import time

import h5py
import numpy as np
import pytest

from nninvert import tolerances
from nninvert.errors import InputError
from nninvert.linalg import passes, streamed
from nninvert.linalg.equilibration import matrix_sizes
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.fused import Pace, PassInterrupted, Scaling, StripedProducts
from nninvert.linalg.hdf5_matrix import Hdf5Matrix
from nninvert.linalg.map import DenseMap
from nninvert.linalg.passes import over_stripes
from nninvert.linalg.stored import ArrayMatrix, NonFinite
from nninvert.linalg.survey import survey_of

SHAPE = (53, 41)
LINE = 8 * max(SHAPE)
TYPES = ("f2", "f4", "f8", ">f4", "V2", "i2")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(tolerances, "PART_BYTES", 5 * LINE)
    monkeypatch.setattr(tolerances, "STRIPE_BYTES", 2 * LINE)


@pytest.fixture
def workers(monkeypatch):
    """Sets how many threads a pass has."""

    def choose(count):
        monkeypatch.setattr(passes, "worker_count", lambda: count)

    choose(3)
    return choose


@pytest.fixture(params=["rows", "columns"])
def turned(request):
    return request.param == "columns"


def stored(tmp_path, turned, kind="f4", in_memory=False):
    values = np.random.default_rng(7).standard_normal(SHAPE[:: -1 if turned else 1]) * 100
    if kind == "V2":
        array = (values.astype("f4").view("u4") >> 16).astype("u2").view("V2")
    else:
        array = values.astype(kind)
    if in_memory:
        matrix = ArrayMatrix(array)
    else:
        path = tmp_path / "weights.bin"
        path.write_bytes(bytes(3) + array.tobytes())
        matrix = FileMatrix(str(path), 3, array.shape, array.dtype, "kernel")
    return matrix.transposed if turned else matrix


def all_results(matrix):
    """What every kind of pass finds, as a flat list of arrays."""
    rng = np.random.default_rng(8)
    m, n = matrix.shape
    x, y = rng.standard_normal((3, n)), rng.standard_normal((3, m))
    pace = Pace(lambda: False)
    products = StripedProducts(matrix, pace, Scaling(np.exp(y[0]), np.exp(x[0])))
    start, offset = (y, x) if products.by_columns else (x, y)
    found = survey_of(DenseMap(matrix), pace, 1)
    sizes = matrix_sizes(matrix)
    results = [
        streamed.product(matrix, x),
        streamed.product(matrix.transposed, y),
        streamed.magnitude(matrix, x),
        *streamed.product_with_magnitude(matrix.transposed, y),
        products.apply(x),
        products.adjoint(y),
        *products.there_and_back(start, offset),
        found.reached,
        found.returned,
        *vars(found.sizes).values(),
        *vars(sizes).values(),
    ]
    assert pace.passes == 4
    return results


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("in_memory", [False, True])
def test_results_are_those_of_one_thread(tmp_path, workers, turned, kind, in_memory):
    if in_memory and kind == "V2":
        pytest.skip("bfloat16 is decoded before it is held in memory")
    matrix = stored(tmp_path, turned, kind, in_memory)
    divided, again = all_results(matrix), all_results(matrix)
    workers(1)
    whole = all_results(matrix)
    for one, two, expected in zip(divided, again, whole, strict=True):
        np.testing.assert_array_equal(one, two)
        # The magnitudes are sums in float32; all others agree to a few roundings.
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_cover_the_matrix_in_order(tmp_path, workers, turned, in_memory, count):
    workers(count)
    matrix = stored(tmp_path, turned, in_memory=in_memory)
    seen = np.full(SHAPE, np.nan)

    def work(stripes):
        spans = []
        for rows, cols, block in stripes:
            assert np.isnan(seen[rows, cols]).all()
            seen[rows, cols] = block
            spans.append((cols if turned else rows).start)
        return threading.get_ident(), spans

    found = over_stripes(matrix, work)
    assert len(found) == count
    assert min(count, 2) <= len({thread for thread, _ in found}) <= count
    starts = [start for _, spans in found for start in spans]
    assert starts == sorted(starts)
    np.testing.assert_array_equal(seen, matrix.to_float64())


def test_small_matrices_large_sums_and_chunks_have_one_part(tmp_path, workers, monkeypatch):
    def parts(matrix, batch=1):
        return len(over_stripes(matrix, lambda stripes: len(list(stripes)), batch))

    matrix = stored(tmp_path, turned=False)
    assert parts(matrix) == 3
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 10 * LINE)
    assert [parts(matrix, batch) for batch in (5, 10, 11)] == [3, 2, 1]
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        file.create_dataset("kernel", data=np.ones(SHAPE), chunks=(9, 9))
    assert parts(Hdf5Matrix(str(tmp_path / "chunks.h5"), "kernel")) == 1
    monkeypatch.setattr(tolerances, "PART_BYTES", 40 * LINE)
    assert parts(matrix) == 1


def test_non_finite_numbers_are_found_in_all_parts(workers, turned):
    values = np.ones(SHAPE, "f4", order="F" if turned else "C")
    values[50, 2], values[3, 40], values[20, 20] = np.nan, np.inf, -np.inf
    matrix = ArrayMatrix(values)
    assert matrix.first_non_finite() == NonFinite(3, 3, 40, np.inf)
    assert not matrix.known_finite
    clean = ArrayMatrix(np.ones(SHAPE, "f4"))
    assert clean.first_non_finite() is None
    assert clean.known_finite


def test_overflow_counts_as_in_the_calling_thread(workers):
    matrix = ArrayMatrix(np.full(SHAPE, 1e308))
    assert matrix_sizes(matrix).norm_inf == np.finfo(float).max
    # Errors of floating point are raised here, so that workers have to raise them.
    with pytest.raises(FloatingPointError):
        over_stripes(matrix, lambda stripes: [block * 10 for _, _, block in stripes])


def test_a_file_that_was_cut_off(tmp_path, workers, turned):
    matrix = stored(tmp_path, turned)
    path = tmp_path / "weights.bin"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="changed while it was in use"):
        DenseMap(matrix).matrix.first_non_finite()
    assert_no_thread_left()


def test_the_first_error_of_a_worker_surfaces_and_the_others_stop(workers):
    matrix = ArrayMatrix(np.ones((4000, 53)))
    taken = []

    def work(stripes):
        for rows, _, _ in stripes:
            taken.append(rows.start)
            if rows.start >= 1333:
                raise KeyError(rows.start)
            time.sleep(1e-3)

    with pytest.raises(KeyError) as caught:
        over_stripes(matrix, work)
    assert caught.value.args[0] in (1333, 2666)
    assert len(taken) < 300, "of 2,000 stripes"
    assert_no_thread_left()


@pytest.mark.parametrize("error", [PassInterrupted, KeyboardInterrupt])
def test_the_caller_is_asked_and_interrupts_all(workers, error):
    matrix = ArrayMatrix(np.ones((4000, 53)))
    taken, askers = [], set()

    def work(stripes):
        for rows, _, _ in stripes:
            taken.append(rows.start)
            time.sleep(1e-3)

    def check():
        askers.add(threading.get_ident())
        if len(taken) > 20:
            raise error

    with pytest.raises(error):
        over_stripes(matrix, work, check=check)
    assert askers == {threading.get_ident()}
    assert len(taken) < 300
    assert_no_thread_left()


def test_the_caller_is_asked_while_it_waits(workers):
    matrix = ArrayMatrix(np.ones(SHAPE))
    waiting = threading.Event()

    def work(stripes):
        spans = [rows.start for rows, _, _ in stripes]
        if spans[0]:  # not the part of the calling thread, which is done at once
            assert waiting.wait(10)
        return spans

    asked = []

    def check():
        asked.append(None)
        if len(asked) > 12:  # a part has 9 stripes
            waiting.set()

    assert len(over_stripes(matrix, work, check=check)) == 3


def test_a_product_is_interrupted(workers, turned, tmp_path):
    matrix = stored(tmp_path, turned)
    pace = Pace(lambda: True)
    with pytest.raises(PassInterrupted):
        StripedProducts(matrix, pace).apply(np.ones((1, SHAPE[1])))
    assert pace.passes == 0
    assert_no_thread_left()


def assert_no_thread_left():
    assert not [t for t in threading.enumerate() if t.name.startswith("nninvert-pass")]
