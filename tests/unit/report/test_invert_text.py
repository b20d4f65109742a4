"""The screens of ``invert``, letter by letter."""

from dataclasses import replace

import numpy as np
from hand_made import KEPT, SOLVE, family, inversion, several

from nninvert.outcome import Proof, RowStatus, Uniqueness
from nninvert.report.answers_text import ANSWERS_HEADER, answers_table
from nninvert.report.invert_text import ROWS_HEADER, invert_line, invert_lines, rows_table
from nninvert.result import Plan, PlanStep

SOLVED, UNREACHABLE, NEAREST, STOPPED, FAILED = (
    RowStatus.SOLVED,
    RowStatus.UNREACHABLE,
    RowStatus.NEAREST,
    RowStatus.STOPPED,
    RowStatus.FAILED,
)
ADVICE = (
    "the targets look measured, not computed by this network. Ask for as much as it "
    "knows: --within 3% --near TYPICAL.npy"
)


NAMES = tuple(f"x{k}" for k in range(64))


def screen(result, output="x.npy", width=80, verbose=False, names=NAMES):
    return "\n".join(invert_lines(result, output, width, verbose, names))


def test_all_solved():
    movement = np.array([0.004, 0.03, 0.001])
    assert (
        screen(inversion([SOLVED] * 3, movement=movement))
        == """\
plan      exact, layer by layer (square layers)
solved    3 of 3 rows, each the only answer
residual  largest |f(x) - y| / |y| = 1.9e-15, recomputed from the x written
accuracy  y is float32: its rounding moves x by 0.4 % (median), 3 %
          (worst, row 1) [estimate]
wrote     x.npy (3, 64) float64 in 0.05 s"""
    )


def test_measured_targets():
    result = inversion([SOLVED, UNREACHABLE, UNREACHABLE], notes=(ADVICE,))
    assert (
        screen(result, "x2.npy")
        == """\
plan         exact, layer by layer (square layers)
unreachable  2 of 3 rows (proved), e.g. row 1: inverting dense_1 needs |h| =
             2.42; |f(x) - y| 0.21 (median), 0.21 (worst, row 1)
solved       1 of 3 rows, the only answer; x2.npy holds the nearest answer found
             for the others
residual     largest |f(x) - y| / |y| = 1.9e-15, recomputed from the x written
accuracy     y is float32: its rounding moves x by 0.4 % (median), 0.4 %
             (worst, row 0) [estimate]
advice       the targets look measured, not computed by this network. Ask for as
             much as it knows: --within 3% --near TYPICAL.npy
wrote        x2.npy (3, 64) float64 in 0.05 s"""
    )


def test_one_target_that_cannot_be_reached():
    assert (
        screen(inversion([UNREACHABLE]), "")
        == """\
plan         exact, layer by layer (square layers)
unreachable  1 of 1 row (proved): inverting dense_1 needs |h| = 2.42; |f(x) - y|
             = 0.21
solved       0 of 1 row; x holds the nearest answer found
advice       is y in the network's own units? Is this near enough? --within 0.21
took         0.05 s"""
    )


def test_every_other_status_has_its_line():
    text = screen(inversion([NEAREST, STOPPED, FAILED]))
    assert "nearest   1 of 3 rows (no answer found; x is the nearest found)" in text
    assert "stopped   1 of 3 rows (not decided; x is the best so far)" in text
    assert "failed    1 of 3 rows (nothing finite; x is NaN), e.g. row 2:" in text
    assert "accuracy" not in text
    assert "residual" not in text


def test_within():
    result = inversion(
        [SOLVED] * 2, relative_tolerance=None, residual=np.array([0.02, 0.03])
    )
    text = screen(result)
    assert "solved    2 of 2 rows, each within the tolerance; other inputs meet it" in text
    assert "residual  largest |f(x) - y| = 0.03, inside the tolerance asked for" in text
    assert "accuracy" not in text


