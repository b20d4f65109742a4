"""The screens of ``info``, letter by letter."""

from dataclasses import replace

import pytest

from nninvert.formats import Description, LayerDescription, PartDescription
from nninvert.report.commands import Commands
from nninvert.report.info_text import info_lines, info_table, known_part
from nninvert.report.parts_text import partial_shape


def layer(index, name, problem="", inputs=("x",), **changes):
    parts = {
        "index": str(index),
        "name": name,
        "label": "AttnPool" if problem else "Dense",
        "input_shape": (64,),
        "output_shape": None if problem else (64,),
        "activation": "" if problem else "tanh",
        "parameters": 0 if problem else 4160,
        "dtype": "" if problem else "float32",
        "where": "" if problem else f"/model_weights/{name}/kernel",
        "inputs": inputs,
        "problem": problem,
    }
    return LayerDescription(**parts | changes)


def described(*layers, form="Keras 3 HDF5", notes=()):
    return Description(form, tuple(layers), ("x",), (layers[-1].name,), notes)


KNOWN = described(layer(0, "dense"), layer(1, "dense_1"), notes=("Dropout left out",))
UNKNOWN = described(
    layer(0, "dense"), layer(1, "pool", "a custom layer"), layer(2, "fn", "never run")
)


COMMANDS = Commands("m.h5")


def screen(found, commands=COMMANDS, width=80, **options):
    return "\n".join(info_lines(found, commands, width, **options))


def test_all_known():
    assert (
        screen(KNOWN)
        == """\
m.h5   Keras 3 HDF5, float32, 8,320 parameters   64 -> 64

 #  layer    class  shape     activation  parameters  in the file
 0  dense    Dense  64 -> 64  tanh             4,160  /model_weights/dense/kernel
 1  dense_1  Dense  64 -> 64  tanh             4,160  /model_weights/dense_1/kernel

  note      Dropout left out
2 layers, all known
next      nninvert check m.h5"""
    )


SEVERAL = replace(
    KNOWN,
    input_parts=(
        PartDescription("image", (4, 4), 0),
        PartDescription("feed_T", (1,), 16),
        PartDescription("more", (47,), 17),
    ),
    output_parts=(
        PartDescription("logits", (None, 3), 0),
        PartDescription("s", None, None),
    ),
    notes=(),
)


def test_several_inputs_and_outputs():
    assert screen(SEVERAL) == (
        """\
m.h5   Keras 3 HDF5, float32, 8,320 parameters   4x4 + 1 + 47 -> ?x3 + ?

 #  layer    class  shape     activation  parameters  in the file
 0  dense    Dense  64 -> 64  tanh             4,160  /model_weights/dense/kernel
 1  dense_1  Dense  64 -> 64  tanh             4,160  /model_weights/dense_1/kernel

 input   shape  numbers of x
 image   4x4    x0 to x15
 feed_T  1      x16
 more    47     x17 to x63

 output  shape  numbers of y
 logits  ?x3    ?
 s       ?      ?

2 layers, all known
next      nninvert check m.h5"""
    )


def test_many_inputs_are_counted_in_the_headline():
    parts = tuple(PartDescription(f"in_{k}", (400,), 400 * k) for k in range(5))
    head, *_ = info_lines(replace(KNOWN, input_parts=parts), COMMANDS, 80)
    assert head.endswith("   2,000 in 5 parts -> 64")
    unknown = (*parts, PartDescription("last", None, 2000))
    head, *_ = info_lines(replace(KNOWN, input_parts=unknown), COMMANDS, 80)
    assert head.endswith("   ? in 6 parts -> 64")


def test_unknown_layers():
    assert (
        screen(UNKNOWN)
        == """\
m.h5   Keras 3 HDF5, float32, 4,160 parameters   64 -> ?

 #  layer  class     shape     activation  parameters  in the file
 0  dense  Dense     64 -> 64  tanh             4,160  /model_weights/dense/kernel
!1  pool   AttnPool  64 -> ?   -                    -  -
!2  fn     AttnPool  64 -> ?   -                    -  -

nninvert cannot invert 1 'pool' and 2 'fn' (marked !):
  1    AttnPool: a custom layer
  2    AttnPool: never run
this part can be inverted on its own:
next      nninvert check m.h5 --until dense"""
    )


@pytest.mark.parametrize(
    ("layers", "part"),
    [
        ((layer(0, "a"), layer(1, "b", "?"), layer(2, "c")), ("--until", "a")),
        ((layer(0, "a", "?"), layer(1, "b")), ("--from", "b")),
        ((layer(0, "a", "?"),), ()),
        ((layer(0, "a"), layer(1, "b", "?", inputs=("a", "x"))), ()),
    ],
)
def test_the_part_that_is_left(layers, part):
    found = described(*layers)
    assert known_part(found) == part
    if not part:
        assert screen(found).endswith("\nnext      nninvert info --layers")


def test_bare_weights_need_activations():
    bare = described(layer(0, "W1", activation="?"), layer(1, "W2", activation="?"))
    assert screen(bare).endswith(
        """
2 layers. Their activations are not in the file: give one for each layer, or one
for all. For example:
next      nninvert check m.h5 --activations tanh,linear"""
    )


def test_bare_weights_with_activations_are_known():
    given = Commands("m.h5", reading=("--activations", "elu"))
    assert screen(KNOWN, given).endswith(
        "2 layers, all known\nnext      nninvert check m.h5 --activations elu"
    )


@pytest.mark.parametrize(
    "problem",
    ["joins 2 branches", "takes no input", "called with training=True", "quantised"],
)
def test_the_sentence_is_true_of_every_problem(problem):
    shown = screen(described(layer(0, "dense"), layer(1, "merge", problem)))
    assert f"cannot invert 1 'merge' (marked !):\n  1    AttnPool: {problem}" in shown
    assert "not known" not in shown


def test_places_are_shortened_only_when_asked():
    long = described(layer(0, "dense", where="/model_weights/" + "sub/" * 30 + "kernel"))
    assert max(map(len, screen(long).splitlines())) > 80
    shown = screen(long, shorten=True)
    assert max(map(len, shown.splitlines())) <= 80
    assert "~" in shown
    assert "kernel" in shown


def test_plain_table():
    header, first, *_ = (line.split("\t") for line in info_table(UNKNOWN))
    row = dict(zip(header, first, strict=True))
    assert row["where"] == "/model_weights/dense/kernel"
    assert row["parameters"] == "4160"


def test_open_shapes():
    assert partial_shape(None) == "?"
    assert partial_shape((None, 16)) == "?x16"
    assert partial_shape(()) == "1"


def test_no_layers():
    assert "   no layers" in screen(Description("empty", (), (), (), ()))
