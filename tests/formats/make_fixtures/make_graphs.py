"""Models that are no chains, with golden values in float64.

Run with keras 3.15 on torch, and with tf.keras 2.15.
"""

import sys

import fixtures
import graph_models
import h5py
import numpy as np


def save(keras, model, name, vintage, tests, made_by, write):
    """Write a model by `write` and what it computes, by the names of its layers."""
    fixtures.randomise(model)
    write(model, fixtures.path_of(name))
    generator = np.random.RandomState(7)
    shapes = [tuple(part.shape) for part in model.inputs]
    x = [generator.uniform(-2.0, 2.0, (fixtures.ROWS, *s[1:])) for s in shapes]
    x = [part.astype(np.float32).astype(np.float64) for part in x]
    golden = name.replace(".", "_") + "_golden.npz"
    arrays = {f"x {n}": part for n, part in zip(input_names(model), x, strict=True)}
    outputs = values_of(keras, model, x)
    names = output_names(model)
    arrays.update({f"y {n}": y for n, y in zip(names, outputs, strict=True)})
    np.savez_compressed(fixtures.path_of(golden), **arrays)
    fixtures.record(
        name,
        vintage=vintage,
        outcome="graph",
        tests=tests,
        architecture=made_by,
        golden=golden,
        golden_precision="float64" if keras.__name__ != "keras" else "float32",
    )


def values_of(keras, model, x):
    """What a float64 twin computes, which on torch rounds to float32 here and there."""
    twin = fixtures.float64_twin(keras, model)
    flat = keras.Model(twin.inputs, twin.outputs)
    outputs = flat.predict(x, verbose=0)
    fixtures._set_precision(keras, "float32")
    return outputs if isinstance(outputs, list) else [outputs]


def input_names(model):
    return [part.name.split(":")[0] for part in model.inputs]


def output_names(model):
    """The layer that makes each output, and which of its outputs that is."""
    found = []
    for part in model.outputs:
        if hasattr(part, "_keras_history"):
            layer, _, tensor = part._keras_history
        else:
            layer, _, tensor = part.node.layer, 0, 0
        found.append(layer.name + (f"[{tensor}]" if tensor else ""))
    return found


def whole(model, path):
    model.save(path)


def weights_apart(model, path):
    """The weights, and the architecture beside them."""
    model.save_weights(path)
    with open(path.replace(".weights.h5", ".json"), "w") as file:
        file.write(model.to_json())


def shards(model, path):
    """Weights in files of at most 429 bytes, and the architecture."""
    model.save_weights(path, max_shard_size=4e-7)
    with open(path.replace(".weights.json", ".json"), "w") as file:
        file.write(model.to_json())


def keras_3():
    import keras
    from keras import ops

    backend = keras.backend.backend()
    about = f"keras {keras.__version__}, {backend} backend, h5py {h5py.__version__}"
    functions = {
        name: getattr(ops, name)
        for name in (
            "concatenate",
            "expand_dims",
            "flip",
            "maximum",
            "relu",
            "reshape",
            "sigmoid",
            "split",
            "squeeze",
            "stack",
            "tanh",
            "transpose",
        )
    }
    functions["from_three"] = lambda x: 3.0 - x
    for name, model, tests, write in (
        ("keras3_images.keras", graph_models.images(keras), "convolutions", whole),
        ("keras3_shared.keras", graph_models.shared(keras), "dicts of tensors", whole),
        ("keras3_nested.keras", graph_models.nested(keras), "nested, two of each", whole),
        (
            "keras3_attention.weights.h5",
            graph_models.attention(keras),
            "architecture apart, attention",
            weights_apart,
        ),
        (
            "keras3_shards.weights.json",
            graph_models.images(keras),
            "weights in shards",
            shards,
        ),
        (
            "keras3_operations.keras",
            graph_models.operations(keras, functions),
            "keras.ops between layers",
            whole,
        ),
    ):
        save(keras, model, name, about, tests, name.split("_")[1].split(".")[0], write)


def tf_keras():
    import tensorflow as tf

    keras = tf.keras
    about = f"tf.keras of tensorflow {tf.__version__}, h5py {h5py.__version__}"
    functions = {
        "concatenate": tf.concat,
        "expand_dims": tf.expand_dims,
        "flip": lambda x, axis: tf.reverse(x, [axis]),
        "from_three": lambda x: -x + 3.0,  # a twin would take 3.0 - x in two precisions
        "maximum": tf.maximum,
        "relu": tf.nn.relu,
        "reshape": tf.reshape,
        "sigmoid": tf.sigmoid,
        "split": tf.split,
        "squeeze": tf.squeeze,
        "stack": tf.stack,
        "tanh": tf.tanh,
        "transpose": tf.transpose,
    }
    for name, model, tests in (
        ("tf215_images.h5", graph_models.normalised_images(keras), "convolutions"),
        ("tf215_shared.h5", graph_models.shared(keras), "dicts of tensors"),
        ("tf215_nested.h5", graph_models.nested(keras), "nested, two of each"),
        ("tf215_attention.keras", graph_models.attention(keras), "attention"),
        (
            "tf215_operations.h5",
            graph_models.operations(keras, functions),
            "functions of TensorFlow between layers",
        ),
    ):
        made_by = name.split("_")[1].split(".")[0]
        save(keras, model, name, about, tests, made_by, whole)


if __name__ == "__main__":
    if "tf" in sys.argv[1:]:
        tf_keras()
    else:
        keras_3()
