""".nnet: scaling, layers with ReLU, scaling back; and text that is none."""

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, LimitError
from nninvert.formats import nnet

TEXT = """// a network of two layers
2,3,2,3,
3,2,2,
0,
-1.0,-2.0,-3.0,
1.0,2.0,3.0,
0.5,0.25,0.0,7.0,
2.0,1.0,4.0,10.0,
1.0,2.0,3.0,
-1.0,0.5,0.25,
0.1,
-0.2,
1.5,-1.0,
2.0,0.5,
0.0,
1.0,
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="m.nnet"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("text", [TEXT, TEXT.partition("\n")[2]])
def test_scaled_in_and_out(file, text, rng):
    net = formats.load(file(text, "any_name.txt" if text != TEXT else "m.nnet"))
    x = rng.uniform(-1.0, 1.0, (6, 3))
    scaled = (x - [0.5, 0.25, 0.0]) / [2.0, 1.0, 4.0]
    hidden = np.maximum(scaled @ np.array([[1, 2, 3], [-1, 0.5, 0.25]]).T + [0.1, -0.2], 0)
    out = hidden @ np.array([[1.5, -1.0], [2.0, 0.5]]).T + [0.0, 1.0]
    np.testing.assert_allclose(net.forward(x), 10.0 * out + 7.0, rtol=1e-14)
    assert [layer[0].name for layer in net.layers] == [
        "scale",
        "layer_0",
        "layer_1",
        "scale_back",
    ]
    assert "from -1,-2,-3 to 1,2,3" in net.source.notes[0]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("2,3,2,3,", "2,3,2.5,3,", "a text file"),
        ("3,2,2,", "3,2,4,", "widths: got 3 to 4, expected 3 to 2"),
        ("3,2,2,", "3,0,2,", "widths: got"),
        ("3,2,2,", "3,inf,2,", "widths: got"),
        ("-1.0,0.5,0.25,", "-1.0,0.5,", "line 10: got 2 numbers, expected 3"),
        ("-1.0,0.5,0.25,", "-1.0,nothing,1,", "line 10: got '-1.0,nothing,1,'"),
        ("2.0,1.0,4.0,10.0,", "2.0,0.0,4.0,10.0,", "ranges: got 0"),
        ("2.0,1.0,4.0,10.0,", "2.0,1e-310,4.0,10.0,", "ranges: got 2,1e-310"),
        ("2.0,1.0,4.0,10.0,", "2.0,nan,4.0,10.0,", "ranges: got 2,nan"),
        ("\n0.0,\n1.0,\n", "\n0.0,\n", "got 0 numbers, expected 1: bias of layer 1"),
    ],
)
def test_damaged_text(file, old, new, match):
    assert old in TEXT
    with pytest.raises(FormatError, match=match):
        formats.load(file(TEXT.replace(old, new)))


def test_text_that_is_too_long(file, monkeypatch):
    monkeypatch.setattr(nnet, "MAX_TEXT_BYTES", 50)
    with pytest.raises(LimitError, match="at most 50"):
        formats.load(file(TEXT))
