"""The cost model: what it chooses, what it promises, and what it refuses."""

import numpy as np
import pytest

from nninvert.context import Context, Disk
from nninvert.errors import MachineError, UsageError
from nninvert.linalg import plan
from nninvert.linalg.map import DenseMap
from nninvert.linalg.rates import Rates, machine_rates
from nninvert.linalg.stored import StoredMatrix

GIB = 2**30
TEN_THOUSAND, HUNDRED_THOUSAND = 10_000, 100_000


class Unread(StoredMatrix):
    """Weights of any size that nobody may look at: a plan reads none."""

    def __init__(self, n, dtype="float32"):
        super().__init__((n, n), dtype)

    def read(self, rows, cols, out=None):
        raise AssertionError("a plan reads no weights")

    def _lines(self, count):
        raise AssertionError("a plan reads no weights")


@pytest.fixture(autouse=True)
def known_machine(monkeypatch):
    monkeypatch.setattr(plan, "machine_rates", lambda: Rates(1.8e11, 8e10, 4e9))


def layer(n, dtype="float32"):
    return DenseMap(Unread(n, dtype))


def test_one_target_is_solved_with_single_precision_in_memory():
    made = plan.plan_square(layer(TEN_THOUSAND), Context(memory=8 * GIB))
    assert (made.engine, made.precision, made.in_file) == ("panel", "float32", False)
    assert 4e8 < made.memory < 6e8
    assert made.disk == 0


def test_many_targets_are_solved_with_double_precision():
    context = Context(memory=8 * GIB, rows=10_000)
    assert plan.plan_square(layer(TEN_THOUSAND), context).precision == "float64"
    context = Context(memory=8 * GIB, rows=30)
    assert plan.plan_square(layer(TEN_THOUSAND), context).precision == "float32"


def test_double_precision_is_not_chosen_where_it_does_not_fit():
    rows, n = 10_000, 12_000
    arrays = plan.SLACK + 64 * n * rows
    short = Context(memory=arrays + 6 * n * n, rows=rows)
    assert plan.plan_square(layer(n), short).precision == "float32"
    enough = Context(memory=arrays + 9 * n * n, rows=rows)
    assert plan.plan_square(layer(n), enough).precision == "float64"


def test_what_exceeds_the_memory_goes_to_a_file_and_stays_within_the_memory():
    context = Context(memory=GIB, disk=Disk(scratch="somewhere"))
    made = plan.plan_square(layer(20_000), context)
    assert made.in_file
    assert made.memory <= GIB
    assert made.most * made.width * 20_000 * 4 > 0.4 * GIB
    assert 1.6e9 < made.disk < 1.8e9


def test_what_takes_long_goes_to_a_file_even_if_it_fits():
    roomy = 200 * GIB
    disk = Disk(scratch="somewhere")
    assert plan.plan_square(layer(60_000), Context(memory=roomy, disk=disk)).in_file
    assert not plan.plan_square(layer(20_000), Context(memory=roomy, disk=disk)).in_file
    # Without a place on the disk there is no choice.
    assert not plan.plan_square(layer(60_000), Context(memory=roomy)).in_file


def test_hundred_thousand_units_take_what_the_readme_says():
    context = Context(memory=16 * GIB, disk=Disk(scratch="somewhere"))
    made = plan.plan_square(layer(HUNDRED_THOUSAND, "float16"), context)
    assert made.in_file
    assert made.memory <= 16 * GIB
    assert 40e9 < made.disk < 41e9
    assert 3600 < made.factor_seconds < 6000


@pytest.mark.parametrize("n", [2_000, 10_000, 48_000, 100_000, 200_000])
def test_no_call_is_predicted_to_take_more_than_two_seconds(n):
    context = Context(memory=200 * GIB)
    made = plan.panel_plan(layer(n), np.dtype(np.float32), context)
    rates = plan.machine_rates()
    panel = n * made.width**2 / (rates.single * plan._PANEL_SHARE)
    triangle = made.width**2 * made.width / rates.single
    assert panel <= 1.05 * plan.CALL_SECONDS
    assert triangle < 0.1
    assert made.width >= 64


def test_too_little_memory_for_three_panels_names_the_least():
    context = Context(memory=80 * 2**20, disk=Disk(scratch="somewhere"))
    with pytest.raises(MachineError, match="at least 37 MiB for three panels") as caught:
        plan.plan_square(layer(100_000), context)
    assert "MiB more" in str(caught.value)
    enough = 64 * 2**20 + 64 * 100_000 + 3 * 32 * 100_000 * 4 + 2**20
    context = Context(memory=enough, disk=Disk(scratch="somewhere"))
    made = plan.plan_square(layer(100_000), context)
    assert made.memory <= enough


def test_engines_can_be_asked_for():
    fits = Context(memory=8 * GIB, engine="lapack")
    assert plan.plan_square(layer(TEN_THOUSAND), fits).precision == "float64"
    asked = Context(memory=8 * GIB, engine="iterative")
    made = plan.plan_square(layer(TEN_THOUSAND), asked)
    assert (made.engine, made.precision, made.disk) == ("iterative", "", 0)
    many = Context(memory=80 * GIB, engine="panel", rows=10_000)
    assert plan.plan_square(layer(TEN_THOUSAND), many).engine == "panel"


def test_lapack_is_refused_where_it_crashes_or_does_not_fit():
    with pytest.raises(UsageError, match="crashes"):
        plan.plan_square(layer(48_000), Context(memory=200 * GIB, engine="lapack"))
    with pytest.raises(MachineError, match=r"expected 0\.9 GB"):
        plan.plan_square(layer(TEN_THOUSAND), Context(memory=GIB // 2, engine="lapack"))


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(UsageError, match="auto, panel, lapack, iterative"):
        plan.plan_square(layer(TEN_THOUSAND), Context(engine="gpu"))


def test_rates_of_this_machine_are_plausible():
    found = machine_rates()
    assert found.single > found.double > 1e8
    assert found.memory > 1e7
    assert found.lu(np.dtype(np.float32)) < found.single
    assert machine_rates() is found
