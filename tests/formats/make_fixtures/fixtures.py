"""Write one fixture: the model file, its golden values, its line in index.json.

Every framework vintage runs this, from Python 3.6 on.
"""

import json
import os
import zlib

import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "data")
ROWS = 5
ERRORS = {"float64": 1e-13, "float32": 2e-6}
"""How far y may be from the function in the file, where nothing worse is known."""

FLOAT32_SLOPES = 5e-8
"""The same where a float64 graph holds the slope of a leaky ReLU in float32."""


def path_of(name):
    return os.path.join(DATA, name)


def draw_inputs(name, shape):
    """Inputs that float32 holds exactly, so that every precision sees the same x."""
    generator = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    return generator.uniform(-2.0, 2.0, (ROWS, *shape)).astype(np.float32)


def randomise(model, seed=0):
    """Give every weight a value that its start does not have, variances > 0."""
    generator = np.random.RandomState(seed)
    _randomise(model, generator)
    return model


def _randomise(layer, generator):
    if hasattr(layer, "layers"):
        for inner in layer.layers:
            _randomise(inner, generator)
        return
    values = [np.asarray(value) for value in layer.get_weights()]
    if not values or layer.__class__.__name__ == "Normalization":
        return
    drawn = [generator.normal(0.0, 0.6, v.shape).astype(v.dtype) for v in values]
    if getattr(layer, "layer", layer).__class__.__name__ == "BatchNormalization":
        drawn[-1] = np.abs(drawn[-1]) + np.asarray(0.5, drawn[-1].dtype)
    layer.set_weights(drawn)


def describe_layers(model, prefix=""):
    """List class, name and output shape of every layer, nested ones flattened."""
    found = []
    for layer in model.layers:
        name = prefix + layer.name
        if hasattr(layer, "layers"):
            found.extend(describe_layers(layer, name + "/"))
        elif layer.__class__.__name__ != "InputLayer":
            entry = {"class": layer.__class__.__name__, "name": name}
            entry["output_shape"] = [int(n) for n in _output_shape(layer)[1:]]
            found.append(entry)
    return found


def _output_shape(layer):
    if hasattr(layer, "output_shape"):
        return layer.output_shape
    return layer.output.shape


def float64_twin(keras, model):
    """Rebuild a model in float64 from the configuration that its file holds."""
    text = model.to_json()
    for name in ("float32", "mixed_float16", "float16"):
        text = text.replace(f'"{name}"', '"float64"')
    _set_precision(keras, "float64")
    twin = keras.models.model_from_json(text)
    twin.set_weights([np.asarray(w) for w in model.get_weights()])
    _finish_normalization(twin)
    return twin


def _finish_normalization(layer):
    """Let Normalization layers see the arrays that they have been given."""
    for inner in getattr(layer, "layers", []):
        _finish_normalization(inner)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _set_precision(keras, name):
    keras.backend.set_floatx(name)
    if hasattr(keras, "config"):  # Keras 3 remembers the policy of its first layer
        keras.config.set_dtype_policy(name)


def predict_in_float64(keras, model, x):
    """What the model would say if every step were float64, by its own framework."""
    twin = float64_twin(keras, model)
    parts = x if isinstance(x, list) else [x]
    wide = [part.astype(np.float64) for part in parts]
    y = np.asarray(twin.predict(wide if len(wide) > 1 else wide[0]))
    _set_precision(keras, "float32")
    assert y.dtype == np.float64, y.dtype
    return y


def write_golden(keras, model, name, shape, precision):
    """Store x, y in the precision asked for and y_own, the model's own prediction."""
    x = draw_inputs(name, shape)
    own = np.asarray(model.predict(x.astype(_input_type(model))))
    y = own
    if precision == "float64":
        y = predict_in_float64(keras, model, x)
    assert np.allclose(y, own, rtol=1e-2 if own.dtype == np.float16 else 1e-4)
    golden = name.rsplit(".", 1)[0] + "_golden.npz"
    arrays = {"x": x.astype(np.float64), "y": y.astype(np.float64), "y_own": own}
    np.savez_compressed(path_of(golden), **arrays)
    return golden


def _input_type(model):
    """float64 for a model of that policy, else float32."""
    kinds = {str(np.asarray(weight).dtype) for weight in model.get_weights()}
    return "float64" if kinds == {"float64"} else "float32"


def record(name, **entry):
    """Put the fixture's line into the index, replacing an older one."""
    path = path_of("index.json")
    index = []
    if os.path.exists(path):
        with open(path) as file:
            index = json.load(file)
    index = [line for line in index if line["file"] != name]
    line = {"file": name}
    line.update(entry)
    if "golden" in line:
        line.setdefault("golden_error", ERRORS[line["golden_precision"]])
    index = sorted([*index, line], key=lambda item: item["file"])
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(line) for line in index) + "\n]\n")


def save_readable(
    keras, model, name, vintage, tests, architecture, precision="float64", **more
):
    """Save a model that a reader has to understand, with golden values.

    A few vintages cannot rebuild a model in float64; they give y in float32.
    """
    model.save(path_of(name))
    shape = [int(n) for n in model.input_shape[1:]]
    layers = describe_layers(model)
    golden = write_golden(keras, model, name, shape, precision)
    record(
        name,
        vintage=vintage,
        outcome="read",
        tests=tests,
        architecture=architecture,
        input_shape=shape,
        layers=layers,
        golden=golden,
        golden_precision=precision,
        **more,
    )


def doubling_lambda():
    """A lambda whose code, once in a file, names no folder of this machine."""
    return eval(compile("lambda value: value * 2.0", "user.py", "eval"))


def save_refused(model, name, vintage, tests, architecture, unknown):
    """Save a model that a reader has to refuse, naming every entry of ``unknown``."""
    model.save(path_of(name))
    record(
        name,
        vintage=vintage,
        outcome="refused",
        tests=tests,
        architecture=architecture,
        refused_for=unknown,
    )


def save_branched(keras, model, name, vintage, tests, architecture):
    """Save a model that is no chain, with golden values of the whole graph."""
    model.save(path_of(name))
    generator = np.random.RandomState(7)
    x = [generator.uniform(-2.0, 2.0, (ROWS, *s[1:])) for s in _input_shapes(model)]
    x = [part.astype(np.float32) for part in x]
    y = predict_in_float64(keras, model, x if len(x) > 1 else x[0])
    golden = name.rsplit(".", 1)[0] + "_golden.npz"
    arrays = {f"x{index}": part.astype(np.float64) for index, part in enumerate(x)}
    np.savez_compressed(path_of(golden), y=y, **arrays)
    record(
        name,
        vintage=vintage,
        outcome="branched",
        tests=tests,
        architecture=architecture,
        layers=describe_layers(model),
        golden=golden,
        golden_precision="float64",
    )


def _input_shapes(model):
    return [tuple(part.shape) for part in model.inputs]
