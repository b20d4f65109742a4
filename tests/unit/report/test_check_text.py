"""The screens of ``check``, letter by letter."""

from dataclasses import replace

import numpy as np
import pytest
from hand_made import CHECK, KEPT, LOSSY, MEASURED, SAME, TARGET, layer

from nninvert.outcome import Kind, Verdict
from nninvert.report.check_text import check_lines, layers_table
from nninvert.report.commands import Commands
from nninvert.result import ConditionEstimate

COMMANDS = Commands("camera.h5")


def screen(report, width=80, commands=COMMANDS, **options):
    return "\n".join(check_lines(report, commands, width, **options))


def test_bijective():
    assert (
        screen(CHECK)
        == """\
camera.h5   Keras 3 HDF5, float32, 12,480 parameters   64 -> 64

 #  layer    shape     activation  square  rank   cond   one-to-one
 0  dense    64 -> 64  tanh        yes     64/64  2.6e2  yes
 1  dense_1  64 -> 64  tanh        yes     64/64  1.2e2  yes
 2  dense_2  64 -> 64  tanh        yes     64/64  6.7e1  yes
 cond: 2-norm, exact (SVD)

BIJECTIVE onto its image: a target has at most one input, and exact finds it.
  image   a part of (-1, 1)^64: hidden tanh layers bound it, so not every y in
          range has an answer. Yours: nninvert check camera.h5 --target y.npy
  digits  the weights cost up to 6.3 (product of conds, exact). y in float32 has
          7.2: trust 1 or more digits of x; float64: 10 or more digits.
  noise   an error of 0.1 % in y can move x by 100 % and more. Measured y? Use
          --within.
next      nninvert invert camera.h5 y.npy -o x.npy"""
    )


def test_not_one_to_one():
    assert (
        screen(LOSSY)
        == """\
camera.h5   Keras 3 HDF5, float32, 12,480 parameters   64 -> 64

 #  layer  shape     activation  square  rank   cond   one-to-one
 0  dense  64 -> 64  tanh        yes     64/64  2.6e2  yes
 1  code   64 -> 32  tanh        no      32/32  1.2e1  no
 cond: 2-norm; exact (SVD) in layer 0; estimate (power iteration) in layer 1

NOT ONE-TO-ONE: different inputs give the same output.
  why     layer 1 'code' maps 64 numbers to 32: at least 32 directions of x are
          lost
  proof   two inputs that are 8 apart have outputs 2e-16 apart
  invert  works here: it finds one of the inputs by least squares. Say which one
          you mean: --near, --lower, --upper, --fix.
  change  width 32 -> 64 in layer 1
next      nninvert invert camera.h5 y.npy -o x.npy"""
    )


def test_targets():
    text = screen(replace(CHECK, target=TARGET), commands=Commands("camera.h5", "t.npy"))
    assert (
        """
  target  t.npy: 1 of 3 rows reachable (x found, f(x) recomputed), 1 not
          (proved), 1 not decided
          row 1: the only way back leaves the range of an inner layer: layer 1
          'dense_1', unit 17 would have to be 2.42, 1.42 outside (20 units
          outside in all)
          digits of x to trust: 2.5 (median), 2.5 (worst, row 0) [estimate]
next      nninvert invert camera.h5 t.npy -o x.npy"""
        in text
    )
    assert "Yours:" not in text


def test_undecided_targets_are_named_where_none_is_proved():
    found = replace(TARGET, reachable=(True, None, None))
    text = screen(replace(CHECK, target=found))
    assert "1 of 3 rows reachable (x found, f(x) recomputed), 2 not decided" in text
    assert "row 2: x is the best local least-squares point found;" in text


def test_pairs_that_agree():
    text = screen(replace(CHECK, pairs=SAME))
    assert "  pairs   your file was read right: f(X) = Y to 2e-7 (297 rows)\n" in text
    assert text.endswith("next      nninvert invert camera.h5 y.npy -o x.npy")


def test_measured_pairs_propose_a_tolerance():
    text = screen(replace(CHECK, pairs=MEASURED))
    assert (
        """
  pairs   f(X) differs from Y by 2.7 % (median), 5 % (worst) in 297 rows; worst
          output 1, rms error 0.03. For targets measured like these: --within 3%
next      nninvert invert camera.h5 y.npy --within 3% -o x.npy"""
        in text
    )


def test_pairs_that_found_another_reading():
    found = replace(SAME, reading="--orientation out,in", tried=12)
    text = screen(replace(CHECK, pairs=found))
    assert "  read    --orientation out,in (best of 12 readings tried)" in text


def test_digits_at_targets():
    digits = replace(
        CHECK.digits, jacobian=np.array([1.2, 2.0, np.inf, 0.5]), jacobian_at="targets"
    )
    text = screen(replace(CHECK, digits=digits))
    assert (
        """
  digits  the weights cost up to 6.3 (product of conds, exact). At your targets
          it is 1.2 (median), 2.0 (worst) [estimate]. y in float32 has 7.2:
          trust 5 to 7 digits of x; float64: 14 to 15 digits.
  noise   an error of 0.1 % in y can move x by up to 10 %. Measured y? Use
          --within.
"""
        in text
    )


