"""The files of ``--input-scaler`` and ``--output-scaler``: how data were scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.archive import ZIP_MAGIC
from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.arrays.text import cells_of, not_a_number, number_of, separator_of
from nninvert.arrays.text_file import lines_of
from nninvert.errors import DataError, ShapeError, shortlist
from nninvert.files import read_head
from nninvert.npz import list_npz

Float64 = NDArray[np.float64]

_STANDARD = ("mean", "scale")
_MIN_MAX = ("min", "max")
_RANGE = ("range_min", "range_max")
_FEATURE_RANGE = "feature_range"
_EXPECTED = "mean and scale, or min and max"


@dataclass(frozen=True, eq=False, slots=True)
class Scaler:
    """``scaled = factor (measured - centre) + value``, number by number.

    Parameters
    ----------
    centre, factor, value : float64 arrays, shape (n,)
        The mean, or the middle between least and largest value; one over the scale, or
        the width of the range over that of the data; what the centre becomes.
    names : tuple of str or None
        What the numbers are called, where the file says it.
    source : str
        The file.
    """

    centre: Float64
    factor: Float64
    value: Float64
    names: tuple[str, ...] | None
    source: str

    def ordered(self, names: tuple[str, ...] | None) -> Scaler:
        """The numbers in the order of `names`, where a table has just these."""
        if names is None or self.names is None or sorted(names) != sorted(self.names):
            return self
        order = [self.names.index(name) for name in names]
        centre, factor, value = self.centre[order], self.factor[order], self.value[order]
        return Scaler(centre, factor, value, names, self.source)


def read_scaler(path: str, role: str) -> Scaler:
    """Read mean and scale, or min and max, from an NPZ file or a CSV.

    Parameters
    ----------
    path : str
        NPZ: the arrays ``mean`` and ``scale`` (``scaled = (x - mean) / scale``), or
        ``min`` and ``max`` and, if it is not 0 to 1, ``feature_range``. CSV: a column for
        each number, named by the header, and lines that begin with mean and scale, or
        with min and max, and range_min and range_max.
    role : str
        For messages: "--input-scaler".

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        If an array is missing, unknown, not finite, or a scale is not above 0.
    ShapeError
        If they have different lengths.
    """
    place = Place(path, role)
    names = None
    if read_head(path).startswith(ZIP_MAGIC):
        given = _from_npz(place)
    else:
        names, given = _from_csv(place)
    for name, values in given.items():
        if not np.isfinite(values).all():
            raise _error(
                place, name, f"{values[~np.isfinite(values)][0]}", "finite numbers"
            )
    found = {frozenset(given) - {*_RANGE, _FEATURE_RANGE}}
    if found == {frozenset(_STANDARD)}:
        return _standard(given, names, place)
    if found == {frozenset(_MIN_MAX)}:
        return _min_max(given, names, place)
    got = shortlist(list(given)) if given else "nothing"
    raise DataError(place.inside(), got=got, expected=_EXPECTED, file=path)


def _standard(
    given: Mapping[str, Float64], names: tuple[str, ...] | None, place: Place
) -> Scaler:
    for name in given:
        if name not in _STANDARD:
            because = "a range belongs to min and max"
            raise _error(place, name, "values", "no such array", because)
    mean, scale = _alike({name: given[name] for name in _STANDARD}, place)
    _require_above(scale, 0.0, "scale", "above 0, as it is divided by", names, place)
    factor = _quotient(np.ones(scale.size), scale, "scale", place)
    return Scaler(mean, factor, np.zeros(mean.size), names, place.file)


def _min_max(
    given: Mapping[str, Float64], names: tuple[str, ...] | None, place: Place
) -> Scaler:
    least, most = _alike({name: given[name] for name in _MIN_MAX}, place)
    _require_above(most, least, "max", "above min", names, place)
    low, high = _range(given, least.size, place)
    # Halves, for a difference of two numbers can be twice the largest there is.
    span = 0.5 * most - 0.5 * least
    return Scaler(
        0.5 * least + 0.5 * most,
        _quotient(0.5 * high - 0.5 * low, span, "max", place),
        0.5 * low + 0.5 * high,
        names,
        place.file,
    )


def _quotient(above: Float64, below: Float64, name: str, place: Place) -> Float64:
    """The factors, refused where they leave the range of numbers."""
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        found = above / below
    if not (np.isfinite(found) & (found > 0.0)).all():
        got = "a scale out of all proportion"
        raise _error(place, name, got, "factors between 1e-308 and 1e308")
    return found


def _range(given: Mapping[str, Float64], n: int, place: Place) -> tuple[Float64, Float64]:
    """What least and largest values become: 0 and 1 where nothing is said."""
    if _FEATURE_RANGE in given:
        both = given[_FEATURE_RANGE]
        if both.size != 2:
            raise ShapeError(
                _FEATURE_RANGE,
                got=f"{both.size} numbers",
                expected="2: what min and max become",
                file=place.file,
            )
        low, high = np.full(n, both[0]), np.full(n, both[1])
    elif any(name in given for name in _RANGE):
        for name in _RANGE:
            if name not in given:
                raise _error(place, name, "nothing", "what min and max become, both")
        low, high = _alike({name: given[name] for name in _RANGE}, place)
    else:
        low, high = np.zeros(n), np.ones(n)
    if not (high > low).all():
        text = f"{low[0]:g} to {high[0]:g}"
        raise _error(place, _FEATURE_RANGE, text, "a range that ascends")
    return low, high


def _alike(arrays: Mapping[str, Float64], place: Place) -> tuple[Float64, Float64]:
    """Two arrays of one length."""
    (one, first), (two, second) = arrays.items()
    if first.size != second.size:
        raise ShapeError(
            two,
            got=f"{second.size} numbers",
            expected=f"{first.size}",
            because=f"'{one}' has as many",
            file=place.file,
        )
    return first, second


def _require_above(
    values: Float64,
    limit: Float64 | float,
    name: str,
    expected: str,
    names: tuple[str, ...] | None,
    place: Place,
) -> None:
    wrong = np.flatnonzero(~(values > limit))
    if wrong.size:
        index = int(wrong[0])
        which = f"'{names[index]}'" if names else f"number {index}"
        got = f"{values[index]:g} for {which}"
        raise _error(place, name, got, expected)


def _error(
    place: Place, field: str, got: str, expected: str, because: str = ""
) -> DataError:
    return DataError(field, got=got, expected=expected, because=because, file=place.file)


def _from_npz(place: Place) -> dict[str, Float64]:
    listing = list_npz(place.file)
    known = (*_STANDARD, *_MIN_MAX, _FEATURE_RANGE)
    names = [*listing.arrays, *listing.refused]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise _error(
            place,
            unknown[0],
            "an array of this name",
            shortlist(known),
            "scikit-learn's min_ and scale_ of a MinMaxScaler, for instance, mean other "
            "things than data_min_ and data_max_",
        )
    for error in listing.refused.values():
        raise error
    for name, member in listing.arrays.items():
        check_type(member.header.dtype, Place(place.file, name))
    return {
        name: member.read().astype(np.float64).ravel()
        for name, member in listing.arrays.items()
    }


def _from_csv(place: Place) -> tuple[tuple[str, ...], dict[str, Float64]]:
    lines = lines_of(place, "CSV")
    number, text = lines[0] if lines else (1, "")
    separator = separator_of(text)
    header = cells_of(text, separator, place, number)
    if len(header) < 2 or any(number_of(cell) is not None for cell in header):
        raise DataError(
            place.inside(f"line {number}"),
            got=repr(text.strip()[:60]),
            expected="a header: one word, then the name of each number",
            file=place.file,
        )
    known = (*_STANDARD, *_MIN_MAX, *_RANGE)
    found: dict[str, Float64] = {}
    for number, text in lines[1:]:
        label, *cells = cells_of(text, separator, place, number)
        line = f"line {number}"
        if label not in known or label in found:
            got = f"'{label}' once more" if label in found else f"'{label}'"
            raise DataError(
                place.inside(line), got=got, expected=shortlist(known), file=place.file
            )
        if len(cells) != len(header) - 1:
            raise ShapeError(
                f"{line} > {label}",
                got=f"{len(cells)} numbers",
                expected=f"{len(header) - 1}, as the header says",
                file=place.file,
            )
        values = []
        for name, cell in zip(header[1:], cells, strict=True):
            value = number_of(cell)
            if value is None:
                raise not_a_number(cell, text, number, name, place)
            values.append(value)
        found[label] = np.array(values)
    return tuple(header[1:]), found
