"""State dictionaries of torch as .npz and .pt, with outputs in float64: torch 2.13.

The .pt files hold the same numbers and have no lines in the index of their own.
"""

import argparse

import fixtures
import numpy as np
import torch
from torch import nn


def randomised(model):
    """Move every parameter and buffer off its start, variances > 0, keep float32."""
    generator = np.random.RandomState(3)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            drawn = generator.normal(0.0, 0.6, tuple(value.shape))
            if name.endswith("running_var"):
                drawn = np.abs(drawn) + 0.5
            value.copy_(torch.from_numpy(drawn))
    return model.eval()


def save(model, name, tests, architecture, activations):
    randomised(model)
    arrays = {key: value.numpy() for key, value in model.state_dict().items()}
    np.savez_compressed(fixtures.path_of(name), **arrays)
    torch.save(model.state_dict(), fixtures.path_of(name.replace(".npz", ".pt")))
    width = next(iter(arrays.values())).shape[1]
    x = fixtures.draw_inputs(name, (width,))
    with torch.no_grad():
        own = model(torch.from_numpy(x)).numpy()
        y = model.double()(torch.from_numpy(x).double()).numpy()
    golden = name.replace(".npz", "_golden.npz")
    np.savez_compressed(fixtures.path_of(golden), x=x.astype(np.float64), y=y, y_own=own)
    fixtures.record(
        name,
        vintage=f"torch {torch.__version__.split('+')[0]}, state_dict as .npz",
        outcome="weights only",
        tests=tests,
        architecture=architecture,
        input_shape=[width],
        arrays={key: list(value.shape) for key, value in arrays.items()},
        activations=activations,
        golden=golden,
        golden_precision="float64",
    )


save(
    nn.Sequential(
        nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.LeakyReLU(), nn.Linear(5, 3)
    ),
    "torch_sequential.npz",
    "names 0.weight, 2.weight, 4.weight; square layers stored (out, in)",
    "5-5 tanh, 5 leaky 0.01, 3 linear",
    ["tanh", "leaky_relu 0.01", "linear"],
)
save(
    nn.Sequential(nn.Linear(4, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 6)),
    "torch_no_bias.npz",
    "a layer without bias",
    "4-4 sigmoid without bias, 6 linear",
    ["sigmoid", "linear"],
)
save(
    nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ELU(), nn.Linear(3, 2)),
    "torch_batch_norm.npz",
    "running_mean, running_var and the scalar num_batches_tracked among the weights",
    "4-3, batch norm (epsilon 1e-5), ELU, 2 linear",
    ["batch norm, elu", "linear"],
)


class TwelveLayers(nn.Module):
    """Names whose alphabetical order is not the order of the layers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(12)])

    def forward(self, value):
        for layer in self.fc:
            value = torch.tanh(layer(value))
        return value


save(
    TwelveLayers(),
    "torch_twelve.npz",
    "fc.10 comes after fc.9, not after fc.1",
    "twelve layers 2-2 tanh without bias",
    ["tanh"] * 12,
)


def checkpoint():
    """What a training run keeps: views of storages, a prefix, objects that are code."""
    generator = torch.Generator().manual_seed(1)
    table = torch.randn(9, 8, generator=generator)
    state = {
        "module.0.weight": nn.Parameter(torch.randn(3, 4, generator=generator).T),
        "module.0.bias": torch.arange(4.0) / 8.0,
        "module.2.weight": table[1::2, ::2][:2],
        "module.2.bias": table[0, :2],
        "count": torch.tensor(3),
    }
    saved = {"epoch": 7, "args": argparse.Namespace(rate=0.1), "state_dict": state}
    torch.save(saved, fixtures.path_of("torch_checkpoint.pt"))
    arrays = {
        key.replace("module.", ""): value.detach().numpy() for key, value in state.items()
    }
    np.savez_compressed(fixtures.path_of("torch_checkpoint_golden.npz"), **arrays)


checkpoint()


def as_before_the_zip(name):
    """The same object in the file that PyTorch wrote up to 1.5, and still can."""
    saved = torch.load(fixtures.path_of(f"{name}.pt"), weights_only=False)
    path = fixtures.path_of(f"{name}_legacy.pt")
    torch.save(saved, path, _use_new_zipfile_serialization=False)


as_before_the_zip("torch_sequential")
as_before_the_zip("torch_checkpoint")
