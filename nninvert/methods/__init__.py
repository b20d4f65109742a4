"""How a target is inverted: problems, methods, their choice, and the one driver."""

from nninvert.methods._base import Attempt, Method
from nninvert.methods.domain import Domain
from nninvert.methods.layerwise import Exact, PseudoInverse
from nninvert.methods.lsq import LeastSquares
from nninvert.methods.milp import MixedInteger
from nninvert.methods.problem import Problem, Targets

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Exact, PseudoInverse, LeastSquares, MixedInteger)
}

__all__ = [
    "METHODS",
    "Attempt",
    "Domain",
    "Exact",
    "LeastSquares",
    "Method",
    "MixedInteger",
    "Problem",
    "PseudoInverse",
    "Targets",
]
