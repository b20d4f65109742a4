"""Damage to JSON: wrong types, huge numbers, deep nesting, what is missing or twice."""

import json
import random
from copy import deepcopy
from typing import Any

from mutations import damaged_text

_RAW = "@raw@"

_WRONG: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        7,
        64,
        10**6,
        10**12,
        2**31,
        2**63,
        2**64,
        10**300,
    ),
    *(0.0, 0.5, -1.5, 1e300, float("nan"), float("inf"), 1.0, 3.0),
    *(
        "",
        "same",
        "valid",
        "causal",
        "channels_first",
        "relu",
        "softmax",
        "linear",
        "float32",
    ),
    *(
        "Dense",
        "Sequential",
        "Functional",
        "Lambda",
        "Wrapper>x",
        "../x",
        "\0",
        "é",
        "\ud800",
    ),
    *("x" * 5000, "1", "__tensor__", "bfloat16", "tf.nn.relu"),
    *([], [0], [1, 2], [None, 3], [[1, 2]], [[]], [0, 0], [1, 2, 3, 4, 5], ["a", 0, 0]),
    *({}, {"class_name": "Dense"}, {"class_name": "Dense", "config": {}}, {"": 1}),
    *({"class_name": "__tuple__", "items": [1]}, {"config": {"name": "a"}}),
    [1] * 100,
)
_RAW_TEXTS = (
    *("9" * 400, "9" * 5000, "1e999", "-0", "1E+2", "NaN", "-Infinity", "tru", "'a'", "01"),
    *("[" * 90 + "]" * 90, "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000),
    *("[" * 100_000, '"\\ud800"', '"\\u0000"', '{"a":1,"a":2}', "", "1,", ",", "]", "}"),
    '"' + "\\" * 99,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value inside parsed JSON."""
    found = []
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        found.append((*way, key))
        if isinstance(item, dict | list):
            found += places(item, (*way, key))
    return found


class JsonText:
    """A JSON text that can be damaged again and again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = json.loads(text)
        self._places = places(self._parsed)

    def damaged(self, chance: random.Random, other: "JsonText") -> str:
        """One to four changes, written compactly."""
        top = json.loads(self.text)
        raw = None
        for _ in range(min(1 + int(chance.expovariate(0.9)), 4)):
            raw = _spoil(top, chance, self, other) or raw
        made = json.dumps(top, separators=(",", ":"))
        if raw is not None:
            made = made.replace(json.dumps(_RAW), raw)
        if chance.random() < 0.07:
            made = damaged_text(made, other.text, chance)
        return made

    def part(self, chance: random.Random) -> Any:
        """A copy of some value inside, never a very large one."""
        value = _at(self._parsed, chance.choice(self._places))
        made = json.dumps(value)
        return json.loads(made) if len(made) < 2000 else value if _flat(value) else {}

    def choice(self, chance: random.Random) -> tuple[Any, ...]:
        """The way to some value inside."""
        return chance.choice(self._places)


def _flat(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _at(value: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        value = value[key]
    return value


def _spoil(top: Any, chance: random.Random, here: JsonText, other: JsonText) -> str | None:
    """Change one place; the raw text that its mark stands for, if any."""
    *way, last = here.choice(chance)
    try:
        holder = _at(top, tuple(way))
        value = holder[last]
    except (KeyError, IndexError, TypeError):  # an earlier change took it away
        return None
    if _flat(holder):
        return None
    kind = chance.randrange(12)
    if kind == 0:
        del holder[last]
    elif kind <= 3:
        holder[last] = deepcopy(chance.choice(_WRONG))  # later changes go into it
    elif kind <= 6 and isinstance(value, int | float) and not isinstance(value, bool):
        holder[last] = chance.choice((value + 1, value - 1, -value, value * 2, value * 1.5))
    elif kind <= 6:
        holder[last] = chance.choice((here, other)).part(chance)
    elif kind == 7:
        holder[last] = chance.choice(([value], {"": value}, [value, value], str(value)))
    elif kind == 8:
        holder[last] = _RAW
        return chance.choice(_RAW_TEXTS)
    elif isinstance(holder, list):
        _change_list(holder, last, chance)
    else:
        key = chance.choice((*holder, "name", "class_name", "config", "units", "x"))
        holder[key] = holder.pop(last)
    return None


def _change_list(holder: list[Any], last: int, chance: random.Random) -> None:
    kind = chance.randrange(4)
    if kind == 0:
        holder.insert(last, holder[last])
    elif kind == 1:
        holder.reverse()
    elif kind == 2:
        del holder[last:]
    else:
        holder[last : last + 1] = [holder[last]] * 30
