"""Short ways to write down the branches of an activation."""

from __future__ import annotations

import math

from nninvert.layers.activations._base import EVERYTHING, Branch, Interval, Trend

INF = math.inf


def increasing(domain: Interval, image: Interval) -> Branch:
    """A branch that rises over all of `image`."""
    return Branch(domain, image, Trend.INCREASING)


def decreasing(domain: Interval, image: Interval) -> Branch:
    """A branch that falls over all of `image`."""
    return Branch(domain, image, Trend.DECREASING)


def constant(domain: Interval, value: float) -> Branch:
    """A branch with one value."""
    return Branch(domain, Interval(value, value), Trend.CONSTANT)


def between(lower: float, upper: float) -> Interval:
    """The open interval."""
    return Interval(lower, upper, lower_open=True, upper_open=True)


def above(lower: float) -> Interval:
    """All numbers greater than `lower`."""
    return Interval(lower, INF, lower_open=True)


def at_least(lower: float) -> Interval:
    """All numbers from `lower` on."""
    return Interval(lower, INF)


def below(upper: float) -> Interval:
    """All numbers less than `upper`."""
    return Interval(-INF, upper, upper_open=True)


def at_most(upper: float) -> Interval:
    """All numbers up to `upper`."""
    return Interval(-INF, upper)


def ramp(domain: Interval, image: Interval) -> tuple[Branch, ...]:
    """The branches of a function that rises over `domain` and stays at what it reaches."""
    return (
        constant(at_most(domain.lower), image.lower),
        increasing(domain, image),
        constant(at_least(domain.upper), image.upper),
    )


def rising_over(image: Interval) -> tuple[Branch, ...]:
    """The branches of a function that rises everywhere: one."""
    return (increasing(EVERYTHING, image),)
