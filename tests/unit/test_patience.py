"""Work that cannot be interrupted."""

import threading

import pytest

from nninvert.errors import OutOfTime
from nninvert.patience import patiently


def out_of_time():
    raise OutOfTime("the test", got="no time", expected="some")


def nothing():
    pass


def test_what_work_gives_arrives():
    assert patiently(lambda: 7, out_of_time) == 7


def test_work_that_lasts_is_waited_for():
    go_on = threading.Event()
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 2:
            go_on.set()

    assert patiently(lambda: go_on.wait(10.0), look) is True
    assert len(looks) >= 2


def test_what_looking_raises_ends_the_waiting():
    go_on = threading.Event()
    ended = threading.Event()

    def work():
        go_on.wait(10.0)
        ended.set()

    with pytest.raises(OutOfTime):
        patiently(work, out_of_time)
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(10.0)


@pytest.mark.parametrize("kind", [ValueError, MemoryError, RuntimeError])
def test_what_work_raises_arrives(kind):
    def work():
        raise kind("out of order")

    with pytest.raises(kind, match="out of order"):
        patiently(work, nothing)
