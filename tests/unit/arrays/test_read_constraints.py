"""Linear relations between inputs as people write them."""

import math
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nninvert.arrays.constraints import read_constraints
from nninvert.arrays.linear import DEEPEST, LinearRelation, parse_relations
from nninvert.arrays.place import Place
from nninvert.errors import DataError, InputError

INF = math.inf


@pytest.fixture
def read(tmp_path):
    def _read(text):
        path = tmp_path / "constraints.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_constraints(str(path))

    return _read


def parse(line):
    """The one relation in a line: terms, lower, upper."""
    (found,) = parse_relations(line, 1, Place("c.txt", "constraints"))
    return dict(found.terms), found.lower, found.upper


@pytest.mark.parametrize(
    ("line", "terms", "lower", "upper"),
    [
        ("feed_T + 2*flow <= 30", {"feed_T": 1, "flow": 2}, -INF, 30),
        ("x0 - x1 >= 0", {"x0": 1, "x1": -1}, 0, INF),
        ("a + b == 1", {"a": 1, "b": 1}, 1, 1),
        ("3 <= a", {"a": -1}, -INF, -3),
        ("a/4 - b/.5 <= 1e-3", {"a": 0.25, "b": -2}, -INF, 1e-3),
        ("2*(a - 3*(b + 1)) >= b*2", {"a": 2, "b": -8}, 6, INF),
        ("-a - -b + +c <= -1.5E+2", {"a": -1, "b": 1, "c": 1}, -INF, -150),
        ("a*2*3/4 <= 2*3", {"a": 1.5}, -INF, 6),
        ("a + 1 + a <= 5 + b - a", {"a": 3, "b": -1}, -INF, 4),
        ('"feed T" + "p-1" <= "a""b" # why', {"feed T": 1, "p-1": 1, 'a"b': -1}, -INF, 0),
        ('"400" - "2" <= 0', {"400": 1, "2": -1}, -INF, 0),
        ('"a#b" <= 1', {"a#b": 1}, -INF, 1),
        ("reactor.T2 + z[3] + ñ_1 <= 1", {"reactor.T2": 1, "z[3]": 1, "ñ_1": 1}, -INF, 1),
        ("a<=1", {"a": 1}, -INF, 1),
        ("a + 0*b >= -0", {"a": 1}, 0, INF),
        ("(((a))) <= 7.", {"a": 1}, -INF, 7),
        ("--a + -+-2*b - ---c <= 1", {"a": 1, "b": 2, "c": 1}, -INF, 1),
    ],
)
def test_what_is_understood(line, terms, lower, upper):
    assert parse(line) == (terms, lower, upper)
    assert not any(math.copysign(1, bound) < 0 for bound in (lower, upper) if bound == 0)


def test_chains_are_several_relations():
    found = parse_relations("0 <= a - b <= c", 4, Place("c.txt", "constraints"))
    assert [(dict(r.terms), r.lower, r.upper) for r in found] == [
        ({"a": -1, "b": 1}, -INF, 0),
        ({"a": 1, "b": -1, "c": -1}, -INF, 0),
    ]
    assert all(r.text == "0 <= a - b <= c" and r.line == 4 for r in found)


