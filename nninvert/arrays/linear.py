"""Linear relations as people write them: ``feed_T + 2*(flow - 1) <= 30``.

A relation is read by recursive descent into sums of inputs; nothing is ever evaluated as
code. The grammar, with blanks anywhere::

    relation = sum ("<=" sum)+ | sum (">=" sum)+ | sum "==" sum
    sum      = product (("+" | "-") product)*
    product  = factor (("*" | "/") factor)*
    factor   = ("+" | "-")* (number | name | "(" sum ")")
    name     = letters, digits, _ and ., then [index]; anything else in "double quotes"

Of two factors one must be free of inputs, and so must a divisor.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from nninvert.arrays.place import Place
from nninvert.errors import DataError

DEEPEST = 50
"""Parentheses inside each other; more are no formula of a person."""

OPERAND = "a number, the name of an input or '('"
RELATION = "<=, >= or =="
SUPPORTED = f"linear relations such as feed_T + 2*flow <= 30, with {RELATION}"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[^\W\d][\w.]*(?:\[\w+(?:\s*,\s*\w+)*\])*)
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<sign><=|>=|==|[-+*/()])
      | (?P<end>\#|$)
      | (?P<other>\*\*|!=|<>|=<|=>|.)
    )""",
    re.VERBOSE,
)

_HINTS = {
    "<": "Write <=: no computed number can tell the two apart.",
    ">": "Write >=: no computed number can tell the two apart.",
    "=": "Write ==.",
    "=<": "Write <=.",
    "=>": "Write >=.",
    ",": "Write 0.5, not 0,5; one relation stands on each line.",
    ";": "One relation stands on each line.",
    "^": "Powers are not linear; only sums of multiples of inputs are supported.",
    "'": 'Put a name with other characters in "double quotes".',
    '"': "A quote is not closed.",
    "[": 'Put a name with other characters in "double quotes".',
}


@dataclass(frozen=True, slots=True)
class LinearRelation:
    """``lower <= sum of coefficient * input <= upper``.

    Attributes
    ----------
    text : str
        As it was written.
    line : int
        Its line in the file, from 1.
    terms : tuple of (str, float)
        Inputs and their coefficients, finite and not zero; each input once.
    lower, upper : float
        One of them infinite, or both equal.
    """

    text: str
    line: int
    terms: tuple[tuple[str, float], ...]
    lower: float
    upper: float


def parse_relations(line: str, number: int, place: Place) -> tuple[LinearRelation, ...]:
    """Read one line; a chain such as ``0 <= a <= b`` gives several relations.

    Parameters
    ----------
    line : str
        Not blank; may end in a comment.
    number : int
        Of the line, from 1.
    place : Place
        For messages.

    Raises
    ------
    DataError
        Naming line and character of what cannot be read, and what is supported.
    """
    parser = _Parser(_tokens(line, number, place), line, number, place)
    return parser.relations()


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of the line and the 0-based character at which it begins."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class _Sum:
    """constant + sum of coefficient * input."""

    constant: float
    terms: dict[str, float]

    def plus(self, other: _Sum, factor: float = 1.0) -> _Sum:
        terms = dict(self.terms)
        for name, coefficient in other.terms.items():
            terms[name] = terms.get(name, 0.0) + factor * coefficient
        return _Sum(self.constant + factor * other.constant, terms)

    def times(self, factor: float) -> _Sum:
        return _Sum(0.0, {}).plus(self, factor)

    @property
    def is_finite(self) -> bool:
        return all(math.isfinite(v) for v in (self.constant, *self.terms.values()))


def _tokens(line: str, number: int, place: Place) -> list[_Token]:
    tokens, position = [], 0
    while True:
        found = _TOKEN.match(line, position)
        assert found is not None, "the last alternative takes any character"
        kind = str(found.lastgroup)
        tokens.append(_Token(kind, found[kind], found.start(kind)))
        if kind == "end":
            return tokens
        position = found.end()


