"""Networks of straight pieces as mixed-integer linear programs."""

from nninvert.methods.milp.method import MixedInteger

__all__ = ["MixedInteger"]