LINEAR = "expected linear relations such as"


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("a <", r"character 3: got '<', expected .* Write <=:"),
        ("a > 3", r"character 3: got '>', expected .* Write >=:"),
        ("a = 3", r"character 3: got '=', expected an operator, <=, >= or ==\. Write =="),
        ("a =< 3", r"character 3: got '=<', .* Write <="),
        ("a != 3", r"character 3: got '!=', expected an operator, <=, >= or =="),
        ("a + b", r"character 6: got no relation, expected <=, >= or =="),
        ("a <= b >= c", r"character 8: got '>=' after '<=', expected one relation, or a"),
        ("a == b == c", r"character 8: got '==' after '=='"),
        ("a +", r"character 4: got the end of the line, expected a number, the name of"),
        ("<= 3", r"character 1: got '<=', expected a number, the name"),
        ("a <= ", r"got the end of the line"),
        ("a b <= 3", r"character 3: got 'b', expected an operator, <=, >= or =="),
        ("a <= 3 4", r"character 8: got '3' next to '4', expected an operator between"),
        ("2a <= 3", r"character 2: got '2' next to 'a', .* Write 2\*a"),
        ("2(a) <= 3", r"character 2: got '2' next to '\(', .* Write 2\*\(\.\.\.\)"),
        ("a*b <= 3", rf"character 2: got a product with the input 'b', {LINEAR}"),
        ("(a+1)*(2+b) <= 3", r"got a product with the input 'b'"),
        ("1/a <= 3", rf"character 2: got a division by the input 'a', {LINEAR}"),
        ("a/0 <= 3", r"character 2: got a division by zero, expected another divisor"),
        ("a/(1-1) <= 3", r"got a division by zero"),
        ("a**2 <= 3", r"character 2: got '\*\*', expected .* Powers"),
        ("a^2 <= 3", r"character 2: got '\^', expected .* Powers are not linear"),
        ("exp(a) <= 3", rf"character 1: got a function or product 'exp\(', {LINEAR}"),
        ("0,5*a <= 3", r"character 2: got ',', expected .* Write 0\.5, not 0,5"),
        ("a <= 3; b <= 4", r"character 7: got ';', .* One relation stands on each line"),
        ("(a <= 3", r"character 4: got '<=', expected an operator or '\)'"),
        ("a) <= 3", r"character 2: got '\)', expected an operator"),
        ("1 <= 2", rf"character 3: got no input in '1 <= 2', {LINEAR}"),
        ("a - a <= 2", r"got inputs that cancel in 'a - a <= 2'"),
        ("a <= 1e999", r"character 6: got '1e999', expected a number below 1\.8e308"),
        ("1e308*a*10 <= 1", r"got numbers that overflow"),
        ("a <= 1e308 + 1e308", r"got numbers that overflow"),
        ("a/1e-320 <= 1", r"got numbers that overflow"),
        ("'a b' <= 1", r"""character 1: got "?'''"?, .* Put a name .* in "double quotes"""),
        ('"a b <= 1', r"character 1: got '\"', .* A quote is not closed"),
        ('"" <= 1', r"character 1: got an empty name, expected an input"),
        ("x[0 + 1 <= 2", r"character 2: got '\[', .* Put a name with other characters"),
        ("٣ <= 1", r"character 1: got '٣', expected a number"),
        ("__import__('os') <= 1", r"got a function or product '__import__\('"),
        ("(" * (DEEPEST + 1) + "a", rf"character {DEEPEST + 1}: got more than {DEEPEST} "),
    ],
)
def test_what_is_refused_is_located(line, match):
    with pytest.raises(DataError, match=match) as caught:
        parse_relations(line, 7, Place("c.txt", "constraints"))
    assert str(caught.value).startswith("c.txt > line 7 > character ")


class TestFiles:
    def test_lines_comments_and_blanks(self, read):
        text = "# limits\r\n\r\na + b <= 3 # kW\r\n0 <= a <= 1\n"
        found = read(text)
        assert [r.line for r in found] == [3, 4, 4]
        assert [r.text for r in found] == ["a + b <= 3", "0 <= a <= 1", "0 <= a <= 1"]

    def test_a_table(self, read):
        found = read("a,b c,sense,limit,name\n1,2,<=,30,cooling\n,-1,==,0.5,\n1,0,>=,-2,\n")
        assert found == (
            LinearRelation("cooling", 2, (("a", 1.0), ("b c", 2.0)), -INF, 30.0),
            LinearRelation("-1*b c == 0.5", 3, (("b c", -1.0),), 0.5, 0.5),
            LinearRelation("a >= -2", 4, (("a", 1.0),), -2.0, INF),
        )

    def test_inputs_called_sense_and_limit_are_no_table(self, read):
        assert dict(read("sense + limit <= 3\n")[0].terms) == {"sense": 1, "limit": 1}

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("", "got an empty file"),
            ("# x\n", "constraints: got no relations, expected at least one line such as"),
            ("\na + <= 3\n", r"line 2 > character 5: got '<='"),
            ("a,b\n", r"line 1 > character 2: got ','"),
            ("a,sense,limit\n", "constraints: got a header and no rows"),
            ("a,a,sense,limit\n1,1,<=,1\n", "line 1: got the column 'a' twice"),
            ("a,,sense,limit\n1,1,<=,1\n", "line 1: got a column without a name"),
            ("sense,limit\n<=,1\n", "line 1: got no column of an input, expected columns"),
            ("a,sense,limit\n1,<=\n", "line 2: got 2 cells, expected 3"),
            ("a,sense,limit\n1,<,1\n", "line 2 > sense: got '<', expected <=, >= or =="),
            ("a,sense,limit\nx,<=,1\n", "line 2 > 'a': got 'x', expected a number"),
            ("a,sense,limit\n1,<=,\n", "line 2 > 'limit': got an empty cell"),
            ("a,sense,limit\n1,<=,inf\n", "line 2 > 'limit': got inf, expected a finite"),
            ("a,sense,limit\nnan,<=,1\n", "line 2 > 'a': got nan, expected a finite"),
            ("a,sense,limit\n0,<=,1\n", "line 2: got no coefficient but zero"),
            (b"a <= \xff\n", "line 1: got the byte 0xff"),
            ("<html>", "got a web page.*, expected relations or a table"),
        ],
    )
    def test_what_is_refused(self, read, text, match):
        with pytest.raises(InputError, match=match) as caught:
            read(text)
        assert caught.value.file.endswith("constraints.txt")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_constraints(str(tmp_path / "no.txt"))


NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters='"'), min_size=1
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(
    terms=st.dictionaries(NAMES, NUMBERS.filter(bool), min_size=1, max_size=5),
    sense=st.sampled_from(["<=", ">=", "=="]),
    limit=NUMBERS,
    blank=st.sampled_from(["", " ", "\t "]),
)
def test_what_is_written_is_read_again(terms, sense, limit, blank):
    left = f"{blank}+{blank}".join(
        f'{value!r}{blank}*{blank}"{name}"' for name, value in terms.items()
    )
    found = parse(f"{left}{blank}{sense}{blank}{limit!r}")
    assert found == (
        terms,
        -INF if sense == "<=" else limit,
        INF if sense == ">=" else limit,
    )


@st.composite
def sums(draw, depth=3):
    """A linear formula as text, and what it is at (a, b) = (3, -5) and at zero."""
    kind = draw(st.integers(0, 5 if depth else 1))
    if kind == 0:
        name = draw(st.sampled_from("ab"))
        return name, {"a": 3.0, "b": -5.0}[name], 0.0
    number = draw(st.integers(1, 9))
    if kind == 1:
        return str(number), float(number), float(number)
    text, at, zero = draw(sums(depth=depth - 1))
    if kind == 2:
        return f"{number}*({text})", number * at, number * zero
    if kind == 3:
        return f"-({text})/{number}", -at / number, -zero / number
    other, at2, zero2 = draw(sums(depth=depth - 1))
    if kind == 4:
        return f"{text} + {other}", at + at2, zero + zero2
    return f"{text} - ({other})", at - at2, zero - zero2


@given(sums(), sums())
def test_formulas_mean_what_they_say(left, right):
    # "2*c" keeps the line from having no input; it is no part of the comparison.
    terms, lower, upper = parse(f"{left[0]} + 2*c <= {right[0]}")
    value = 3.0 * terms.get("a", 0.0) - 5.0 * terms.get("b", 0.0)
    assert (terms["c"], lower) == (2.0, -INF)
    assert math.isclose(upper, right[2] - left[2], abs_tol=1e-9, rel_tol=1e-12)
    expected = (left[1] - left[2]) - (right[1] - right[2])
    assert math.isclose(value, expected, abs_tol=1e-9, rel_tol=1e-12)


@given(st.one_of(st.text(), st.text(alphabet='ab12.eE+-*/()<>=!"#[], \t')))
@example("-" * 5000 + "a<=1")
@example("(" * 100_000)
def test_nothing_but_our_error_comes_out(line):
    with suppress(DataError):
        found = parse_relations(line, 1, Place("c.txt", "constraints"))
        assert found
        assert all(r.terms and max(r.lower, -r.upper) > -INF for r in found)


@given(st.binary())
def test_no_file_breaks_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.txt"
    path.write_bytes(data)
    with suppress(InputError):
        assert read_constraints(str(path))
