"""How many threads numpy's BLAS has, and that it gets them back."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nninvert.linalg import threads
from nninvert.linalg.threads import one_blas_thread, worker_count

SOURCE = Path(__file__).parents[3]

needs_openblas = pytest.mark.skipif(
    threads._numpys() is None, reason="numpy has no OpenBLAS here"
)


@pytest.fixture
def two_threads():
    library = threads._numpys()
    before = library.get()
    library.set(2)
    yield library
    library.set(before)


@needs_openblas
def test_one_thread_for_a_while(two_threads):
    with one_blas_thread():
        assert two_threads.get() == 1
        with one_blas_thread():
            assert two_threads.get() == 1
        assert two_threads.get() == 1
        assert worker_count() == 2
    assert two_threads.get() == 2


@needs_openblas
def test_threads_come_back_after_an_error(two_threads):
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert two_threads.get() == 2


@needs_openblas
def test_who_leaves_last_puts_them_back(two_threads):
    entered, leave = threading.Event(), threading.Event()

    def elsewhere():
        with one_blas_thread():
            entered.set()
            leave.wait()

    other = threading.Thread(target=elsewhere)
    with one_blas_thread():
        other.start()
        entered.wait()
    assert two_threads.get() == 1
    leave.set()
    other.join()
    assert two_threads.get() == 2


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(threads, "_numpys", lambda: None)
    assert worker_count() == 1
    with one_blas_thread():
        assert worker_count() == 1


PRINT_COUNT = """
import scipy.linalg
from nninvert.linalg.threads import worker_count
print(worker_count())
"""


@needs_openblas
@pytest.mark.parametrize("count", ["1", "2"])
def test_the_environment_says_how_many(count):
    if int(count) > (os.cpu_count() or 1):
        pytest.skip("OpenBLAS takes no more threads than there are cores")
    done = subprocess.run(
        [sys.executable, "-c", PRINT_COUNT],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": count},
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [count.encode()]
