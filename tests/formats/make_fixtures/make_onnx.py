"""ONNX files by the real exporters, with what the exported network says in float64.

python make_onnx.py torch FOLDER NAME ...   torch; onnx and onnxscript, maybe in FOLDER
python make_onnx.py sklearn NAME ...        scikit-learn, skl2onnx
python make_onnx.py tf                      tensorflow 2.15, tf2onnx

Names choose which of the networks are written; without any, all are.
"""

import json
import os
import sys
import warnings
import zlib

import numpy as np
from onnx_blocks import torch_blocks

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "onnx_data")
ROWS = 5


def draw(name, shape):
    """Inputs that float32 holds exactly."""
    generator = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    return generator.uniform(-2.0, 2.0, (ROWS, *shape)).astype(np.float32)


def record(name, made_by, inputs, outputs, **more):
    """Golden values and a line of the index."""
    arrays = {f"x{k}": np.asarray(x, np.float64) for k, x in enumerate(inputs)}
    arrays |= {f"y{k}": np.asarray(y, np.float64) for k, y in enumerate(outputs)}
    np.savez_compressed(os.path.join(DATA, f"{name}.npz"), **arrays)
    path = os.path.join(DATA, "index.json")
    index = {}
    if os.path.exists(path):
        with open(path) as file:
            index = json.load(file)
    index[name] = {"made_by": made_by, **more}
    with open(path, "w") as file:
        lines = [f'"{key}": {json.dumps(index[key])}' for key in sorted(index)]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def torch_nets(torch):
    """Name, module, shapes of the inputs, opset of the old exporter, error, labels."""
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 4)

        def forward(self, x):
            return x + 0.25 * self.b(torch.tanh(self.a(x)))

    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 2)

        def forward(self, left, right):
            joined = torch.tanh(self.a(torch.cat([left, right], dim=1)))
            return self.b(joined), torch.sigmoid(joined[:, 1:3])

    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(6, 4)

        def forward(self, x):
            first, second = x.view(x.size(0), 2, -1).transpose(1, 2).chunk(2, dim=2)
            return self.a((first * 2.0 - second).flatten(1).repeat(1, 2))

    def parts(*kinds):
        layers = []
        for kind in kinds:
            layers += [nn.Linear(4, 4), kind]
        return nn.Sequential(*layers)

    smooth = parts(nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Softplus())
    bent = parts(
        nn.PReLU(4), nn.Hardswish(), nn.Hardsigmoid(), nn.ReLU6(), nn.LeakyReLU(0.2)
    )
    ends = parts(nn.ELU(0.7), nn.SELU(), nn.CELU(1.5), nn.Softsign(), nn.Softmax(dim=1))
    grid = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    up = nn.Sequential(
        nn.ConvTranspose2d(2, 3, 2, stride=2),
        nn.InstanceNorm2d(3, affine=True),
        nn.Upsample(scale_factor=2),
        nn.MaxPool2d(2),
        nn.GroupNorm(3, 3),
        nn.Sigmoid(),
    )
    normal = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2))
    return [
        ("smooth", smooth, [(4,)], 13, 1e-7),
        ("bent", bent, [(4,)], 14, 1e-7),
        ("ends", ends, [(4,)], 12, 1e-7),
        ("grid", grid, [(2, 8, 8)], 9, 1e-6),
        ("up", up, [(2, 3, 3)], 18, 1e-6),
        ("normal", normal, [(5,)], 16, 1e-7),
        ("residual", Residual(), [(4,)], 12, 1e-7),
        ("two_heads", TwoHeads(), [(2,), (3,)], 17, 1e-7),
        ("views", Views(), [(6,)], 13, 1e-7),
    ]


def write_torch():
    sys.path += sys.argv[2:3]
    import torch

    torch.backends.mha.set_fastpath_enabled(False)
    nets = [*torch_nets(torch), *torch_blocks(torch)]
    for name, net, shapes, opset, error in nets:
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        torch.manual_seed(zlib.crc32(name.encode()))
        for values in [*net.parameters(), *net.buffers()]:
            if values.is_floating_point():
                values.data.uniform_(
                    0.1, 0.9
                ) if values.ndim == 1 else values.data.normal_()
        net.eval()
        inputs = [draw(name, shape) for shape in shapes]
        tensors = tuple(torch.tensor(x) for x in inputs)
        names = [f"in{k}" for k in range(len(inputs))]
        old = os.path.join(DATA, f"torch_{name}_old.onnx")
        with torch.no_grad():
            if opset is not None:
                torch.onnx.export(
                    net,
                    tensors,
                    old,
                    dynamo=False,
                    input_names=names,
                    dynamic_axes={one: {0: "batch"} for one in names},
                    opset_version=opset,
                    do_constant_folding=name != "views",
                )
            batch = torch.export.Dim("batch")
            program = torch.onnx.export(
                net,
                tensors,
                dynamo=True,
                verbose=False,
                opset_version=23 if name in ("attention", "decoder", "rotary") else None,
                dynamic_shapes=tuple({0: batch} for _ in names),
            )
        program.save(os.path.join(DATA, f"torch_{name}_new.onnx"), external_data=False)
        _strip(f"torch_{name}_new.onnx")
        with torch.no_grad():
            found = net.double()(*(one.double() for one in tensors))
        found = found if isinstance(found, tuple) else (found,)
        outputs = [one.numpy() for one in found]
        made_by = f"torch {torch.__version__.split('+')[0]}"
        for kind in ("old", "new") if opset is not None else ("new",):
            record(f"torch_{name}_{kind}", made_by, inputs, outputs, error=error)


