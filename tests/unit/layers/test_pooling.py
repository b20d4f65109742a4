"""Averages and maxima over windows, against loops over every window."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import dense, network

from nninvert import tolerances
from nninvert.analysis.bounds.box import Box as Bounds
from nninvert.analysis.bounds.interval import image
from nninvert.analysis.invertibility import check_network
from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
    Reshape,
)
from nninvert.linalg.box import Box
from nninvert.linalg.factor import factorise
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import Kind, RowStatus, Verdict


def begins(size, k, stride, dilation, padding, ceil):
    """Where windows begin, by the documented formulas of torch and TensorFlow."""
    span = (k - 1) * dilation + 1
    if padding == "same":
        count = -(-size // stride)
        before = max((count - 1) * stride + span - size, 0) // 2
        return [p * stride - before for p in range(count)]
    before, after = (0, 0) if padding == "valid" else padding
    room = size + before + after - span
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= size + before:
        count -= 1
    return [p * stride - before for p in range(count)]


def pooled(x, options, take):
    """`take(cells, covered)` of every window; x is (batch, *spatial, channels)."""
    sizes = x.shape[1:-1]
    lines = []
    for size, (k, stride, dilation, padding, ceil) in zip(sizes, options, strict=True):
        starts = begins(size, k, stride, dilation, padding, ceil)
        lines.append([[p + t * dilation for t in range(k)] for p in starts])
    ends = [
        s + (p[3][1] if isinstance(p[3], tuple) else 0)
        for s, p in zip(sizes, options, strict=True)
    ]
    y = np.zeros((len(x), *(len(line) for line in lines), x.shape[-1]))
    for place in itertools.product(*(range(len(line)) for line in lines)):
        taps = [line[p] for line, p in zip(lines, place, strict=True)]
        cells = [
            x[(slice(None), *at)]
            for at in itertools.product(*taps)
            if all(0 <= a < s for a, s in zip(at, sizes, strict=True))
        ]
        covered = np.prod(
            [sum(t < e for t in tap) for tap, e in zip(taps, ends, strict=True)]
        )
        y[(slice(None), *place)] = take(np.array(cells), covered)
    return y


def mean(cells, covered):
    return cells.mean(axis=0)


def mean_with_padding(cells, covered):
    return cells.sum(axis=0) / covered


def largest(cells, covered):
    return cells.max(axis=0)


@st.composite
def geometries(draw):
    """Sizes and for each axis (taps, stride, dilation, padding, ceil)."""
    rank = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    ceil = draw(st.booleans())
    word = draw(st.sampled_from(["valid", "same", None]))
    axes = []
    for size in sizes:
        k, stride, dilation = (draw(st.integers(1, most)) for most in (3, 3, 2))
        pair = (draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2)))
        padding = word or pair
        found = begins(size, k, stride, dilation, padding, ceil and word is None)
        taps = [[b + t * dilation for t in range(k)] for b in found]
        assume(found)
        assume(all(any(0 <= t < size for t in tap) for tap in taps))
        axes.append((k, stride, dilation, padding, ceil and word is None))
    return sizes, axes


def options_of(axes):
    k, strides, dilation, padding, ceil = zip(*axes, strict=True)
    word = padding[0] if isinstance(padding[0], str) else list(padding)
    return k, {
        "strides": strides,
        "dilation": dilation,
        "padding": word,
        "ceil_mode": ceil[0],
    }


@settings(deadline=None, max_examples=80)
@given(geometries(), st.booleans(), st.sampled_from([AveragePooling, MaxPooling]))
def test_every_geometry_is_that_of_loops(geometry, first, kind):
    sizes, axes = geometry
    x = np.random.default_rng(3).standard_normal((2, *sizes, 2))
    k, options = options_of(axes)
    take = mean if kind is AveragePooling else largest
    expected = pooled(x, axes, take)
    shape = (*sizes, 2)
    if first:
        shape, x = (2, *sizes), np.moveaxis(x, -1, 1)
        options["data_format"] = "channels_first"
        expected = np.moveaxis(expected, -1, 1)
    layer = kind(shape, k, **options)
    assert layer.output_shape == expected.shape[1:]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-13, atol=1e-14)


@settings(deadline=None, max_examples=40)
@given(geometries())
def test_averages_that_count_the_padding(geometry):
    sizes, axes = geometry
    assume(not isinstance(axes[0][3], str))
    x = np.random.default_rng(3).standard_normal((2, *sizes, 2))
    k, options = options_of(axes)
    layer = AveragePooling((*sizes, 2), k, count_padding=True, **options)
    expected = pooled(x, axes, mean_with_padding)
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("sizes", [(5,), (7, 4), (3, 4, 5)])
def test_adaptive_and_global_windows(sizes, rng):
    x = rng.standard_normal((3, *sizes, 2))
    count = (2, 3, 4)[: len(sizes)]
    for kind, take in ((AdaptiveAveragePooling, np.mean), (AdaptiveMaxPooling, np.max)):
        y = kind((*sizes, 2), count).forward(x)
        for place in np.ndindex(count):
            spans = [
                slice(int(np.floor(p * s / n)), int(np.ceil((p + 1) * s / n)))
                for p, s, n in zip(place, sizes, count, strict=True)
            ]
            cells = x[(slice(None), *spans)].reshape(3, -1, 2)
            np.testing.assert_allclose(y[(slice(None), *place)], take(cells, axis=1))
    axes = tuple(range(1, len(sizes) + 1))
    for kind, take in ((GlobalAveragePooling, np.mean), (GlobalMaxPooling, np.max)):
        np.testing.assert_allclose(kind((*sizes, 2)).forward(x), take(x, axis=axes))
        kept = kind((2, *sizes), True, "channels_first").forward(np.moveaxis(x, -1, 1))
        assert kept.shape == (3, 2, *(1,) * len(sizes))
        np.testing.assert_allclose(kept.reshape(3, 2), take(x, axis=axes))


@pytest.mark.parametrize("kind", [AveragePooling, MaxPooling])
def test_refused(kind):
    for options in (
        {"pool_size": 4},
        {"pool_size": (2, 2, 2)},
        {"pool_size": 0},
        {"pool_size": 2, "strides": 0},
        {"pool_size": 2, "padding": "causal"},
        {"pool_size": 2, "padding": [3, 0]},
        {"pool_size": 2, "data_format": "NHWC"},
    ):
        with pytest.raises(ShapeError):
            kind((3, 3, 2), **options)


@pytest.mark.parametrize("radius", [0.0, 1e-300, 1e60, 1e150])
@pytest.mark.parametrize("value", [1e300, 0.0, -1e308])
def test_huge_values_stay_finite(value, radius):
    y = np.full((2, 2, 2, 1), value)
    box = Box(np.zeros(16), np.ones(16), np.ones(16, dtype=np.bool_), np.full(16, 0.5))
    for layer in (
        MaxPooling((4, 4, 1), 2),
        MaxPooling((4, 4, 1), 3, strides=2, padding="same"),
        AveragePooling((4, 4, 1), 2),
    ):
        for inside in (None, box, Box.around(np.zeros((2, 16)))):
            found = layer.preimage(y, np.full(y.shape, radius), Context(), inside)
            assert np.isfinite(found.x).all()
            assert np.isfinite(found.radius).all()


class TestAverages:
    def test_what_is_lost_is_said(self):
        facts = AveragePooling((4, 4, 3), 2).facts
        assert (facts.lost, facts.onto, facts.one_to_one) == (36, True, False)
        assert facts.reason == "averages 2x2 cells to one: 75 % of the numbers are lost"
        whole = GlobalAveragePooling((224, 224, 64)).facts
        assert whole.reason.endswith("over 99.9 % of the numbers are lost")

    def test_a_real_size_has_its_exact_condition_without_its_matrix(self, rng):
        layer = AveragePooling((112, 112, 64), 3, strides=1, padding="same")
        factor = factorise(layer.linear_part[0], Context())
        found = factor.spectrum()
        places = np.arange(112)
        line = (np.abs(places[:, None] - places) <= 1).astype(np.float64)
        values = np.linalg.svd(line / line.sum(axis=1, keepdims=True), compute_uv=False)
        assert found.kind is Kind.EXACT
        assert found.shape == (112 * 112 * 64,) * 2
        assert found.condition == pytest.approx((values[0] / values[-1]) ** 2)
        assert found.rank == 112 * 112 * 64
        x = rng.standard_normal((1, 112, 112, 64))
        y = layer.forward(x)
        again = layer.preimage(y, 1e-15 * np.abs(y), Context())
        np.testing.assert_allclose(again.x, x, rtol=0, atol=1e-8)
        assert again.unique.all()
        assert (np.abs(again.x - x) <= again.radius).all()

    @pytest.mark.parametrize("stride", [1, 2, 3])
    def test_a_long_axis_is_solved_without_a_decomposition(self, stride, rng, monkeypatch):
        layer = AveragePooling((61, 2), 5, strides=stride)
        dense = np.linalg.svd(layer.linear_part[0].dense(), compute_uv=False)
        monkeypatch.setattr(tolerances, "SVD_WORK", 1000.0)
        factor = factorise(layer.linear_part[0], Context())
        found = factor.spectrum()
        assert found.kind is Kind.ESTIMATE
        assert found.condition == pytest.approx(dense[0] / dense[-1], rel=1e-2)
        assert factor.rank == found.rank == min(factor.shape)
        y = rng.standard_normal((2, factor.shape[0]))
        x = factor.solve(y)
        matrix = layer.linear_part[0].dense()
        np.testing.assert_allclose(x, y @ np.linalg.pinv(matrix).T, rtol=1e-9, atol=1e-11)
        assert (np.abs(x) <= factor.spread(np.abs(y))).all()

    def test_unreachable_averages_are_proved_so(self):
        layer = AveragePooling((2, 1), 2, strides=1, padding=[1])
        y = np.array([[[1.0], [2.0], [3.0]], [[1.0], [9.0], [3.0]]])
        found = layer.preimage(y, np.full(y.shape, 1e-9), Context())
        np.testing.assert_array_equal(found.outside > 0, [False, True])
        np.testing.assert_array_equal(found.proved, [False, True])


class TestMaxima:
    def test_the_first_of_equals_has_the_slope(self):
        x = np.zeros((1, 2, 3, 1))
        near = MaxPooling((2, 3, 1), (2, 2), strides=1).linearize(x)
        slope = near.vjp(np.ones((1, 1, 2, 1)))
        np.testing.assert_array_equal(slope[0, :, :, 0], [[1, 1, 0], [0, 0, 0]])

    def test_facts_of_windows_that_overlap(self):
        overlapping = MaxPooling((5, 1), 3, strides=1, padding="same").facts
        assert (overlapping.one_to_one, overlapping.onto, overlapping.lost) == (
            False,
            False,
            0,
        )
        assert overlapping.reason == "keeps the largest of 3 cells: smaller ones are lost"
        touching = MaxPooling((7, 1), 3, strides=2).facts
        assert (touching.onto, touching.lost) == (True, 4)

    def test_without_a_box_the_largest_origin(self):
        layer = MaxPooling((5, 1), 3, strides=2)
        found = layer.preimage(np.array([[[1.0], [3.0]]]), np.zeros((1, 2, 1)), Context())
        np.testing.assert_array_equal(found.x[0, :, 0], [1, 1, 1, 3, 3])
        assert (found.outside[0], found.free_dimensions[0]) == (0, 3)
        assert found.free is not None
        assert found.free.all()

    def test_inside_a_box_near_its_centre(self):
        layer = MaxPooling((4, 1), 2)
        centre = np.array([0.2, 0.4, 0.5, 0.1])
        box = Box(np.zeros(4), np.full(4, np.inf), np.zeros(4, dtype=np.bool_), centre)
        y = np.array([[[1.0], [0.3]], [[0.0], [2.0]]])
        found = layer.preimage(y, np.full(y.shape, 1e-12), Context(), box)
        np.testing.assert_allclose(
            found.x[..., 0], [[0.2, 1.0, 0.3, 0.1], [0.0, 0.0, 2.0, 0.1]]
        )
        np.testing.assert_array_equal(found.outside, [0, 0])

    def test_values_below_the_box_are_outside_for_sure(self):
        layer = MaxPooling((4, 1), 2)
        box = Box(np.zeros(4), np.ones(4), np.zeros(4, dtype=np.bool_), np.full(4, 0.5))
        y = np.array([[[-0.5], [0.3]], [[0.5], [1.25]], [[0.5], [1.0]]])
        found = layer.preimage(y, np.full(y.shape, 1e-3), Context(), box)
        np.testing.assert_array_equal(found.outside, [1, 1, 0])
        np.testing.assert_array_equal(found.unit, [0, 1, -1])
        np.testing.assert_allclose(found.overshoot, [0.5, 0.25, 0.0])
        np.testing.assert_array_equal(found.proved, [True, True, False])

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 1.0]))
    def test_what_can_be_reached_is_decided_exactly(self, seed, size):
        """By a search over every choice of the cells that attain the maxima."""
        rng = np.random.default_rng(seed)
        layer = MaxPooling((4, 1), 3, strides=1, padding="same")
        y = rng.integers(0, 4, size=(1, 4, 1)).astype(np.float64)
        radius = np.full(y.shape, size)
        found = layer.preimage(y, radius, Context())
        windows = [(0, 1), (0, 1, 2), (1, 2, 3), (2, 3)]
        low, high = (y - radius)[0, :, 0], (y + radius)[0, :, 0]
        possible = False
        for choice in itertools.product(*windows):
            least = np.full(4, -np.inf)
            for window, cell in enumerate(choice):
                least[cell] = max(least[cell], low[window])
            most = [min(high[w] for w in range(4) if c in windows[w]) for c in range(4)]
            possible = possible or bool((least <= np.array(most) + 1e-14).all())
        assert (found.outside[0] == 0) == possible
        assert found.proved[0] == (not possible)
        if possible:
            off = np.abs(layer.forward(found.x) - y)
            assert (off <= 2.0 * radius + 1e-12).all()

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
    def test_windows_that_overlap_find_their_values_inside_a_box(self, seed, k, stride):
        rng = np.random.default_rng(seed)
        layer = MaxPooling((5, 4, 2), k, strides=stride, padding="same")
        low, high = np.zeros(40), np.full(40, 2.0)
        centre = rng.uniform(0.0, 2.0, 40)
        box = Box(low, high, np.zeros(40, dtype=np.bool_), centre)
        x = rng.uniform(0.0, 2.0, size=(3, *layer.input_shape))
        y = layer.forward(x)
        found = layer.preimage(y, np.full(y.shape, 1e-12), Context(), box)
        np.testing.assert_array_equal(layer.forward(found.x), y)
        assert (found.outside == 0).all()
        assert ((found.x >= 0.0) & (found.x <= 2.0)).all()
        # Never farther from the centre than the largest origin is, cell by cell.
        largest_one = layer.preimage(y, np.full(y.shape, 1e-12), Context()).x
        seen = largest_one != 0.0
        off = np.abs(found.x - centre.reshape(5, 4, 2))
        assert (off <= np.abs(largest_one - centre.reshape(5, 4, 2)) + 1e-12)[seen].all()

    def test_a_cell_that_alone_can_be_it_is_known(self):
        layer = MaxPooling((3, 1), 2, strides=1)
        y = np.array([[[1.0], [2.0]]])
        found = layer.preimage(y, np.full(y.shape, 0.1), Context())
        # The middle cell is at most 1.1, so that the last one is the 2.
        np.testing.assert_array_equal(found.free[0], [True, True, False])
        np.testing.assert_allclose(found.radius[0, 2, 0], 0.1)
        assert found.free_dimensions[0] == 1

    def test_bounds_are_those_of_the_ends(self, rng):
        layer = MaxPooling((3, 3, 1), 2, strides=1)
        low = rng.standard_normal(9)
        high = np.where(np.arange(9) == 4, np.inf, low + rng.random(9))
        box = image(layer, Bounds(low, high))
        np.testing.assert_array_equal(box.upper, np.full(4, np.inf))
        x = rng.uniform(low, np.minimum(high, 9.0), size=(200, 9)).reshape(200, 3, 3, 1)
        y = layer.forward(x).reshape(200, 4)
        assert (y >= box.lower).all()
        np.testing.assert_array_equal(
            box.lower, layer.forward(low.reshape(1, 3, 3, 1)).ravel()
        )


@pytest.mark.parametrize("pooling", [AveragePooling, MaxPooling])
def test_a_network_with_pooling_is_inverted(pooling, rng):
    net = network(
        rng.standard_normal((24, 6)),
        "relu",
        Reshape((24,), (4, 3, 2)),
        pooling((4, 3, 2), (2, 3)),
        Reshape((2, 1, 2), (4,)),
        rng.standard_normal((4, 4)),
    )
    y = net.forward(rng.standard_normal((5, 6)))
    result = invert(ask(net, y))
    assert [row is RowStatus.SOLVED for row in result.status] == [True] * 5
    np.testing.assert_allclose(net.forward(result.x), y, rtol=1e-7, atol=1e-8)


def test_check_says_what_pooling_loses_and_trains_nothing_again():
    """Means of three along five cells are singular; so are windows of two that share."""
    net = network(
        AveragePooling((5, 1), 3, strides=1, padding="same"),
        MaxPooling((5, 1), 2),
        Reshape((2, 1), (2,)),
        shape=(5, 1),
    )
    report = check_network(net, Context())
    first, second = report.layers[:2]
    assert (first.rank, first.one_to_one, second.one_to_one) == (4, False, False)
    assert "rank 4 of 5" in first.reason
    assert second.reason == "keeps the largest of 2 cells: 60 % of the numbers are lost"
    assert report.verdict is Verdict.SINGULAR
    changes = " ".join(report.advice)
    assert "another size or stride in layer 0" in changes
    assert "train" not in changes.replace("trained", "")


def test_cells_that_a_maximum_leaves_open_stay_where_a_typical_input_has_them():
    bias = np.array([0.5, -1.0, 2.0, 3.0])
    net = network(
        dense(np.eye(4), bias),
        Reshape((4,), (4, 1)),
        MaxPooling((4, 1), 2),
        Reshape((2, 1), (2,)),
    )
    y = np.array([[1.5, 2.5]])
    found = net.graph.preimage(y, np.full(y.shape, 1e-12), Context())
    np.testing.assert_allclose(found.x, [[1.0, 0.0, 0.0, -0.5]], atol=1e-12)
    np.testing.assert_allclose(net.forward(found.x), y)
    assert found.free_dimensions[0] == 2