@pytest.mark.parametrize(
    ("above", "text"),
    [
        ((("0", "dense"),), "above --max-condition 1e2: layer 0 'dense'"),
        (
            (("0", "dense"), ("1", "dense_1")),
            "above --max-condition 1e2: layers 0 'dense' and 1 'dense_1'",
        ),
        ((), "no layer is above --max-condition 1e2"),
    ],
)
def test_max_condition(above, text):
    report = replace(CHECK, max_condition=100.0, ill_conditioned=above)
    assert f"  cond    {text}" in screen(report)


def test_quick():
    bare = layer(0, "d", 2.0, rank=None, condition=None, one_to_one=None)
    report = replace(CHECK, quick=True, layers=(bare,), digits=None)
    assert """
 #  layer  shape     activation  square  rank  cond  one-to-one
 0  d      64 -> 64  tanh        yes     -     -     ?
 rank, cond: not computed (--quick)

BIJECTIVE""" in screen(report)


def test_reading_notes_come_before_the_table():
    model = replace(CHECK.model, notes=("square matrices: taken as out,in",))
    lines = screen(replace(CHECK, model=model)).splitlines()
    assert lines[1] == "  note    square matrices: taken as out,in"


def test_reasons_of_layers_that_the_verdict_does_not_tell():
    report = replace(LOSSY, layers=(layer(0, "a", 2.0, reason="pruned"),))
    assert "\n 0 a: pruned\n" in screen(report)


def test_every_verdict_ends_with_a_command_and_says_what_works():
    for verdict in Verdict:
        text = screen(replace(LOSSY, verdict=verdict))
        assert text.splitlines()[-1].startswith("next      nninvert invert")
        assert verdict.headline in " ".join(text.split())
        assert ("  invert  works here:" in text) == (verdict is not Verdict.BIJECTIVE)


def test_table_cells_are_shortened_only_when_asked():
    report = replace(CHECK, layers=(layer(0, "a_very_long_name_" * 5, 2.0),))
    assert max(map(len, screen(report).splitlines())) > 80
    short = check_lines(report, COMMANDS, 80, shorten=True)
    assert max(map(len, short[:-1])) <= 80
    assert any("~" in line for line in short)


def test_next_command_is_one_line_however_long():
    commands = Commands("m.h5", "y.npy", ("--activations", "tanh," * 40))
    last = screen(CHECK, commands=commands).splitlines()[-1]
    assert last.startswith("next      nninvert invert m.h5 y.npy --activations tanh,")
    assert last.endswith(" -o x.npy")


def test_narrow_prose_is_filled():
    report = replace(CHECK, layers=())
    lines = check_lines(report, Commands("m"), 50)
    assert all(
        len(line) <= 50 for line in lines[1:-1] if " " in line[10:] and "  " not in line
    )


def test_plain_table_has_every_digit():
    lines = layers_table(LOSSY)
    assert lines[0].split("\t")[:5] == [
        "index",
        "name",
        "class",
        "input_shape",
        "output_shape",
    ]
    row = dict(zip(lines[0].split("\t"), lines[2].split("\t"), strict=True))
    assert row["cond"] == "12.0"
    assert row["cond_kind"] == "estimate"
    assert row["one_to_one"] == "no"
    assert row["smallest"] == repr(4.0 / 12.0)


def test_a_lower_bound_says_so():
    bound = ConditionEstimate(1e7, Kind.LOWER_BOUND, "float32 LU factors")
    text = screen(replace(CHECK, layers=(layer(0, "dense", 1e7, condition=bound),)))
    assert " >= 1e7  yes" in text
    assert "cond: 2-norm, lower bound (float32 LU factors)" in text


def test_factors_that_are_kept_are_told_and_used_next():
    text = screen(replace(CHECK, kept=KEPT))
    assert "\n  factors   kept x.npy.factors, 9.2 GB, made in 14 min" in text
    assert text.endswith("camera.h5 y.npy --factors x.npy.factors -o x.npy")


def test_several_inputs_and_outputs_are_told_by_their_shapes():
    parts = replace(
        CHECK.model,
        input_parts=(("a", (4, 4)), ("b", (48,))),
        output_parts=tuple((f"out_{k}", (8,)) for k in range(8)),
    )
    text = screen(replace(CHECK, model=parts))
    assert text.splitlines()[0].endswith("   4x4 + 48 -> 64 in 8 parts")
    assert text.endswith("-o x.npz")


def test_outputs_are_called_by_their_names():
    names = replace(CHECK.model, output_names=tuple(f"part[{k}]" for k in range(64)))
    text = screen(replace(CHECK, model=names, pairs=MEASURED))
    worst = int(np.argmax(MEASURED.per_output))
    assert f"worst output {worst} 'part[{worst}]', rms" in " ".join(text.split())
    last = CHECK.layers[-1].index, CHECK.layers[-1].name
    target = replace(TARGET, layer=tuple(last if one else None for one in TARGET.layer))
    text = " ".join(screen(replace(CHECK, model=names, target=target)).split())
    assert "output 17 'part[17]' would have to be 2.42" in text
    text = screen(replace(CHECK, model=names, target=TARGET))
    assert "unit 17 would have to be 2.42" in text
