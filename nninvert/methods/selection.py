"""Which method is tried on which rows, in which order, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import UsageError
from nninvert.methods import METHODS, LeastSquares, Method, MixedInteger
from nninvert.methods.fixed_inputs import FixedInputs
from nninvert.methods.milp.chain import bends
from nninvert.methods.problem import Problem
from nninvert.methods.whole_numbers import WholeNumbers
from nninvert.methods.whole_points import is_listed

MILP_UNITS = 200
"""Units that bend beyond which a mixed-integer program hardly ever ends in time."""

LEFT = "rows that are left: is there an x at all?"

MILP_SECONDS = 60.0
"""That milp may take where it was not asked for."""


@dataclass(frozen=True)
class Choice:
    """One method for a group of rows.

    Attributes
    ----------
    method : Method
    rows : bool array, shape (rows,)
        Tried on those of these rows that are not decided yet.
    why : str
    """

    method: Method
    rows: NDArray[np.bool_]
    why: str


def select_method(problem: Problem, requested: str) -> tuple[Choice, ...]:
    """Choose methods for groups of rows, to be tried in order.

    ==========================================  =======================================
    rows                                        methods
    ==========================================  =======================================
    ``--method NAME``                           that one alone
    all inputs are fixed                        fixed: there is one x
    some inputs are whole numbers               whole alone where there are so few x that
                                                all are looked at; with ``--near`` whole,
                                                then milp; else milp, then whole
    a tolerance is asked for (``--within``)     lsq: the x nearest to ``--near``, then milp
    several x may do and ``--near`` is given    lsq, then milp
    some outputs do not matter                  lsq, then milp
    one-to-one layer by layer                   exact, then lsq for what it left
    all others                                  pinv, then lsq, then milp for what is left
    ==========================================  =======================================

    milp, for networks of straight pieces with no more than `MILP_UNITS` units that bend,
    gets `MILP_SECONDS` for all rows together: it looks whether there is an x at all.

    Raises
    ------
    UsageError
        If the requested method is unknown or cannot be used on this problem.
    """
    if requested != "auto":
        return (_requested(problem, requested),)
    if problem.domain.integer.any() and not problem.domain.is_point:
        return _whole(problem)
    return (*_local(problem), *_global(problem, LEFT))


def _whole(problem: Problem) -> tuple[Choice, ...]:
    """Among whole numbers a program sees all x; a search sees few of them."""
    whole = WholeNumbers(METHODS["lsq"]())
    _require(whole.obstacle(problem), "--integer")
    every = np.ones(problem.rows, dtype=np.bool_)
    last = Choice(whole, every, "some inputs are whole numbers")
    if is_listed(problem.domain):
        return (last,)
    if problem.near_is_given:
        # Nearest as everywhere else, not in the 1-norm.
        return (last, *_global(problem, LEFT))
    return (*_global(problem, "is there an x with whole numbers at all?"), last)


def _local(problem: Problem) -> tuple[Choice, ...]:
    """Formulas and searches."""
    exact, pinv, lsq = (METHODS[name]() for name in ("exact", "pinv", "lsq"))
    every = np.ones(problem.rows, dtype=np.bool_)
    if problem.domain.is_point:
        return (Choice(FixedInputs(), every, "all inputs are fixed"),)
    partial = np.asarray(~problem.targets.wanted.all(axis=1))
    lsq_obstacle = lsq.obstacle(problem)
    if problem.within is not None:
        _require(lsq_obstacle, "--within")
        return (Choice(lsq, every, "the nearest input that meets the tolerance"),)
    choices = []
    if partial.any():
        _require(lsq_obstacle, "--nan-is-free")
        choices.append(Choice(lsq, partial, "some outputs do not matter"))
    obstacle = exact.obstacle(problem)
    if not obstacle:
        why = "square layers, invertible activations"
        choices.append(Choice(exact, ~partial, f"layer by layer ({why})"))
        then = "rows that have no answer layer by layer"
    elif problem.near_is_given and not lsq_obstacle:
        choices.append(Choice(lsq, ~partial, f"{obstacle}; the nearest to --near"))
        return tuple(choices)
    else:
        choices.append(Choice(pinv, ~partial, f"not exact: {obstacle}"))
        then = "rows that pseudo-inverses left unsolved"
    if not lsq_obstacle:
        choices.append(Choice(lsq, ~partial, then))
    return tuple(choices)


def _global(problem: Problem, why: str) -> tuple[Choice, ...]:
    """A mixed-integer program for all rows that are open, if it is small enough."""
    milp = MixedInteger(seconds=MILP_SECONDS)
    if problem.domain.is_point or milp.obstacle(problem):
        return ()
    bent = bends(problem.network)
    if not 0 < bent <= MILP_UNITS:
        return ()
    every = np.ones(problem.rows, dtype=np.bool_)
    return (Choice(milp, every, f"{why} ({MILP_SECONDS:.0f} s at most)"),)


def _requested(problem: Problem, name: str) -> Choice:
    if name not in METHODS:
        raise UsageError(
            "--method",
            got=repr(name),
            expected="auto, " + ", ".join(METHODS),
        )
    method = METHODS[name]()
    if problem.domain.integer.any() and isinstance(method, LeastSquares):
        method = WholeNumbers(method)
    _require(method.obstacle(problem), f"--method {name}")
    return Choice(method, np.ones(problem.rows, dtype=np.bool_), "asked for")


def _require(obstacle: str, option: str) -> None:
    if obstacle:
        raise UsageError(
            option,
            got=obstacle,
            expected="a network that this can be used on",
            next_step="Leave the choice to --method auto",
        )
