"""JSON from a model file: parsed within limits, and read field by field with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nninvert.errors import FormatError, LimitError

MAX_DEPTH = 100
"""Nested models and their configurations seen stay below 20."""


MAX_JSON_BYTES = 1 << 26
"""Bytes of a member or file of JSON: architectures seen have a few MiB at most."""


def parse_json(text: str, field: str) -> dict[str, Any]:
    """Parse an object.

    Raises
    ------
    FormatError
        If it is not JSON, not an object, or names a key twice.
    LimitError
        If it is nested too deeply.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise _too_deep(field) from error
    except ValueError as error:
        raise FormatError(
            field,
            got=f"text that is not JSON ({error})",
            expected="a JSON object",
            next_step="The file is damaged, or another program wrote this part.",
        ) from error
    if not isinstance(value, dict):
        raise FormatError(
            field, got=f"JSON of type {type(value).__name__}", expected="an object"
        )
    _check_depth(value, field)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return made


def _check_depth(value: Any, field: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper += item.values()
            elif isinstance(item, list):
                deeper += item
        level = deeper
        if not level:
            return
    raise _too_deep(field)


def _too_deep(field: str) -> LimitError:
    return LimitError(
        field, got="JSON nested very deeply", expected=f"at most {MAX_DEPTH} levels"
    )


class Fields:
    """An object of a configuration, read with the types that are expected.

    Each method takes the names that a field has had, newest first; the first that is
    there counts. A missing field takes the default; without one it is an error.

    Parameters
    ----------
    values : mapping
        As parsed.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def raw(self, *names: str) -> Any:
        """The value as parsed; None if it is missing."""
        for name in names:
            if name in self._values:
                return self._values[name]
        return None

    def text(self, *names: str, default: str | None = None) -> str:
        """A string; null counts as missing."""
        value = self._present(names, default)
        if not isinstance(value, str):
            raise _wrong(names, value, "a text")
        return value

    def whole(self, *names: str) -> int:
        """An integer; 3.0 counts as one, true does not."""
        return as_whole(self._present(names, None), names[0])

    def number(self, *names: str, default: float | None = None) -> float:
        """A finite number, also where Keras wrapped it as a NumPy value."""
        value = plain(self._present(names, default))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(names, value, "a number")
        if not abs(value) <= sys.float_info.max:  # JSON may write longer integers, too
            raise _wrong(names, value, "a finite number")
        return float(value)

    def flag(self, *names: str, default: bool) -> bool:
        """A truth value, or 0 or 1."""
        value = self._present(names, default)
        if not isinstance(value, bool) and value not in (0, 1):
            raise _wrong(names, value, "true or false")
        return bool(value)

    def wholes(self, *names: str) -> tuple[int, ...]:
        """A list of integers, or a single one."""
        value = self._present(names, None)
        items = value if isinstance(value, list) else [value]
        return tuple(as_whole(item, names[0]) for item in items)

    def objects(self, *names: str) -> list[Fields]:
        """A list of objects."""
        value = self._present(names, None)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise _wrong(names, value, "a list of objects")
        return [Fields(item) for item in value]

    def inner(self, *names: str) -> Fields:
        """An object; empty if it is missing."""
        value = self.raw(*names)
        if value is None:
            return Fields({})
        if not isinstance(value, dict):
            raise _wrong(names, value, "an object")
        return Fields(value)

    def _present(self, names: tuple[str, ...], default: Any) -> Any:
        value = self.raw(*names)
        value = default if value is None else value
        if value is None:
            raise FormatError(names[0], got="nothing", expected="a value")
        return value


def plain(value: Any) -> Any:
    """A number or list without the wrapping of a NumPy value.

    Keras 2 writes ``{"type": "ndarray", "value": 6.0}``, Keras 3
    ``{"class_name": "__numpy__", "config": {"value": 6.0, "dtype": "float32"}}``.
    """
    if isinstance(value, dict):
        inner = value.get("config", value)
        if isinstance(inner, dict) and "value" in inner:
            return inner["value"]
    return value


def as_whole(value: Any, field: str) -> int:
    """An integer as JSON may hold it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong((field,), value, "a whole number")
    return value


def _wrong(names: tuple[str, ...], value: Any, expected: str) -> FormatError:
    return FormatError(names[0], got=repr(value), expected=expected)
