"""Guaranteed bounds of what a network can say: intervals and linear relaxations."""

from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.interval import interval_bounds
from nninvert.analysis.bounds.relaxation import pre_activation_bounds

__all__ = ["Box", "interval_bounds", "pre_activation_bounds"]