class _Parser:
    """One line, token by token."""

    def __init__(self, tokens: list[_Token], line: str, number: int, place: Place) -> None:
        self.tokens, self.line, self.number, self.place = tokens, line, number, place
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def taken(self, *signs: str) -> _Token | None:
        """The next token if it is one of these signs; then it is behind us."""
        token = self.token
        if token.kind != "sign" or token.text not in signs:
            return None
        self.next += 1
        return token

    def relations(self) -> tuple[LinearRelation, ...]:
        """The whole line."""
        sides, signs = [self.sum()], list[_Token]()
        while sign := self.taken("<=", ">=", "=="):
            if signs and (sign.text != signs[0].text or sign.text == "=="):
                raise self.refused(
                    sign,
                    f"'{sign.text}' after '{signs[0].text}'",
                    "one relation, or a chain such as 0 <= a <= b",
                )
            signs.append(sign)
            sides.append(self.sum())
        if self.token.kind != "end":
            raise self.unexpected(
                "an operator, " + RELATION if not signs else "an operator"
            )
        if not signs:
            raise self.refused(self.token, "no relation", RELATION)
        return tuple(
            self.relation(left, sign, right)
            for left, sign, right in zip(sides, signs, sides[1:], strict=False)
        )

    def relation(self, left: _Sum, sign: _Token, right: _Sum) -> LinearRelation:
        """``left sign right`` with all inputs on one side."""
        joined = left.plus(right, -1.0)
        self.require_finite(joined, sign)
        # Adding zero turns -0.0 into 0.0.
        terms = tuple((k, v) for k, v in joined.terms.items() if v != 0.0)
        limit = 0.0 - joined.constant
        if not terms:
            got = "inputs that cancel" if joined.terms else "no input"
            raise self.refused(sign, f"{got} in '{self.line.strip()}'", SUPPORTED)
        return LinearRelation(
            self.text,
            self.number,
            terms,
            lower=-math.inf if sign.text == "<=" else limit,
            upper=math.inf if sign.text == ">=" else limit,
        )

    @property
    def text(self) -> str:
        return self.line[: self.tokens[-1].start].strip()

    def sum(self) -> _Sum:
        """Products added up."""
        total = self.product()
        while sign := self.taken("+", "-"):
            total = total.plus(self.product(), -1.0 if sign.text == "-" else 1.0)
        return total

    def product(self) -> _Sum:
        """Factors multiplied and divided, all but one of them numbers."""
        total = self.factor()
        while sign := self.taken("*", "/"):
            if self.token.kind == "sign" and self.token.text == "*":
                raise self.refused(sign, "'**'", "no powers", _HINTS["^"])
            factor = self.factor()
            if factor.terms and (total.terms or sign.text == "/"):
                got = "a division by" if sign.text == "/" else "a product with"
                name = next(iter(factor.terms))
                raise self.refused(sign, f"{got} the input '{name}'", SUPPORTED)
            if sign.text == "/" and factor.constant == 0.0:
                raise self.refused(sign, "a division by zero", "another divisor")
            if sign.text == "/":
                total = self.divided(total, factor.constant)
            elif factor.terms:
                total = factor.times(total.constant)
            else:
                total = total.times(factor.constant)
            self.require_finite(total, sign)
        return total

    @staticmethod
    def divided(total: _Sum, divisor: float) -> _Sum:
        terms = {name: value / divisor for name, value in total.terms.items()}
        return _Sum(total.constant / divisor, terms)

    def factor(self) -> _Sum:
        """A number, an input, or a sum in parentheses, with its signs."""
        factor = 1.0
        while sign := self.taken("+", "-"):
            factor = -factor if sign.text == "-" else factor
        token = self.token
        if self.taken("("):
            found = self.parenthesis(token)
        elif token.kind == "number":
            found = _Sum(self.number_in(token), {})
        elif token.kind in ("name", "quoted"):
            found = _Sum(0.0, {self.name_in(token): 1.0})
        else:
            raise self.unexpected(OPERAND)
        return found.times(factor)

    def parenthesis(self, opened: _Token) -> _Sum:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refused(opened, f"more than {DEEPEST} open parentheses", "fewer")
        found = self.sum()
        if not self.taken(")"):
            raise self.unexpected("an operator or ')'")
        self.depth -= 1
        return found

    def number_in(self, token: _Token) -> float:
        self.next += 1
        value = float(token.text)
        if not math.isfinite(value):
            raise self.refused(token, f"'{token.text}'", "a number below 1.8e308")
        after = self.token
        if after.kind in ("name", "quoted", "number") or after.text == "(":
            text = f"'{token.text}' next to '{after.text}'"
            hint = "" if after.kind == "number" else f"Write {token.text}*{after.text}"
            hint += "...)" if after.text == "(" else ""
            raise self.refused(after, text, "an operator between them", hint)
        return value

    def name_in(self, token: _Token) -> str:
        self.next += 1
        if self.token.kind == "sign" and self.token.text == "(":
            raise self.refused(token, f"a function or product '{token.text}('", SUPPORTED)
        if token.kind == "name":
            return token.text
        name = token.text[1:-1].replace('""', '"').strip()
        if not name:
            raise self.refused(token, "an empty name", "an input")
        return name

    def require_finite(self, total: _Sum, at: _Token) -> None:
        if not total.is_finite:
            raise self.refused(at, "numbers that overflow", "coefficients below 1.8e308")

    def unexpected(self, expected: str) -> DataError:
        """The error for the next token."""
        token = self.token
        got = "the end of the line" if token.kind == "end" else f"'{token.text}'"
        return self.refused(token, got, expected, _HINTS.get(token.text, ""))

    def refused(
        self, token: _Token, got: str, expected: str, next_step: str = ""
    ) -> DataError:
        """The error at a token."""
        return DataError(
            self.place.inside(f"line {self.number}", f"character {token.start + 1}"),
            got=got,
            expected=expected,
            next_step=next_step,
            file=self.place.file,
        )
