"""Every activation of Keras 3 and torch on one grid, computed by them in float64.

Run with keras 3.15.1, torch 2.13 and ``KERAS_BACKEND=torch``.
"""

import fixtures
import keras
import numpy as np
import torch
from torch import nn

# The grid meets the kinks of the piecewise ones (-3, -1, -0.5, 0, 0.5, 1, 3, 6)
# exactly and has far values at both ends.
GRID = np.concatenate(
    [
        [-800.0, -100.0, -40.0, -20.0],
        np.arange(-8.0, 8.0 + 0.5, 0.5),
        [-1e-3, -1e-9, 1e-9, 1e-3, 20.0, 40.0, 100.0, 800.0],
    ]
)

KERAS_FUNCTIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]
KERAS_ON_AXIS = [
    "glu",
    "log_softmax",
    "softmax",
    "sparsemax",
]
KERAS_LAYERS = [
    "ELU",
    "LeakyReLU",
    "PReLU",
    "ReLU",
]
TORCH = [
    "CELU",
    "ELU",
    "GELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


def keras_values(grid):
    keras.backend.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    column = torch.from_numpy(grid)[:, None]
    rows = torch.from_numpy(grid[4:36].reshape(8, 4))
    values = {}
    for name in KERAS_FUNCTIONS:
        values[f"keras/{name}"] = getattr(keras.activations, name)(column)[:, 0]
    values["keras/gelu_approximate"] = keras.activations.gelu(column, approximate=True)
    values["keras/gelu_approximate"] = values["keras/gelu_approximate"][:, 0]
    values["keras/threshold"] = keras.activations.threshold(column, 0.1, 20.0)[:, 0]
    for name in KERAS_ON_AXIS:
        values[f"keras/{name}"] = getattr(keras.activations, name)(rows)
    for name in KERAS_LAYERS:
        values[f"keras/layers.{name}"] = getattr(keras.layers, name)()(column)[:, 0]
    values["keras/layers.Softmax"] = keras.layers.Softmax()(rows)
    return values


def torch_values(grid):
    column = torch.from_numpy(grid)
    rows = torch.from_numpy(grid[4:36].reshape(8, 4))
    values = {f"torch/{n}": getattr(nn, n)().double().eval()(column) for n in TORCH}
    values["torch/GELU_tanh"] = nn.GELU(approximate="tanh")(column)
    values["torch/Threshold"] = nn.Threshold(0.1, 20.0)(column)
    for name in ("Softmax", "Softmin", "LogSoftmax"):
        values[f"torch/{name}"] = getattr(nn, name)(dim=-1)(rows)
    values["torch/GLU"] = nn.GLU()(rows)
    return values


def as_array(value):
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def main():
    values = keras_values(GRID) | torch_values(GRID)
    arrays = {name: as_array(value) for name, value in values.items()}
    for name, value in arrays.items():
        assert value.dtype == np.float64, name
    path = fixtures.path_of("activations_golden.npz")
    np.savez_compressed(path, z=GRID, z_rows=GRID[4:36].reshape(8, 4), **arrays)


main()
