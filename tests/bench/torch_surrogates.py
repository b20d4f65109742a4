"""Surrogates of simulators, and the neural adjoint on them, with torch.

S. Ren, W. Padilla, J. Malof, "Benchmarking deep inverse models over time, and the neural-
adjoint method", NeurIPS 2020: Adam on x from many starts with a loss that keeps x in the
range of the training inputs, sorted by the surrogate's error.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

EPOCHS, BATCH, RATE = 500, 1024, 1e-3
STARTS, STEPS = 2048, 300
"""Of the neural adjoint."""

Parts = list[tuple[np.ndarray, np.ndarray]]


def surrogate(
    path: Path, x: np.ndarray, y: np.ndarray, widths: list[int], seed: int, epochs: int
) -> Parts:
    """Linear, BatchNorm, ReLU and so on to a Linear, trained once and kept in `path`.

    Parameters
    ----------
    path : Path
        An NPZ file: written after the training, read where it exists.
    x, y : float64 arrays, shape (points, n_in), (points, n_out)
        The training set.
    widths : list of int
        From the input to the output.
    seed, epochs : int

    Returns
    -------
    list of (A, b)
        The normalisation at inference is folded into the Linear before it.
    """
    if not path.exists():
        torch.manual_seed(seed)
        net = _network(widths)
        _train(net, torch.tensor(x).float(), torch.tensor(y).float(), epochs)
        folded = _folded(net)
        held = {f"A{k}": a for k, (a, _) in enumerate(folded)}
        np.savez(path, **held, **{f"b{k}": b for k, (_, b) in enumerate(folded)})
    with np.load(path) as kept:
        return [(kept[f"A{k}"], kept[f"b{k}"]) for k in range(len(widths) - 1)]


def _network(widths: list[int]) -> torch.nn.Sequential:
    parts: list[torch.nn.Module] = []
    for n, m in pairwise(widths[:-1]):
        parts += [torch.nn.Linear(n, m), torch.nn.BatchNorm1d(m), torch.nn.ReLU()]
    return torch.nn.Sequential(*parts, torch.nn.Linear(widths[-2], widths[-1]))


def _train(net: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    """Mean squared error; the rate falls to zero as a cosine."""
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(x.shape[0]).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(net(x[rows]), y[rows]).backward()
            optimiser.step()
        falling.step()
    net.eval()


def _folded(net: torch.nn.Sequential) -> Parts:
    parts: Parts = []
    for layer in net:
        if isinstance(layer, torch.nn.Linear):
            weight, bias = layer.weight.detach(), layer.bias.detach()
            parts.append((weight.double().numpy(), bias.double().numpy()))
        if isinstance(layer, torch.nn.BatchNorm1d):
            spread = (layer.running_var + layer.eps).double().sqrt()
            scale = (layer.weight.detach() / spread).numpy()
            matrix, bias = parts[-1]
            shift = bias - layer.running_mean.double().numpy()
            parts[-1] = (
                scale[:, None] * matrix,
                scale * shift + layer.bias.detach().double().numpy(),
            )
    return parts


def neural_adjoint(
    parts: Parts,
    target: np.ndarray,
    starts: np.ndarray,
    box: np.ndarray,
    rate: float,
    steps: int,
) -> np.ndarray:
    """Proposals for one target, the best by the surrogate's error first, in float32.

    Parameters
    ----------
    parts : list of (A, b)
    target : float64 array, shape (n_out,)
    starts : float64 array, shape (starts, n_in)
        From the distribution of the training inputs.
    box : float64 array, shape (2, n_in)
        Least and largest training input; what leaves it is punished by its square.
    rate : float
        Adam's learning rate.
    steps : int

    Returns
    -------
    float64 array, shape (starts, n_in)
        After that many steps: as many forward passes and products with J^T for each
        start, and one forward pass in the end.
    """
    held = [(torch.tensor(a).T.float(), torch.tensor(b).float()) for a, b in parts]
    wanted = torch.tensor(target, dtype=torch.float32)
    low, high = torch.tensor(box, dtype=torch.float32)
    x = torch.tensor(starts, dtype=torch.float32, requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=rate)

    def errors() -> torch.Tensor:
        h = x
        for k, (matrix, bias) in enumerate(held):
            h = torch.addmm(bias, h, matrix)
            h = torch.relu(h) if k < len(held) - 1 else h
        return (h - wanted).square().mean(dim=1)

    for _ in range(steps):
        optimiser.zero_grad()
        outside = (low - x).clamp(min=0.0) + (x - high).clamp(min=0.0)
        (errors().sum() + outside.square().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        order = torch.argsort(errors())
    return np.asarray(x.detach()[order].double().numpy())
