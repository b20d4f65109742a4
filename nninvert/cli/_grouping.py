"""Options that several commands share, as dataclasses among a command's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints


@dataclass(frozen=True)
class Grouping:
    """A command's parameters, those that are dataclasses spread into their fields.

    Attributes
    ----------
    parameters : tuple of inspect.Parameter
        One for each argument and option, for Typer.
    groups : dict
        Parameter name to dataclass.
    """

    parameters: tuple[inspect.Parameter, ...]
    groups: dict[str, Any]

    @classmethod
    def of(cls, function: Callable[..., int]) -> Grouping:
        """Take the parameters of `function` but its first, the streams."""
        hints = get_type_hints(function, include_extras=True)
        groups: dict[str, Any] = {
            name: kind
            for name, kind in hints.items()
            if is_dataclass(kind) and name != "streams"
        }
        found: list[inspect.Parameter] = []
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            name = parameter.name
            if name in groups:
                found += _options_of(groups[name])
            else:
                found.append(_keyword(name, hints[name], parameter.default))
        return cls(tuple(found), groups)

    def gather(self, values: dict[str, Any]) -> dict[str, Any]:
        """Put the values of single options back into their dataclasses."""
        left = dict(values)
        made = {
            name: kind(**{field.name: left.pop(field.name) for field in fields(kind)})
            for name, kind in self.groups.items()
        }
        return left | made


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_keyword(f.name, hints[f.name], f.default) for f in fields(group)]


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
