"""Fixtures of Keras 1: run with keras 1.2.2, once per KERAS_BACKEND."""

import importlib

import fixtures
import h5py
import keras
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


def tensorflow_merge():
    start = layers.Input((4,))
    end = layers.merge([start, layers.Dense(4)(start)], mode="sum")
    fixtures.save_refused(
        keras.models.Model(start, end),
        "keras1_tf_merge.h5",
        VINTAGE,
        "a branch closed by a Keras 1 Merge",
        "x + Dense 4 of x",
        ["Merge"],
    )


if BACKEND == "theano":
    theano_sequential()
else:
    tensorflow_functional()
    tensorflow_merge()
