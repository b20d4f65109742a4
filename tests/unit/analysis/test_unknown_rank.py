"""A rank that is not known is neither full nor deficient: nothing is claimed of it."""

import numpy as np
import pytest

import nninvert
from nninvert.analysis import findings, invertibility
from nninvert.linalg.condition import Spectrum
from nninvert.outcome import Kind, Verdict


def spectrum(rank, kind, smallest=0.1):
    return Spectrum((3, 3), 2.0, smallest, rank, rank, kind, "three steps")


@pytest.fixture
def check(monkeypatch):
    def checked(found):
        for module in (findings, invertibility):
            monkeypatch.setattr(module, "spectrum_of", lambda layer, context: found)
        return nninvert.check(nninvert.from_arrays([(np.eye(3), None, "tanh")]))

    return checked


def test_a_bound_alone_decides_nothing(check):
    report = check(spectrum(None, Kind.LOWER_BOUND))
    assert report.verdict is Verdict.UNDECIDED
    assert report.layers[0].one_to_one is None
    assert "rank is not known (three steps)" in report.sentence
    assert report.witness is None


def test_an_estimate_that_counts_as_zero_is_singular(check):
    report = check(spectrum(None, Kind.ESTIMATE, smallest=0.0))
    assert report.verdict is Verdict.SINGULAR
    assert report.layers[0].one_to_one is False


def test_a_full_rank_with_a_bound_of_the_condition_is_enough(check):
    assert check(spectrum(3, Kind.LOWER_BOUND)).verdict is Verdict.BIJECTIVE


def test_deficiency_has_three_answers():
    assert spectrum(3, Kind.ESTIMATE).deficient is False
    assert spectrum(2, Kind.LOWER_BOUND).deficient is True
    assert spectrum(None, Kind.ESTIMATE).deficient is True
    assert spectrum(None, Kind.LOWER_BOUND).deficient is None
