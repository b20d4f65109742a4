"""One way to write each kind of number for people.

JSON and tables for programs do not come through here: they hold every digit.
"""

from __future__ import annotations

import math

from nninvert.result import Shape


def count(number: int) -> str:
    """A whole number with thousands separators: 12,480."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """A count and its noun: 1 row, 297 rows."""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def scientific(value: float) -> str:
    """Two digits and a short exponent: 2.6e2, 1.9e-15, 0, inf, nan."""
    if value == 0 or not math.isfinite(value):
        return _special(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def decimal(value: float) -> str:
    """Three digits, written plainly where that is short: 0.21, 2.42, 415, 3.1e-5."""
    if value == 0 or not math.isfinite(value):
        return _special(value)
    if not 1e-3 <= abs(value) < 1e5:
        return scientific(value)
    return _significant(value, 3)


def rounded_up(value: float) -> str:
    """Two digits, never less than `value`: a limit that it meets. For commands."""
    if value == 0 or not math.isfinite(value):
        return _special(value)
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    steps = math.floor(value / unit)
    while float(f"{steps * unit:.2g}") < value:
        steps += 1
    return f"{steps * unit:.2g}"


def percent(fraction: float) -> str:
    """A share of one: 0.4 %, 3 %, 120 %, 2.1e6 %; two digits."""
    value = 100 * fraction
    if value == 0 or not math.isfinite(value):
        return f"{_special(value)} %"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{scientific(value)} %"
    return f"{_significant(value, 2)} %"


def digits(value: float) -> str:
    """Decimal digits, at one decimal: 6.3."""
    return f"{value:.1f}" if math.isfinite(value) else _special(value)


def duration(seconds: float) -> str:
    """A length of time: 0.05 s, 12 s, 3 min 20 s, 1 h 52 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{_significant(seconds, 2 if seconds >= 1 else 1)} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def gigabytes(nbytes: float) -> str:
    """Bytes in memory or on a disk: 9.2 GB, 0.4 GB, 47 MB."""
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e8 else f"{nbytes / 1e6:.0f} MB"


def shape(lengths: Shape) -> str:
    """The shape of one row: 64, 28x28x1."""
    return "x".join(map(str, lengths)) or "1"


def _special(value: float) -> str:
    return "0" if value == 0 else str(float(value))


def _significant(value: float, figures: int) -> str:
    """At most `figures` significant digits, with separators, without trailing zeros."""
    if value == 0:
        return "0"
    places = figures - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    text = f"{rounded:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
