"""Root finders: plain functions in, no network known."""

from nninvert.rootfind.newton import ScalarRoots, solve_monotone

__all__ = ["ScalarRoots", "solve_monotone"]
