"""Context: factors within a budget, events, stopping."""

from dataclasses import dataclass

import pytest

from nninvert.context import Context, FactorStore, Notice, Progress, available_memory


@dataclass
class Item:
    nbytes: int


def test_a_factor_is_built_once():
    store, built = FactorStore(100), []
    for _ in range(2):
        store.get_or_build(("a",), lambda: built.append(1) or Item(10))
    assert (len(built), len(store), store.nbytes) == (1, 1, 10)


def test_the_least_recently_used_goes_first():
    store = FactorStore(25)
    for key in ("a", "b"):
        store.get_or_build((key,), lambda: Item(10))
    first = store.get_or_build(("a",), lambda: Item(99))
    assert first.nbytes == 10
    store.get_or_build(("c",), lambda: Item(10))
    assert store.nbytes == 20
    assert store.get_or_build(("a",), lambda: Item(1)) is first
    assert store.get_or_build(("b",), lambda: Item(1)).nbytes == 1


def test_what_is_larger_than_the_budget_is_handed_out_and_drives_nothing_out():
    store = FactorStore(25)
    kept = store.get_or_build(("a",), lambda: Item(10))
    assert store.get_or_build(("b",), lambda: Item(26)).nbytes == 26
    assert (len(store), store.nbytes) == (1, 10)
    assert store.get_or_build(("a",), lambda: Item(1)) is kept


def test_clear_forgets():
    store = FactorStore(25)
    store.get_or_build(("a",), lambda: Item(10))
    store.clear()
    assert len(store) == 0


def test_events_go_to_the_listener():
    events = []
    context = Context(listener=events.append)
    context.emit(Progress("checking", 1, 2))
    context.emit(Notice("a sentence"))
    assert events == [Progress("checking", 1, 2), Notice("a sentence")]


def test_a_silent_context_takes_events():
    Context().emit(Notice("nobody listens"))


def test_interrupt_stops():
    context = Context()
    assert not context.should_stop()
    assert not context.interrupted
    context.interrupt()
    assert context.should_stop()
    assert context.interrupted


def test_time_limit_counts_from_the_construction(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    context = Context(time_limit=5.0)
    now[0] = 105.0
    assert not context.should_stop()
    now[0] = 105.1
    assert context.should_stop()
    assert context.elapsed == pytest.approx(5.1)
    assert not Context().should_stop()


def test_memory_is_a_share_of_what_is_free():
    context = Context()
    assert 0 < context.memory <= available_memory() * 1.2
    assert Context(memory=1000).factors.budget == 1000


def test_contexts_do_not_share_factors():
    assert Context().factors is not Context().factors
