"""Random Keras models of layers that nninvert reads, drawn as recipes by hypothesis.

A recipe can be built more than once: in the precision that is saved, and in float64 to say
what comes out.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from frameworks import framework_at_work
from hypothesis import strategies as st

import nninvert

NOT_FUNCTIONS = {"deserialize", "get", "serialize"}
NOT_READ = {"sparsemax", "threshold"}

# TensorFlow holds the slope of leaky_relu and the root of 1/2 in gelu in float32, also
# where everything else is float64. (With the same rounding NumPy agrees to 1e-15.)
ROUNDED_BY_TENSORFLOW = {"gelu", "leaky_relu"}

_SLOPES = st.sampled_from([0.0, 0.25, 0.5])  # float32 holds them
_EPSILONS = st.sampled_from([1e-3, 0.1])


@dataclass(frozen=True)
class Recipe:
    """A layer: its class, its arguments, and what is inside a model or a wrapper."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    inside: tuple["Recipe", ...] = ()


def activation_names(keras):
    """The activations of this version of Keras that nninvert reads."""
    listed = {name for name in dir(keras.activations) if not name.startswith("_")}
    return sorted(listed - NOT_FUNCTIONS - NOT_READ)


@framework_at_work()
def build(keras, recipes, shape, dtype):
    """A Sequential model; names are the same at every call."""
    keras.backend.clear_session()
    start = keras.layers.Input(shape, dtype=dtype)
    return keras.Sequential([start, *_layers(keras, recipes, dtype)])


@framework_at_work()
def build_functional(keras, recipes, shape, dtype):
    """The same as a functional model."""
    keras.backend.clear_session()
    start = value = keras.layers.Input(shape, dtype=dtype)
    for layer in _layers(keras, recipes, dtype):
        value = layer(value)
    return keras.Model(start, value)


def _layers(keras, recipes, dtype):
    made = []
    for recipe in recipes:
        make, inner = getattr(keras.layers, recipe.kind, None), []
        if recipe.kind == "Sequential":
            made.append(keras.Sequential(_layers(keras, recipe.inside, dtype)))
            continue
        if recipe.inside:
            inner = _layers(keras, recipe.inside, dtype)
        made.append(make(*inner, **recipe.arguments, dtype=dtype))
    return made


@framework_at_work()
def weights_of(model):
    """The arrays of a model or of a layer."""
    return model.get_weights()


@framework_at_work()
def randomise(model, rng):
    """Weights of the size that keeps values near 1, variances above 0."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            randomise(layer, rng)
            continue
        drawn = []
        for value in layer.get_weights():
            entries = rng.standard_normal(value.shape)
            if value.ndim == 2:
                entries = entries / np.sqrt(len(value))
            drawn.append(entries.astype(value.dtype))
        if type(layer).__name__ == "BatchNormalization":
            drawn[-1] = np.abs(drawn[-1]) + drawn[-1].dtype.type(0.3)
        if drawn:
            layer.set_weights(drawn)
    return model


@framework_at_work()
def evaluate(keras, model, x):
    """What the framework says, in inference mode."""
    y = model(x, training=False)
    return keras.ops.convert_to_numpy(y) if hasattr(keras, "ops") else y.numpy()


def through_a_file(model):
    """What nninvert reads of a model that Keras wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.h5")
        with framework_at_work():
            model.save(path)
        return nninvert.load(path)


@st.composite
def recipes(draw, keras, shape, exact, depth=1):
    """One to five layers that take an input of this shape one after the other.

    With `exact` there are none that TensorFlow rounds to float32.
    """
    names = activation_names(keras)
    if exact:
        names = [name for name in names if name not in ROUNDED_BY_TENSORFLOW]
    made = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(_kinds(keras, shape, depth)))
        if kind == "Sequential":
            inside, shape = draw(recipes(keras, shape, exact, depth - 1))
            made.append(Recipe(kind, inside=inside))
            continue
        recipe, shape = _one(draw, keras, kind, shape, names)
        made.append(recipe)
    return tuple(made), shape


