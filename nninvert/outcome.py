"""The outcomes that nninvert tells apart, each with the sentence that the user reads."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What a network is, after adjacent affine layers are fused (DESIGN.md, "Verdict")."""

    BIJECTIVE = "BIJECTIVE"
    INJECTIVE = "INJECTIVE"
    SURJECTIVE = "SURJECTIVE"
    NOT_INJECTIVE = "NOT_INJECTIVE"
    SINGULAR = "SINGULAR"
    UNDECIDED = "UNDECIDED"

    @property
    def headline(self) -> str:
        """The verdict as a person reads it."""
        return _HEADLINES[self]


_HEADLINES = {
    Verdict.BIJECTIVE: "BIJECTIVE onto its image: a target has at most one input, and "
    "exact finds it.",
    Verdict.INJECTIVE: "INJECTIVE: a target has at most one input; most targets have none.",
    Verdict.SURJECTIVE: "SURJECTIVE: every target has an input, and usually many.",
    Verdict.NOT_INJECTIVE: "NOT ONE-TO-ONE: different inputs give the same output.",
    Verdict.SINGULAR: "SINGULAR: a target has no input or a whole family of them.",
    Verdict.UNDECIDED: "UNDECIDED: for the whole network it is not decided.",
}


class RowStatus(Enum):
    """What was found for one target. Exactly one holds."""

    SOLVED = "solved"
    UNREACHABLE = "unreachable"
    NEAREST = "nearest"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _STATUS[self]


_STATUS = {
    RowStatus.SOLVED: "f(x) meets the target, recomputed in float64 from the x written",
    RowStatus.UNREACHABLE: "proved: no input gives this target; x is the nearest found",
    RowStatus.NEAREST: "x is the best local least-squares point found; no proof that "
    "none is better",
    RowStatus.STOPPED: "the search ended early: steps, time, an interrupt, or a method "
    "that does not search; x is the best so far",
    RowStatus.FAILED: "nothing finite was found; x is NaN",
}


class Uniqueness(Enum):
    """Whether another input gives the same output."""

    YES = "yes"
    LOCALLY = "locally"
    NO = "no"
    UNKNOWN = "unknown"

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _UNIQUENESS[self]


_UNIQUENESS = {
    Uniqueness.YES: "the only input that gives this output",
    Uniqueness.LOCALLY: "no other input near this one gives this output",
    Uniqueness.NO: "other inputs give this output",
    Uniqueness.UNKNOWN: "not known whether other inputs give this output",
}


class Kind(Enum):
    """How a figure was obtained. Every figure that is printed carries one."""

    EXACT = "exact"
    PROVED = "proved"
    ESTIMATE = "estimate"
    LOWER_BOUND = "lower bound"


class Proof(Enum):
    """Why a row is called UNREACHABLE."""

    NONE = "none"
    OUTPUT_RANGE = "output range"
    PULL_BACK = "pull-back"
    BOUNDS = "bounds"
    INTERVAL = "interval bounds"
    RELAXATION = "linear relaxation"
    FARKAS = "exact certificate"
    COMBINATIONS = "all combinations"

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _PROOFS[self]


_PROOFS = {
    Proof.NONE: "no proof",
    Proof.OUTPUT_RANGE: "the target lies outside the range of the last layer",
    Proof.PULL_BACK: "the only way back leaves the range of an inner layer",
    Proof.BOUNDS: "the only input that gives this target lies outside the bounds",
    Proof.INTERVAL: "interval arithmetic keeps an output away from the target",
    Proof.RELAXATION: "a linear relaxation keeps an output away from the target",
    Proof.FARKAS: "no allowed input gives all outputs together: a linear relaxation has no "
    "solution, and its certificate was checked in exact arithmetic",
    Proof.COMBINATIONS: "the allowed inputs are so few that f was computed at all of them, "
    "and none meets the target",
}