def test_uniqueness_is_counted():
    result = inversion(
        [SOLVED] * 3,
        unique=(Uniqueness.NO, Uniqueness.LOCALLY, Uniqueness.NO),
        free_dimensions=np.array([48, 0, 47]),
    )
    text = " ".join(screen(result).split())
    assert (
        "solved 3 of 3 rows, 1 the only answer near it and 2 one of many answers (a "
        "family of 48 dimensions)"
    ) in text


def test_values_on_the_edge():
    text = screen(inversion([SOLVED] * 2, edge_values=np.array([3, 0])))
    assert "edge      3 of 128 values (1 row) lie on an end of the output's range" in text
    assert "(logits)" in text


def test_zero_target_is_judged_absolutely():
    result = inversion([SOLVED], relative_residual=np.array([np.inf]))
    assert "largest |f(x) - y| = 1e-16, recomputed" in screen(result)


def test_plan_of_several_steps():
    steps = (PlanStep("exact", 5, "layer by layer"), PlanStep("lsq", 2, "what is left"))
    text = screen(inversion([SOLVED], plan=Plan("auto", steps)))
    assert text.startswith("plan      exact, layer by layer; then lsq, what is left\n")


def test_verbose_says_how_rows_are_judged():
    text = screen(inversion([SOLVED]), verbose=True)
    assert "judged by  T max(|y_i|, c_i), T = 1.9e-06 for y in float32" in text


def test_single_row_says_its_digits():
    text = " ".join(screen(inversion([SOLVED])).split())
    assert "moves x by 0.4 %; trust 2.4 digits [estimate]" in text


def test_one_line():
    assert invert_line(inversion([SOLVED] * 3), "x.npy") == (
        "solved 3 of 3 rows, |f(x) - y|/|y| <= 1.9e-15, wrote x.npy (3, 64) float64"
    )
    mixed = inversion([UNREACHABLE, NEAREST, STOPPED, FAILED], notes=(ADVICE,))
    assert invert_line(mixed, "") == (
        "solved 0 of 4 rows, unreachable 1 (proved), nearest 1, stopped 1, failed 1; "
        + ADVICE
    )
    within = inversion([SOLVED], relative_tolerance=None)
    assert invert_line(within, "-") == (
        "solved 1 of 1 row, |f(x) - y| <= 1e-16, wrote x to stdout (1, 64) float64"
    )


def test_rows():
    result = inversion([SOLVED, UNREACHABLE], relative_residual=np.array([1e-15, np.nan]))
    first, second = rows_table(result)
    assert dict(zip(ROWS_HEADER, first, strict=True)) == {
        "row": 0,
        "status": "solved",
        "residual": 1e-16,
        "relative_residual": 1e-15,
        "digits": 2.4,
        "unique": "yes",
        "free_dimensions": 0,
        "method": "exact",
        "proof": "",
        "reason": "",
    }
    assert second[1:5] == ["unreachable", 0.21, None, None]
    assert second[8:] == [Proof.PULL_BACK.value, "inverting dense_1 needs |h| = 2.42"]


def test_large_layers_say_how_they_were_solved():
    text = screen(inversion([SOLVED], solves=(SOLVE,)))
    assert (
        "\nsolver    dense: float32 LU, refined, 4 passes, backward error 6e-17, 8.4 s, "
        "0.4 GB\n" in text.replace("\n          ", " ")
    )
    bare = replace(SOLVE, path="LSMR", passes=1, seconds=np.nan, memory=None)
    text = screen(inversion([SOLVED], solves=(replace(bare, backward_error=np.nan),)))
    assert "\nsolver    dense: LSMR, 1 pass\n" in text


def test_factors_that_are_kept_are_told():
    result = inversion([SOLVED], kept=KEPT)
    said = "kept x.npy.factors, 9.2 GB, made in 14 min: --factors x.npy.factors next time"
    assert said in screen(result).replace("\n          ", " ")
    assert said in invert_line(result, "x.npy")


