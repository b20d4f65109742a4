"""Guaranteed bounds of what a network can say: intervals and linear relaxations."""

from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.interval import interval_bounds
from nninvert.analysis.bounds.relaxation import (
    Relaxation,
    pre_activation_bounds,
    ranges,
    relax,
)

__all__ = [
    "Box",
    "Relaxation",
    "interval_bounds",
    "pre_activation_bounds",
    "ranges",
    "relax",
]
