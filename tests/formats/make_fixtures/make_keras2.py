"""Fixtures of multi-backend Keras 2: run with keras 2.1.0, 2.2.2, 2.2.4 and 2.3.1."""

import importlib

import fixtures
import h5py
import keras
from keras import layers

BACKEND = keras.backend.backend()
VERSION = keras.__version__
VINTAGE = f"keras {VERSION}, {BACKEND} backend, h5py {h5py.__version__}"

if BACKEND == "theano":
    importlib.import_module("theano.ifelse")  # used by Keras, imported by nobody


def plain_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(6, input_shape=(4,), activation="tanh"))
    model.add(layers.Dropout(0.2))
    model.add(layers.Activation("sigmoid"))
    model.add(layers.Dense(4, activation="hard_sigmoid", use_bias=False))
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras210_theano_sequential.h5",
        VINTAGE,
        "list Sequential, kernel names without :0",
        "4-6 tanh, dropout, sigmoid, 4 hard_sigmoid (0.2) without bias",
    )


def reshaping_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(12, input_shape=(4,), activation="tanh"))
    model.add(layers.Reshape((2, 3, 2)))
    model.add(layers.Permute((3, 1, 2)))
    model.add(layers.Flatten(data_format="channels_first"))
    model.add(layers.Dense(5, activation="elu"))
    model.add(layers.ActivityRegularization(l2=0.1))
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras222_reshape.h5",
        VINTAGE,
        "list Sequential, Reshape, Permute, channels_first Flatten",
        "4-12 tanh, reshape 2x3x2, permute to 2x2x3, flatten channels first, 5 elu",
    )


def activations_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(5, input_shape=(4,)))
    model.add(layers.LeakyReLU())
    model.add(layers.ELU(alpha=0.5))
    model.add(layers.PReLU())
    model.add(layers.ReLU(max_value=1.0, negative_slope=0.25, threshold=0.1))
    model.add(layers.Dense(4, activation="selu"))
    model.add(layers.ThresholdedReLU(theta=0.3))
    model.add(layers.Softmax())
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras224_activations.h5",
        VINTAGE,
        "dict Sequential, activation layers and their parameters, float32 alpha",
        "4-5, LeakyReLU 0.3, ELU, PReLU, ReLU, 4 selu, ThresholdedReLU, softmax",
    )


def plain_functional():
    start = layers.Input((4,))
    flow = layers.GaussianNoise(0.1)(start)
    flow = layers.BatchNormalization(scale=False)(flow)
    flow = layers.BatchNormalization(center=False, epsilon=0.01)(flow)
    end = layers.Dense(4, activation="softsign", name="last")(flow)
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.models.Model(start, end)),
        "keras224_functional.h5",
        VINTAGE,
        "Model, batch norm without gamma, without beta, epsilon",
        "noise, two batch norms of 4, 4-4 softsign",
    )


def nested_frozen():
    inner = keras.models.Sequential(name="inner")
    inner.add(layers.Dense(4, input_shape=(4,), activation="tanh", name="free"))
    inner.add(layers.BatchNormalization(name="norm"))
    inner.add(layers.Dense(4, name="frozen", trainable=False))
    inner.add(layers.Dense(4, name="tail"))
    start = layers.Input((4,))
    end = layers.Dense(3, activation="sigmoid", name="head")(inner(start))
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.models.Model(start, end)),
        "keras231_nested_frozen.h5",
        VINTAGE,
        "Sequential in Model; arrays of inner: trainable first, then frozen and moving",
        "inner 4-4 tanh, batch norm, frozen 4, 4; then 3 sigmoid",
        precision="float32",  # the batch norm of Keras 2.3.1 mixes types in float64
    )


WANTED = {
    "2.1.0": [plain_sequential],
    "2.2.2": [reshaping_sequential],
    "2.2.4": [activations_sequential, plain_functional],
    "2.3.1": [nested_frozen],
}
for write in WANTED[VERSION]:
    write()
