"""Adam and L-BFGS on x with torch, many starts, in float64: what people write first."""

from __future__ import annotations

import time

import numpy as np
import torch
from plain_solvers import PlainNet, Race, Reached

ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": torch.nn.functional.elu,
    "leaky_relu": lambda z: torch.nn.functional.leaky_relu(z, 0.05),
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "softplus": torch.nn.functional.softplus,
    "silu": torch.nn.functional.silu,
    "linear": lambda z: z,
    "softmax": lambda z: torch.softmax(z, dim=-1),
}

SHRINK = 1e-6
"""Adam's rate falls by this factor, exponentially, over its steps, so that it settles."""


class TorchNet:
    """A `PlainNet` for rows x, (..., n_in) to (..., n_out)."""

    def __init__(self, net: PlainNet) -> None:
        self.parts = [(torch.tensor(a).T, torch.tensor(b)) for a, b in net.parts]
        self.bend, self.end = ACTIVATIONS[net.activation], ACTIVATIONS[net.output]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """f(x)."""
        for matrix, bias in self.parts[:-1]:
            x = self.bend(torch.addmm(bias, x, matrix))
        matrix, bias = self.parts[-1]
        return self.end(torch.addmm(bias, x, matrix))


def adam(
    net: PlainNet,
    y: np.ndarray,
    tolerance: np.ndarray,
    starts: np.ndarray,
    rate: float,
    steps: int,
    cap: float,
) -> Race:
    """All rows from all starts in one batch, which shrinks as rows are reached.

    Parameters
    ----------
    net : PlainNet
    y, tolerance : float64 arrays, shape (rows, n_out)
    starts : float64 array, shape (starts, n_in)
    rate : float
        Adam's learning rate at the start.
    steps : int
    cap : float
        Seconds a row.
    """
    race, function = Race.of(y.shape[0], starts.shape[1]), TorchNet(net)
    rows = torch.arange(y.shape[0]).repeat_interleave(starts.shape[0])
    wanted, allowed = torch.tensor(y), torch.tensor(tolerance)
    x = torch.tensor(np.tile(starts, (y.shape[0], 1)), requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=rate)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * SHRINK ** (step / steps)
        optimiser.zero_grad()
        error = function(x) - wanted[rows]
        met = (error.abs() <= allowed[rows]).all(dim=1)
        if met.any():
            for k in torch.nonzero(met)[:, 0].tolist():
                race.enter(int(rows[k]), x[k].detach().numpy().copy())
            keep = ~torch.isin(rows, rows[met])
            if not keep.any():
                break
            x, optimiser = _fewer(x, optimiser, keep)
            rows, error = rows[keep], function(x) - wanted[rows[keep]]
        if time.perf_counter() - race.started > cap * y.shape[0]:
            break
        error.square().sum().backward()
        optimiser.step()
    return race


def _fewer(
    x: torch.Tensor, optimiser: torch.optim.Adam, keep: torch.Tensor
) -> tuple[torch.Tensor, torch.optim.Adam]:
    """The same search for the rows that are still open."""
    state = optimiser.state[x]
    fewer = x.detach()[keep].clone().requires_grad_()
    made = torch.optim.Adam([fewer], lr=optimiser.param_groups[0]["lr"])
    if state:
        made.state[fewer] = {
            "step": state["step"],
            "exp_avg": state["exp_avg"][keep].clone(),
            "exp_avg_sq": state["exp_avg_sq"][keep].clone(),
        }
    return fewer, made


def lbfgs(
    net: PlainNet,
    y: np.ndarray,
    tolerance: np.ndarray,
    starts: np.ndarray,
    rate: float,
    steps: int,
    cap: float,
) -> Race:
    """Row by row, start by start until one leads there; strong Wolfe line search."""
    race, function = Race.of(y.shape[0], starts.shape[1]), TorchNet(net)
    for row in range(y.shape[0]):
        wanted, allowed = torch.tensor(y[row : row + 1]), torch.tensor(tolerance[row])
        ends = time.perf_counter() + cap
        for start in starts:
            x = torch.tensor(start[None], requires_grad=True)
            try:
                _descend(function, x, wanted, allowed, rate, steps, ends)
            except Reached:
                race.enter(row, x.detach().numpy()[0])
                break
            except TimeoutError:
                break
    return race


def _descend(
    function: TorchNet,
    x: torch.Tensor,
    wanted: torch.Tensor,
    allowed: torch.Tensor,
    rate: float,
    steps: int,
    ends: float,
) -> None:
    optimiser = torch.optim.LBFGS(
        [x],
        lr=rate,
        max_iter=steps,
        history_size=20,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        error = function(x) - wanted
        if bool((error.detach().abs() <= allowed).all()):
            raise Reached
        if time.perf_counter() > ends:
            raise TimeoutError
        loss = error.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
