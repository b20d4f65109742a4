"""Fixtures of Keras 1: run with keras 1.2.2, once per KERAS_BACKEND."""

import importlib

import fixtures
import h5py
import keras
import numpy
from keras import layers
from keras.layers import advanced_activations as advanced

BACKEND = keras.backend.backend()
VINTAGE = f"keras {keras.__version__}, {BACKEND} backend, h5py {h5py.__version__}"

if BACKEND == "theano":
    importlib.import_module("theano.ifelse")  # used by Keras, imported by nobody


def theano_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(6, input_dim=4, activation="tanh"))
    model.add(layers.BatchNormalization())
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(5))
    model.add(advanced.LeakyReLU(alpha=0.2))
    model.add(advanced.PReLU())
    model.add(layers.Dense(4, activation="hard_sigmoid"))
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras1_theano_sequential.h5",
        VINTAGE,
        "list Sequential, output_dim, weight names _W without :0, running_std",
        "4-6 tanh, batch norm, dropout, 5 leaky 0.2, PReLU, 4 hard_sigmoid (0.2)",
        golden_error=fixtures.FLOAT32_SLOPES,
    )


def tensorflow_functional():
    start = layers.Input((4,))
    flow = layers.Dense(5, activation="softplus")(start)
    flow = layers.BatchNormalization(mode=0)(flow)
    flow = advanced.ELU(alpha=0.7)(flow)
    flow = layers.Dense(5, activation="softsign", bias=False)(flow)
    flow = layers.GaussianNoise(0.1)(flow)
    end = layers.Dense(3, activation="sigmoid")(flow)
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.models.Model(start, end)),
        "keras1_tf_functional.h5",
        VINTAGE,
        "Model, three-part inbound nodes, weight names _W:0, no bias",
        "4-5 softplus, batch norm, ELU 0.7, 5 softsign without bias, noise, 3 sigmoid",
    )


def tensorflow_merges():
    one, two = layers.Input((4,), name="one"), layers.Input((4,), name="two")
    flow = layers.merge([one, layers.Dense(4, name="dense")(two)], mode="sum", name="sum")
    flow = layers.merge([flow, two], mode="mul", name="mul")
    mean = layers.merge([flow, one], mode="ave", name="ave")
    high = layers.merge([flow, two], mode="max", name="max")
    end = layers.merge([mean, high], mode="concat", concat_axis=-1, name="all")
    save_graph(
        keras.models.Model([one, two], end),
        "keras1_tf_merges.h5",
        "every mode of Merge between layers",
        ["one", "two"],
        "all",
    )


def tensorflow_sequential_merge():
    branches = []
    for width in (2, 3):
        branch = keras.models.Sequential()
        branch.add(layers.Dense(3, input_dim=width, activation="tanh"))
        branches.append(branch)
    branches[0].add(layers.Dense(2))
    model = keras.models.Sequential()
    model.add(layers.Merge(branches, mode="concat", name="joined"))
    model.add(layers.Dense(4, name="end"))
    save_graph(
        model,
        "keras1_tf_sequential_merge.h5",
        "a Sequential that begins with two others and a Merge",
        ["input_0", "input_1"],
        "end",
    )


def save_graph(model, name, tests, inputs, end):
    """A model of several inputs, with golden values in float32."""
    fixtures.randomise(model)
    model.save(fixtures.path_of(name))
    generator = numpy.random.RandomState(7)
    x = [generator.uniform(-2.0, 2.0, (5, *s[1:])) for s in model.input_shape]
    x = [part.astype("float32") for part in x]
    golden = name.replace(".", "_") + "_golden.npz"
    arrays = {f"x {key}": part.astype(float) for key, part in zip(inputs, x)}  # noqa: B905 (Python 3.7)
    arrays[f"y {end}"] = model.predict(x).astype(float)
    numpy.savez_compressed(fixtures.path_of(golden), **arrays)
    fixtures.record(
        name,
        vintage=VINTAGE,
        outcome="graph",
        tests=tests,
        architecture=tests,
        golden=golden,
        golden_precision="float32",
    )


if BACKEND == "theano":
    theano_sequential()
else:
    tensorflow_functional()
    tensorflow_merges()
    tensorflow_sequential_merge()
