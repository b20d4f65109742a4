"""nninvert against Keras: random models, saved by Keras as HDF5 and read by nninvert.

On TensorFlow the reference is the same model in float64. On torch and JAX, Keras 3 computes
parts of a float64 model in float32, and what it says is no better than that; there NumPy
says what Dense layers with Keras's weights give in float64.
"""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_models import (
    NOT_FUNCTIONS,
    NOT_READ,
    ROUNDED_BY_TENSORFLOW,
    Recipe,
    activation_names,
    build,
    build_functional,
    evaluate,
    randomise,
    recipes,
    through_a_file,
    weights_of,
)
from terms import FLOAT32, FLOAT64, distance

from nninvert.errors import UnsupportedLayerError

pytestmark = pytest.mark.oracle

ROWS = 4
# Not shrunk: with a model built and saved at each step that takes minutes, and what is
# found is the same in every run and small anyway.
FOUND_AS_IT_IS = settings(derandomize=True, phases=[Phase.explicit, Phase.generate])
seeds = st.integers(0, 2**32 - 1)
precisions = st.sampled_from(["float32", "float64"])


def _keeps_float64(keras):
    """Whether Keras computes a float64 model in float64 throughout."""
    return not hasattr(keras, "ops") or keras.backend.backend() == "tensorflow"


@given(
    data=st.data(),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    precision=precisions,
    functional=st.booleans(),
    seed=seeds,
)
@settings(FOUND_AS_IT_IS, max_examples=60)
def test_random_models(keras, data, shape, precision, functional, seed):
    exact = _keeps_float64(keras)
    recipe, _ = data.draw(recipes(keras, shape, exact))
    make = build_functional if functional else build
    rng = np.random.default_rng(seed)
    model = randomise(make(keras, recipe, shape, precision), rng)
    net = through_a_file(model)
    x = rng.standard_normal((ROWS, *shape)).astype(np.float32).astype(np.float64)
    if exact:
        weights = weights_of(model)
        model = make(keras, recipe, shape, "float64")
        model.set_weights(weights)
    y = evaluate(keras, model, x)
    assert y.dtype == np.float64 or not exact
    assert distance(net, x.reshape(ROWS, -1), y) <= (FLOAT64 if exact else FLOAT32)


def test_every_activation_of_keras(keras, rng):
    names = activation_names(keras)
    assert len(names) > 10
    apart = {}
    for name in names:
        layers = [
            Recipe("Dense", {"units": 6, "activation": name}),
            Recipe("Dense", {"units": 3}),
        ]
        model = randomise(build(keras, layers, (5,), "float64"), rng)
        x = 3.0 * rng.standard_normal((20, 5))
        rounded = name in ROUNDED_BY_TENSORFLOW or not _keeps_float64(keras)
        bound = FLOAT32 if rounded else FLOAT64
        apart[name] = distance(through_a_file(model), x, evaluate(keras, model, x)) / bound
    assert max(apart.values()) <= 1.0, apart


def test_activations_that_are_not_read_are_refused_by_name(keras):
    for name in sorted(NOT_READ & set(dir(keras.activations)) - NOT_FUNCTIONS):
        layers = [Recipe("Dense", {"units": 4, "activation": name})]
        with pytest.raises(UnsupportedLayerError, match=name):
            through_a_file(build(keras, layers, (4,), "float32"))


def _softmax(z):
    raised = np.exp(z - z.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


FORMULAS = {
    "elu": lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
    "exponential": np.exp,
    "linear": lambda z: z,
    "mish": lambda z: z * np.tanh(np.logaddexp(0.0, z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "softmax": _softmax,
    "softplus": lambda z: np.logaddexp(0.0, z),
    "softsign": lambda z: z / (1.0 + np.abs(z)),
    "swish": lambda z: z / (1.0 + np.exp(-z)),
    "tanh": np.tanh,
}


@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    data=st.data(),
    precision=precisions,
    seed=seeds,
)
@settings(FOUND_AS_IT_IS, max_examples=40)
def test_dense_chains_by_numpy(keras, widths, data, precision, seed):
    rng = np.random.default_rng(seed)
    chosen = [
        (units, data.draw(st.sampled_from(sorted(FORMULAS))), data.draw(st.booleans()))
        for units in widths[1:]
    ]
    layers = [
        Recipe("Dense", {"units": units, "activation": name, "use_bias": bias})
        for units, name, bias in chosen
    ]
    model = randomise(build(keras, layers, widths[:1], precision), rng)
    x = value = rng.standard_normal((ROWS, widths[0]))
    for layer, (_, name, bias) in zip(model.layers, chosen, strict=True):
        kernel, *rest = (array.astype(np.float64) for array in weights_of(layer))
        value = FORMULAS[name](value @ kernel + (rest[0] if bias else 0.0))
    assert distance(through_a_file(model), x, value) <= FLOAT64
