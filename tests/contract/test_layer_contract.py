"""Every kind of layer keeps the contract; deliberately wrong layers do not."""

import numpy as np
import pytest
from layer_contract import CHECKS, failures
from layer_instances import INSTANCES, inputs_for
from problems import conditioned

from nninvert.context import Context
from nninvert.layers import LAYERS, Dense, Elementwise, Rescaling
from nninvert.layers._base import Facts, Preimage
from nninvert.layers.activations import Interval, activation_from_text
from nninvert.layers.elementwise import DiagonalLinearization
from nninvert.linalg.map import DenseMap
from nninvert.linalg.stored import ArrayMatrix

CASES = [
    pytest.param(layer, id=f"{kind}-{position}")
    for kind, layers in INSTANCES.items()
    for position, layer in enumerate(layers)
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("layer", CASES)
def test_contract(layer, check):
    check(layer, inputs_for(layer))


def test_every_kind_has_instances_on_several_axes():
    assert set(LAYERS) <= set(INSTANCES)
    for kind, layers in INSTANCES.items():
        assert {layer.kind for layer in layers} == {kind}
        assert any(_axes(layer) > 1 for layer in layers)


def _axes(layer) -> int:
    """The most axes of what a layer reads; those that join arrays read them packed."""
    parts = getattr(layer, "parts", None)
    shapes = [layer.input_shape] if parts is None else parts.shapes
    return max(map(len, shapes))


# Wrong layers. Each differs from a right one in one line.


class WrongAdjointSign(Elementwise):
    def linearize(self, x):
        right = super().linearize(x)

        class Wrong(DiagonalLinearization):
            def vjp(self, dy):
                return -dy * self._slope

        return Wrong(right.y, right._slope)


class WrongDerivative(Elementwise):
    def linearize(self, x):
        right = super().linearize(x)
        return DiagonalLinearization(right.y, 1.01 * right._slope)


class WrongBranch(Elementwise):
    def preimage(self, y, radius, context):
        found = super().preimage(y, radius, context)
        return replaced(found, x=np.where(y < 0.0, y, found.x))


class SilentClamp(Elementwise):
    def preimage(self, y, radius, context):
        inside = np.clip(y, -1.0 + 1e-9, 1.0 - 1e-9)
        return super().preimage(inside, radius, context)


class NoTolerance(Elementwise):
    def preimage(self, y, radius, context):
        return super().preimage(y, np.zeros(y.shape), context)


class RadiusTooSmall(Elementwise):
    def preimage(self, y, radius, context):
        found = super().preimage(y, radius, context)
        return replaced(found, radius=0.1 * found.radius)


class ChangesItsInput(Elementwise):
    def forward(self, x):
        x += 0.0 * x + 1e-3
        return super().forward(x)


class MixesRows(Elementwise):
    def forward(self, x):
        return super().forward(x - x.mean(axis=0))


class ForgetsItsParameter(Elementwise):
    def config(self):
        return {"activation": {"name": "elu"}}


class MagnitudeWithSigns(Elementwise):
    def linearize(self, x):
        right = super().linearize(x)

        class Wrong(DiagonalLinearization):
            def magnitude(self, dx):
                return 0.5 * np.abs(dx * self._slope)

        return Wrong(right.y, right._slope)


class TransposedKernel(Dense):
    def forward(self, x):
        return x @ self.matrix.to_float64() + self.bias


class TransposedAdjoint(Dense):
    @property
    def linear_part(self):
        linear_map, bias = super().linear_part

        class Wrong(DenseMap):
            def adjoint(self, y):
                return y @ self.matrix.to_float64().T

        return Wrong(linear_map.matrix), bias


class ForgetsTheBiasInThePreimage(Dense):
    def preimage(self, y, radius, context):
        return super().preimage(y + self.bias, radius, context)


class HidesTheKernel(Dense):
    def preimage(self, y, radius, context):
        found = super().preimage(y, radius, context)
        return replaced(found, free_dimensions=np.zeros_like(found.free_dimensions))


class LosesOffset(Rescaling):
    def weights(self):
        return {"scale": self.scale, "offset": 0.0 * self.offset}


def claiming(name, **claims):
    """An activation whose facts lie."""

    class Liar(Elementwise):
        @property
        def facts(self):
            right = super().facts
            return Facts(**{**right.__dict__, **claims})

    return Liar((4,), activation_from_text(name))


def replaced(found: Preimage, **changes) -> Preimage:
    return Preimage(**{**found.__dict__, **changes})


def activation(kind, name):
    return kind((4,), activation_from_text(name))


def square(kind, n=4, m=4):
    rng = np.random.default_rng(3)
    matrix = conditioned(n, 10.0, rng) if n == m else rng.standard_normal((m, n))
    return kind((n,), ArrayMatrix(matrix), rng.standard_normal(m))


WRONG = {
    "adjoint sign": (activation(WrongAdjointSign, "tanh"), "vjp_is_the_transpose"),
    "derivative": (activation(WrongDerivative, "tanh"), "jvp_is_the_derivative"),
    "branch": (activation(WrongBranch, "leaky_relu:0.1"), "preimage_gives_an_origin"),
    "silent clamp": (activation(SilentClamp, "tanh"), "outside_is_said"),
    "no tolerance": (activation(NoTolerance, "tanh"), "outside_is_said"),
    "radius": (activation(RadiusTooSmall, "tanh"), "radius_contains_the_truth"),
    "changed input": (activation(ChangesItsInput, "tanh"), "shapes"),
    "mixed rows": (activation(MixesRows, "tanh"), "rows_are_independent"),
    "lost parameter": (
        activation(ForgetsItsParameter, "elu:0.5"),
        "config_round_trip",
    ),
    "magnitude": (activation(MagnitudeWithSigns, "tanh"), "magnitude_bounds_jvp"),
    "transposed kernel": (square(TransposedKernel), "jvp_is_the_derivative"),
    "transposed adjoint": (square(TransposedAdjoint), "vjp_is_the_transpose"),
    "bias": (square(ForgetsTheBiasInThePreimage), "preimage_gives_an_origin"),
    "hidden kernel": (square(HidesTheKernel, 4, 3), "radius_contains_the_truth"),
    "offset": (
        LosesOffset((4,), np.array(2.0), np.array(1.0)),
        "config_round_trip",
    ),
    "relu is one-to-one": (claiming("relu", one_to_one=True), "facts_agree_with_samples"),
    "tanh is not one-to-one": (
        claiming("tanh", one_to_one=False, reason="why not"),
        "facts_agree_with_samples",
    ),
    "tanh is onto": (claiming("tanh", onto=True), "facts_agree_with_samples"),
    "linear is not onto": (claiming("linear", onto=False), "facts_agree_with_samples"),
    "image": (
        claiming("tanh", image=(Interval(-0.5, 0.5),)),
        "facts_agree_with_samples",
    ),
    "lost": (claiming("tanh", lost=1), "facts_agree_with_samples"),
    "no reason": (claiming("relu", reason=""), "facts_agree_with_samples"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_the_contract_finds(fault):
    layer, check = WRONG[fault]
    assert check in failures(layer, inputs_for(layer))


def test_right_twins_of_the_wrong_layers_pass():
    rights = [
        activation(Elementwise, "tanh"),
        activation(Elementwise, "leaky_relu:0.1"),
        square(Dense),
        square(Dense, 4, 3),
        Rescaling((4,), np.array(2.0), np.array(1.0)),
    ]
    for layer in rights:
        assert failures(layer, inputs_for(layer)) == set()


def test_preimages_need_no_context_of_their_own():
    """A context is shared by all layers: factors of one are never taken for another."""
    context = Context()
    for layers in INSTANCES.values():
        for layer in layers:
            y = layer.forward(inputs_for(layer))
            radius = 1e-15 * np.abs(y) + 1e-300
            shared = layer.preimage(y, radius, context).x
            np.testing.assert_array_equal(shared, layer.preimage(y, radius, Context()).x)
