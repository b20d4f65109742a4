"""Fixtures of tf.keras: run with tensorflow 1.15, 2.3 and 2.15."""

import fixtures
import h5py
import tensorflow as tf

keras = tf.keras
layers = keras.layers
VINTAGE = f"tf.keras of tensorflow {tf.__version__}, h5py {h5py.__version__}"


def plain_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(4, input_shape=(3,), activation="tanh"))
    model.add(layers.BatchNormalization())
    model.add(layers.Dense(3, activation="hard_sigmoid"))
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "tf115_sequential.h5",
        VINTAGE,
        "keras_version 2.2.4-tf, Sequential without InputLayer",
        "3-4 tanh, batch norm, 3 hard_sigmoid (0.2)",
    )


def plain_functional():
    start = layers.Input((3,), name="start")
    flow = layers.Dense(4, name="wide")(start)
    flow = layers.LeakyReLU(alpha=0.1, name="bend")(flow)
    flow = layers.GaussianDropout(0.1, name="noise")(flow)
    end = layers.Dense(3, activation="softplus", name="end")(flow)
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "tf23_functional.h5",
        VINTAGE,
        "class Functional, keras_version 2.4.0, float32 alpha of LeakyReLU",
        "3-4, leaky 0.1, noise, 3 softplus",
    )


def deferred_sequential():
    model = keras.models.Sequential()
    model.add(layers.Dense(4, activation="sigmoid"))
    model.build((None, 3))
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "tf23_deferred.h5",
        VINTAGE,
        "no input shape on any layer: build_input_shape or the first kernel tells it",
        "3-4 sigmoid",
    )


def nested_frozen():
    core = keras.Sequential(name="core")
    core.add(layers.Dense(3, input_shape=(3,), name="frozen", trainable=False))
    core.add(layers.BatchNormalization(name="norm"))
    middle_in = layers.Input((3,), name="middle_in")
    flow = core(middle_in)
    middle_out = layers.Dense(3, activation="tanh", name="free")(flow)
    middle = keras.Model(middle_in, middle_out, name="middle")
    start = layers.Input((3,), name="start")
    end = layers.Dense(2, name="head")(middle(start))
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "tf215_nested_frozen.h5",
        VINTAGE,
        "Sequential in Functional in Functional, frozen layer before a batch norm",
        "middle(core(3-3 frozen, batch norm), 3 tanh), 2 linear",
    )


def activations():
    model = keras.Sequential()
    model.add(layers.Dense(4, input_shape=(4,), activation=layers.LeakyReLU(0.15)))
    model.add(layers.Dense(4, activation=tf.nn.leaky_relu))
    model.add(layers.PReLU())
    model.add(layers.Dense(4, activation="hard_sigmoid", activity_regularizer="l2"))
    model.add(layers.ReLU(max_value=0.9, negative_slope=0.2, threshold=0.2))
    model.add(layers.Activation("swish"))
    model.add(layers.Softmax())
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "tf215_activations.h5",
        VINTAGE,
        "activation as a dictionary, as leaky_relu (0.2), as a layer, regularisers",
        "4-4 leaky 0.15, 4 leaky 0.2, PReLU, 4 hard_sigmoid, ReLU, swish, softmax",
        golden_error=fixtures.FLOAT32_SLOPES,
    )


def mixed_policy():
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = keras.Sequential()
    model.add(layers.Dense(4, input_shape=(3,), activation="tanh"))
    keras.mixed_precision.set_global_policy("float32")
    fixtures.save_readable(
        keras,
        fixtures.randomise(model),
        "tf215_mixed16.h5",
        VINTAGE,
        "dtype policy mixed_float16 as a dictionary",
        "3-4 tanh",
    )


def preprocessing():
    scale = layers.Normalization(mean=[1.0, -2.0, 0.5], variance=[4.0, 0.25, 9.0])
    adapted = layers.Normalization()
    adapted.adapt([[1.0, 2.0, 3.0], [4.0, 4.0, 5.0], [0.0, -1.0, 3.5]])
    start = layers.Input((3,))
    flow = adapted(scale(start))
    flow = layers.Dense(3, activation="tanh")(flow)
    end = layers.Rescaling(2.5, offset=-1.0)(flow)
    fixtures.save_readable(
        keras,
        fixtures.randomise(keras.Model(start, end)),
        "tf215_preprocessing.h5",
        VINTAGE,
        "Normalization with its numbers in the configuration, with arrays, Rescaling",
        "normalise, normalise, 3-3 tanh, rescale",
    )


def weights_only():
    model = keras.Sequential()
    model.add(layers.Dense(4, input_shape=(3,), activation="tanh", name="first"))
    model.add(layers.Dense(2, name="second"))
    fixtures.randomise(model)
    name = "tf215_weights_only.h5"
    model.save_weights(fixtures.path_of(name))
    fixtures.record(
        name,
        vintage=VINTAGE,
        outcome="weights only",
        tests="layer_names on the root, no architecture",
        architecture="3-4 tanh, 2 linear",
        layers=fixtures.describe_layers(model),
        activations=["tanh", "linear"],
        golden=fixtures.write_golden(keras, model, name, [3], "float64"),
        golden_precision="float64",
    )


class Scale(layers.Layer):
    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs * self.factor


def refused():
    model = keras.Sequential()
    model.add(layers.Dense(3, input_shape=(3,)))
    model.add(layers.Lambda(fixtures.doubling_lambda(), name="twice"))
    fixtures.save_refused(
        model,
        "tf215_lambda.h5",
        VINTAGE,
        "a Lambda with marshalled code, which must not be run",
        "3-3, Lambda",
        ["Lambda"],
    )
    model = keras.Sequential()
    model.add(layers.Conv2D(1, 2, input_shape=(4, 3, 1)))
    model.add(layers.Reshape((3, 2)))
    model.add(layers.LSTM(2))
    model.add(Scale())
    fixtures.save_refused(
        model,
        "tf215_unknown.h5",
        VINTAGE,
        "every unknown layer is named at once",
        "Conv2D, Reshape, LSTM, custom Scale",
        ["LSTM", "Scale"],
    )


def two_inputs():
    one, two = layers.Input((2,), name="one"), layers.Input((3,), name="two")
    both = layers.Concatenate(name="both")([one, two])
    end = layers.Dense(2, activation="tanh", name="end")(both)
    fixtures.save_branched(
        keras,
        fixtures.randomise(keras.Model([one, two], end)),
        "tf215_two_inputs.h5",
        VINTAGE,
        "two inputs of unequal length",
        "concatenate(2, 3), 2 tanh",
    )


WANTED = {
    "1.15": [plain_sequential],
    "2.3": [plain_functional, deferred_sequential],
    "2.15": [
        nested_frozen,
        activations,
        mixed_policy,
        preprocessing,
        weights_only,
        refused,
        two_inputs,
    ],
}
for write in WANTED[tf.__version__.rsplit(".", 1)[0]]:
    write()
