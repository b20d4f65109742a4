"""The screen of ``--dry-run``, letter by letter."""

from dataclasses import replace

from hand_made import FORECAST, NOTHING_LARGE

from nninvert.report.plan_text import plan_lines, plan_table

NEXT = "nninvert invert camera.h5 y.npy -o x.npy"


def screen(made, **options):
    return "\n".join(plan_lines(made, NEXT, 80, **options))


def test_large_layers():
    assert (
        screen(FORECAST)
        == """\
camera.h5   Keras 3 HDF5, float32, 12,480 parameters   64 -> 64

 #  layer  shape               engine          memory     disk  passes        time
 0  dense  100,000 -> 100,000  panel float32  17.1 GB  40.1 GB       8  1 h 52 min
 1  out    100,000 -> 10       qr float64       88 MB        -       3         2 s
 0 dense: float32 factors, refined to float64, in a file
 1 out: QR: it is not square

predicted  1 h 52 min with 3 targets, and 2 small layers
memory     17.2 GB of the 17.2 GB that are allowed
disk       40.1 GB of 68.9 GB free, in x.npy.factors
next       nninvert invert camera.h5 y.npy -o x.npy"""
    )


def test_verbose_tells_the_rates():
    text = screen(FORECAST, verbose=True)
    assert "machine    products 169 GFLOP/s in float32, 60 in float64" in text
    assert "machine" not in screen(FORECAST)


def test_no_room():
    text = screen(replace(FORECAST, room=20_000_000_000))
    assert "40.1 GB of 20.0 GB free, in x.npy.factors: NOT ENOUGH." in text


def test_nothing_large():
    assert (
        screen(NOTHING_LARGE)
        == """\
camera.h5   Keras 3 HDF5, float32, 12,480 parameters   64 -> 64

predicted  3 small layers, seconds at most: nothing to plan
next       nninvert invert camera.h5 y.npy -o x.npy"""
    )


def test_table_for_programs():
    header, first, _ = (line.split("\t") for line in plan_table(FORECAST))
    assert first[header.index("disk")] == "40100000000"
    assert first[header.index("passes")] == "7.6"
    assert len(plan_table(NOTHING_LARGE)) == 1