def test_several_answers():
    assert (
        screen(inversion([SOLVED], answers=several([3])))
        == """\
plan      exact, layer by layer (square layers)
solved    1 of 1 row, the only answer
residual  largest |f(x) - y| / |y| = 1.9e-15, recomputed from the x written
answers   3 of 25 found, from 24 starts; the closest two are 2.42 apart
accuracy  y is float32: its rounding moves x by 0.4 %; trust 2.4 digits
          [estimate]
wrote     x.npy (1, 3, 64) float64 in 0.05 s"""
    )


def answers_line(statuses, answers):
    text = " ".join(screen(inversion(statuses, answers=answers)).split())
    return text.partition(" answers ")[2].partition(" accuracy ")[0]


def test_answers_and_families_in_one_line():
    result = inversion([SOLVED] * 2, answers=several([3, 2]), families=(family(),))
    assert invert_line(result, "x.npy") == (
        "solved 2 of 2 rows, |f(x) - y|/|y| <= 1.9e-15, answers 2 to 3 of 2 to 25 found "
        "in a row, from 24 starts, 48 free directions in each row that is solved, wrote "
        "x.npy (2, 3, 64) float64"
    )


def test_fewer_answers_than_were_asked_for():
    assert answers_line([SOLVED] * 2, several([3, 1])) == (
        "1 to 3 of 1 to 25 found in a row, from 24 starts; fewer than the 3 asked for in "
        "1 row: the search ended at no others; the closest two are 2.42 apart"
    )
    assert answers_line([SOLVED], several([1])) == (
        "1 of 1 found, from 24 starts; fewer than the 3 asked for: the search ended at no "
        "others"
    )
    none = several([1], starts=np.zeros(1, dtype=np.int64))
    assert answers_line([SOLVED], none) == (
        "none but x: no row can have another, or the time was up"
    )


def family_line(result):
    text = " ".join(screen(result).split())
    return text.partition(" family ")[2].partition(" accuracy ")[0]


def test_a_family():
    names = tuple("abcdefghijklmnop") + NAMES[16:]
    result = inversion([SOLVED], families=(family(),))
    assert "\nfamily    48 free directions; longest interval 0.34 along direction 1" in (
        screen(result, names=names)
    )
    assert " (mostly k), f recomputed at 57 points [estimate]" in " ".join(
        screen(result, names=names).split()
    )


def test_the_file_of_a_family_is_named():
    lines = invert_lines(
        inversion([SOLVED], families=(family(),)), "x.npy", 80, False, NAMES, "f.h5"
    )
    assert "57 points [estimate]; all in f.h5" in " ".join(" ".join(lines).split())


def test_families_of_many_rows():
    shorter = family(row=0, dimension=47, intervals=np.zeros((2, 2)))
    result = inversion([SOLVED] * 2, families=(shorter, family(row=1)))
    assert family_line(result) == (
        "47 to 48 free directions in each row that is solved; longest interval 0.34 in "
        "row 1 along direction 1 (mostly x10), f recomputed at 57 points [estimate]"
    )


def test_families_that_cannot_be_followed():
    fast = family(intervals=np.zeros((2, 2)))
    assert family_line(inversion([SOLVED], families=(fast,))) == (
        "48 free directions, none of which x can follow on a straight line: it lies on "
        "bounds, or on the edge of the tolerance"
    )
    none = family(dimension=0, basis=np.zeros((0, 64)), intervals=np.zeros((0, 2)))
    assert family_line(inversion([SOLVED], families=(none,))) == (
        "0 free directions: no direction keeps y"
    )


def test_rows_of_several_answers():
    result = inversion([SOLVED, NEAREST], answers=several([2, 0]))
    table = answers_table(result, rows_table(result))
    assert [row[:2] for row in table] == [[0, 0], [0, 1], [1, 0]]
    assert all(len(row) == len(ANSWERS_HEADER) for row in table)
    first, second, third = (dict(zip(ANSWERS_HEADER, row, strict=True)) for row in table)
    assert (first["residual"], first["distance"], first["digits"]) == (1e-16, 1.5, 2.4)
    assert (second["status"], second["distance"]) == ("solved", 2.5)
    assert second["digits"] is None
    assert (third["status"], third["residual"]) == ("nearest", 0.21)
