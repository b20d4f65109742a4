"""Fixtures of Keras 3: run with keras 3.3.3, 3.8.0 and 3.15.1.

The newest on the TensorFlow backend: on torch and JAX, Keras 3 computes some steps of
a float64 model in float32, and the golden values would be no better.
"""

import fixtures
import h5py
import keras
import numpy as np
from keras import layers

VINTAGE = (
    f"keras {keras.__version__}, {keras.backend.backend()} backend, h5py {h5py.__version__}"
)


def plain_sequential():
    model = keras.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(4, activation="hard_sigmoid"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="elu"),
        ]
    )
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras333_sequential.h5",
        VINTAGE,
        "dtype as a string, hard_sigmoid with slope 1/6, Sequential with batch_shape",
        "3-4 hard_sigmoid (1/6), batch norm, dropout, 3 elu",
    )


def plain_functional():
    start = layers.Input((3,), name="start")
    bent = layers.LeakyReLU(negative_slope=0.15)
    flow = layers.Dense(4, activation=bent, name="wide")(start)
    end = layers.Dense(3, activation="leaky_relu", name="end")(flow)
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "keras38_functional.h5",
        VINTAGE,
        "input_layers as a list of triples, an activation that is a layer",
        "3-4 leaky 0.15, 3 leaky 0.2",
        precision="float32",  # Keras 3.8 cannot rebuild an activation that is a layer
    )


def nested_frozen():
    frozen = layers.Dense(3, name="frozen", trainable=False)
    norm = layers.BatchNormalization(name="norm")
    core = keras.Sequential([layers.Input((3,)), frozen, norm], name="core")
    middle_in = layers.Input((3,), name="middle_in")
    middle_out = layers.Dense(3, activation="tanh", name="free")(core(middle_in))
    middle = keras.Model(middle_in, middle_out, name="middle")
    start = layers.Input((3,), name="start")
    end = layers.Dense(2, name="head")(middle(start))
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "keras3_nested_frozen.h5",
        VINTAGE,
        "Sequential in Functional in Functional, frozen layer before a batch norm",
        "middle(core(3-3 frozen, batch norm), 3 tanh), 2 linear",
    )


def activations():
    model = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(4),
            layers.LeakyReLU(),
            layers.PReLU(),
            layers.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.1),
            layers.ELU(alpha=0.5),
            layers.Activation("leaky_relu"),
            layers.Activation(keras.activations.hard_sigmoid),
            layers.ActivityRegularization(l1=0.1),
            layers.GaussianNoise(0.2),
            layers.Softmax(),
        ]
    )
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras3_activations.h5",
        VINTAGE,
        "negative_slope, activation layers and strings, layers that only train",
        "4-4, leaky 0.3, PReLU, ReLU, ELU, leaky 0.2, hard_sigmoid (1/6), softmax",
        golden_error=fixtures.FLOAT32_SLOPES,
    )


def preprocessing():
    adapted = layers.Normalization()
    adapted.adapt(np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 5.0], [0.0, -1.0, 3.5]]))
    back = layers.Normalization(
        mean=[1.0, -2.0, 0.5], variance=[4.0, 0.25, 9.0], invert=True
    )
    model = keras.Sequential(
        [
            layers.Input((3,)),
            adapted,
            layers.Dense(3, activation="tanh"),
            layers.Rescaling([2.5, 1.0, 0.5], offset=[-1.0, 0.0, 1.0]),
            back,
        ]
    )
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras3_preprocessing.h5",
        VINTAGE,
        "Normalization with arrays; inverted, from the configuration; vector Rescaling",
        "normalise, 3-3 tanh, rescale each output, denormalise",
    )


def reshaping():
    model = keras.Sequential(
        [
            layers.Input((2, 3, 2)),
            layers.Permute((3, 1, 2)),
            layers.Flatten(data_format="channels_first"),
            layers.Reshape((3, -1)),
            layers.Dense(2, activation="tanh"),
            layers.Flatten(),
        ]
    )
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras3_reshape.h5",
        VINTAGE,
        "shapes above rank 1, channels_first Flatten, -1 in Reshape, Dense on rank 3",
        "2x3x2, permute to 2x2x3, flatten channels first, 3x4, dense 3x2 tanh, flatten",
    )


def wide_policy():
    dense = layers.Dense(4, activation="tanh", dtype="float64")
    model = keras.Sequential([layers.Input((3,), dtype="float64"), dense])
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "keras3_float64.h5",
        VINTAGE,
        "dtype policy float64: arrays in float64",
        "3-4 tanh",
    )


def split_names():
    from keras.src.legacy.saving import legacy_h5_format

    legacy_h5_format.HDF5_OBJECT_HEADER_LIMIT = 48
    inner = keras.Sequential(
        [layers.Input((3,)), layers.Dense(3, activation="tanh"), layers.Dense(2)],
        name="inner",
    )
    start = layers.Input((3,), name="an_input_with_a_name_that_fills_the_limit")
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, inner(start))),
        "keras3_split_names.h5",
        f"{VINTAGE}, its limit for one attribute lowered from 64512 to 48 bytes",
        "layer_names and weight_names split into numbered ones by Keras' own code",
        "inner(3-3 tanh, 2 linear)",
    )


class Regressor(keras.Model):
    def __init__(self):
        super().__init__()
        self.only = layers.Dense(4, activation="tanh")

    def call(self, inputs):
        return self.only(inputs)


def unsafe():
    fixtures.save_refused(
        keras.Sequential(
            [
                layers.Input((3,)),
                layers.Dense(3),
                layers.Lambda(fixtures.doubling_lambda(), output_shape=(3,)),
            ]
        ),
        "keras3_lambda.h5",
        VINTAGE,
        "a Lambda with marshalled code (__lambda__), which must not be run",
        "3-3, Lambda",
        ["Lambda"],
    )


def subclassed():
    model = Regressor()
    model(keras.ops.zeros((1, 3)))
    fixtures.save_refused(
        model,
        "keras3_subclassed.keras",
        VINTAGE,
        "a subclassed model: its class is not one of the known containers",
        "3-4 tanh inside a class of the user",
        ["Regressor"],
    )


def branched():
    start = layers.Input((3,), name="start")
    left = layers.Dense(3, activation="tanh", name="left")(start)
    end = layers.Add(name="sum")([start, left])
    fixtures.save_branched(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "keras3_branch.h5",
        VINTAGE,
        "a residual block: the graph is no chain",
        "x + Dense 3 tanh of x",
    )


WANTED = {
    "3.3.3": [plain_sequential],
    "3.8.0": [plain_functional],
}
NEWEST = [
    nested_frozen,
    activations,
    preprocessing,
    reshaping,
    wide_policy,
    split_names,
    unsafe,
    subclassed,
    branched,
]
for write in WANTED.get(keras.__version__, NEWEST):
    write()