def _kinds(keras, shape, depth):
    kinds = ["Dense", "Dense", "Activation", "BatchNormalization", "Dropout", "ELU"]
    kinds += ["GaussianNoise", "LeakyReLU", "Normalization", "PReLU", "ReLU", "Rescaling"]
    kinds += ["Softmax", "Flatten", "Reshape"]
    kinds += ["Permute", "TimeDistributed"] if len(shape) > 1 else []
    kinds += ["ThresholdedReLU"] if hasattr(keras.layers, "ThresholdedReLU") else []
    return kinds + (["Sequential"] if depth else [])


def _one(draw, keras, kind, shape, names):
    """A layer of this class, and the shape behind it."""
    if kind in ("Dense", "TimeDistributed"):
        arguments = {
            "units": draw(st.integers(1, 5)),
            "use_bias": draw(st.booleans()),
            "activation": draw(st.sampled_from(names)),
            "trainable": draw(st.booleans()),
        }
        dense, after = Recipe("Dense", arguments), (*shape[:-1], arguments["units"])
        if kind == "Dense":
            return dense, after
        return Recipe(kind, inside=(dense,)), after
    if kind == "Flatten":
        return Recipe(kind), (int(np.prod(shape)),)
    if kind == "Reshape":
        columns = draw(st.sampled_from([n for n in (1, 2, 3) if np.prod(shape) % n == 0]))
        after = (int(np.prod(shape)) // columns, columns)
        return Recipe(kind, {"target_shape": (-1, columns)}), after
    if kind == "Permute":
        order = draw(st.permutations(range(len(shape))))
        dims = tuple(axis + 1 for axis in order)
        return Recipe(kind, {"dims": dims}), tuple(shape[axis] for axis in order)
    return Recipe(kind, _arguments(draw, keras, kind, shape, names)), shape


def _arguments(draw, keras, kind, shape, names):
    """Of a layer that keeps the shape."""
    axis = st.sampled_from([-1, *range(1, len(shape) + 1)])
    slope = "negative_slope" if hasattr(keras, "ops") else "alpha"
    if kind == "BatchNormalization":
        flags = {name: draw(st.booleans()) for name in ("center", "scale", "trainable")}
        return {"axis": draw(axis), "epsilon": draw(_EPSILONS), **flags}
    if kind == "Normalization":
        # Keras 3 rounds both to float32 first, so that they are numbers which that holds.
        units = np.arange(shape[-1])
        mean, variance = 0.75 * units - 1.0, 1.25 * units + 0.5
        invert = draw(st.booleans())
        return {"mean": mean.tolist(), "variance": variance.tolist(), "invert": invert}
    if kind == "PReLU":
        shared = draw(st.sampled_from([None, [1], list(range(1, len(shape) + 1))]))
        return {"shared_axes": shared}
    if kind == "ReLU":
        ceiling = draw(st.sampled_from([None, 1.5]))
        threshold = draw(st.sampled_from([0.0, 0.25]))
        slopes = draw(_SLOPES)
        return {"negative_slope": slopes, "max_value": ceiling, "threshold": threshold}
    return {
        "Activation": lambda: {"activation": draw(st.sampled_from(names))},
        "Dropout": lambda: {"rate": 0.3},
        "ELU": lambda: {"alpha": draw(st.sampled_from([0.5, 1.0, 1.5]))},
        "GaussianNoise": lambda: {"stddev": 0.3},
        "LeakyReLU": lambda: {slope: draw(_SLOPES)},
        "Rescaling": lambda: {"scale": draw(_SLOPES) + 0.5, "offset": -0.75},
        "Softmax": lambda: {"axis": draw(axis)},
        "ThresholdedReLU": lambda: {"theta": 0.5},
    }[kind]()