def _strip(name):
    """Leave out where in whose source each operator came from."""
    import onnx

    path = os.path.join(DATA, name)
    model = onnx.load(path)
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for one in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        one.doc_string = ""
        if hasattr(one, "metadata_props"):
            del one.metadata_props[:]
    onnx.save(model, path)


def write_sklearn():
    import skl2onnx
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

    warnings.simplefilter("ignore")
    generator = np.random.RandomState(3)
    x = generator.normal(size=(60, 4)).astype("f4")
    label = (x.sum(1) > 0).astype(int) + (x[:, 0] > 1)
    options = {"hidden_layer_sizes": (6, 5), "max_iter": 20, "random_state": 0}
    tanh = MLPRegressor(activation="tanh", **options)
    relu = MLPClassifier(activation="relu", **options)
    logistic = MLPClassifier(activation="logistic", **options)
    several = MLPRegressor(activation="tanh", **options)
    names = np.array(["low", "middle", "high"])[label]
    models = [
        ("regressor", make_pipeline(StandardScaler(), tanh).fit(x, x[:, 0] ** 2)),
        ("classifier", make_pipeline(MinMaxScaler(), relu).fit(x, label)),
        ("binary", make_pipeline(StandardScaler(), logistic).fit(x, label > 0)),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression()).fit(x, names)),
        ("polynomial", make_pipeline(PolynomialFeatures(2), Ridge()).fit(x, x[:, 0] ** 2)),
        ("several", several.fit(x, x[:, :2] ** 2)),
    ]
    for name, pipe in models:
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        converted = skl2onnx.to_onnx(pipe, x[:1], target_opset={"": 18, "ai.onnx.ml": 3})
        with open(os.path.join(DATA, f"sklearn_{name}.onnx"), "wb") as file:
            file.write(converted.SerializeToString())
        points = draw(name, (4,))
        wide = points.astype(np.float64)
        y = getattr(pipe, "predict_proba", pipe.predict)(wide)
        made_by = f"skl2onnx {skl2onnx.__version__}"
        record(f"sklearn_{name}", made_by, [points], [y], error=1e-6)


def write_tf():
    sys.path += sys.argv[2:3]
    import tensorflow as tf
    import tf2onnx

    keras = tf.keras
    layers = keras.layers
    dense = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, "elu"),
            layers.BatchNormalization(),
            layers.Dense(5, "swish"),
            layers.Dense(3, "softmax"),
        ]
    )
    image = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2DTranspose(2, 2, strides=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    entry = keras.Input((3,), name="entry")
    hidden = layers.Dense(3, "tanh")(entry)
    branches = keras.Model(entry, layers.Add()([entry, layers.Multiply()([hidden, entry])]))
    for name, net, opset in (
        ("dense", dense, 9),
        ("image", image, 13),
        ("branches", branches, 17),
    ):
        generator = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
        net.set_weights(
            [np.abs(generator.normal(0.0, 0.6, w.shape)) + 0.1 for w in net.get_weights()]
        )
        signature = [tf.TensorSpec((None, *net.input_shape[1:]), tf.float32, name="x")]
        converted, _ = tf2onnx.convert.from_keras(net, signature, opset=opset)
        with open(os.path.join(DATA, f"tf_{name}.onnx"), "wb") as file:
            file.write(converted.SerializeToString())
        x = draw(name, net.input_shape[1:])
        weights = net.get_weights()
        keras.backend.set_floatx("float64")
        text = net.to_json().replace('"float32"', '"float64"')
        twin = keras.models.model_from_json(text)
        twin.set_weights(weights)
        y = twin.predict(x.astype(np.float64), verbose=0)
        keras.backend.set_floatx("float32")
        made_by = f"tf2onnx {tf2onnx.__version__}, tensorflow {tf.__version__}"
        record(f"tf_{name}", made_by, [x], [y], error=1e-6)


if __name__ == "__main__":
    {"torch": write_torch, "sklearn": write_sklearn, "tf": write_tf}[sys.argv[1]]()
