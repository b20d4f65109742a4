"""Small Keras HDF5 files, written here with h5py as Keras writes them."""

import json

import h5py
import numpy as np


def dense(name, units, activation="linear", **more):
    """The configuration of a Dense layer."""
    config = {"name": name, "units": units, "activation": activation, "use_bias": True}
    return {"class_name": "Dense", "config": {**config, **more}}


def layer(class_name, name, **config):
    """The configuration of any layer."""
    return {"class_name": class_name, "config": {"name": name, **config}}


def sequential(layers, shape=None, **more):
    """A Sequential as an object; `shape` without the batch."""
    if shape is not None:
        start = layer("InputLayer", "input_1", batch_input_shape=[None, *shape])
        layers = [start, *layers]
    config = {"name": "sequential", "layers": layers, **more}
    return {"class_name": "Sequential", "config": config}


def called(entry, *sources, **options):
    """An entry of a functional model, called once on the layers `sources`."""
    node = [[source, 0, 0, options] for source in sources]
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": [node]}


def functional(layers, shapes, outputs, name="model"):
    """A functional model; `shapes` maps the names of its inputs to shapes."""
    starts = [
        {**layer("InputLayer", key, batch_input_shape=[None, *shape])}
        | {"name": key, "inbound_nodes": []}
        for key, shape in shapes.items()
    ]
    config = {
        "name": name,
        "layers": [*starts, *layers],
        "input_layers": [[key, 0, 0] for key in shapes],
        "output_layers": [[key, 0, 0] for key in outputs],
    }
    return {"class_name": "Functional", "config": config}


def draw(*shapes, seed=0):
    """Float32 arrays of these shapes, positive where a variance is needed: all are."""
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.3, 1.2, shape).astype(np.float32) for shape in shapes]


def write(path, config, weights, version="2.15.0", backend="tensorflow"):
    """Write a whole model.

    Parameters
    ----------
    config : dict or str
        The architecture, or text to write in its place.
    weights : dict of str to list of arrays
        In the order of ``layer_names``.
    version : str or None
        None: as Keras 1 writes weights, without a version.
    backend : str
        What computed it. Keras 1 does not say; its names tell Theano from TensorFlow.
    """
    with h5py.File(path, "w") as file:
        text = config if isinstance(config, str) else json.dumps(config)
        file.attrs["model_config"] = text
        if version is not None:
            file.attrs["keras_version"] = version
            if not version.startswith("1"):
                file.attrs["backend"] = backend
        end = "" if backend == "theano" else ":0"
        write_weights(file.create_group("model_weights"), weights, end)
    return str(path)


def write_weights(group, weights, end=":0"):
    """Write groups of arrays with their lists of names, empty ones as float64."""
    group.attrs["layer_names"] = np.array([name.encode() for name in weights])
    for name, arrays in weights.items():
        inner = group.create_group(name)
        names = [f"{name}/v{k}{end}" for k in range(len(arrays))]
        inner.attrs["weight_names"] = np.array([item.encode() for item in names])
        if not names:
            inner.attrs["weight_names"] = np.array([])
        for item, values in zip(names, arrays, strict=True):
            inner.create_dataset(item, data=values)


def forward(net, x):
    """Evaluate on rows of any shape."""
    return net.forward(np.asarray(x, dtype=np.float64).reshape(len(x), -1))
