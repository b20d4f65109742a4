"""The smallest changes to a network that would make it invertible layer by layer."""

from __future__ import annotations

from nninvert.layers import Elementwise, LinearLayer, PReLU
from nninvert.linalg.map import DiagonalMap, IdentityMap, PermutationMap
from nninvert.network import Network
from nninvert.result import LayerFinding

_REPLACEMENTS = {
    "relu": "leaky_relu",
    "relu6": "leaky_relu",
    "silu": "elu",
    "gelu": "elu",
    "gelu_tanh": "elu",
    "mish": "elu",
    "hard_silu": "elu",
    "hard_sigmoid": "sigmoid",
    "sparse_sigmoid": "sigmoid",
    "hard_tanh": "tanh",
    "sparse_plus": "softplus",
    "soft_shrink": "tanh_shrink",
    "hard_shrink": "tanh_shrink",
    "threshold": "leaky_relu",
    "thresholded_relu": "leaky_relu",
}


def smallest_changes(
    network: Network, findings: tuple[LayerFinding, ...]
) -> tuple[str, ...]:
    """Suggest changes, one sentence each; () where none is needed."""
    return (
        *_activations(network),
        *_widths(network, findings),
        *_ranks(findings),
    )


def _activations(network: Network) -> list[str]:
    """Activations to replace, each with the layers that use it."""
    places: dict[tuple[str, str], list[str]] = {}
    for node in network.graph.leaves():
        if isinstance(node.layer, Elementwise):
            activation = node.layer.activation
            if not activation.one_to_one:
                other = _REPLACEMENTS.get(activation.name, "a strictly monotone one")
                places.setdefault((activation.name, other), []).append(node.index)
        elif isinstance(node.layer, PReLU):
            if not node.layer.facts.one_to_one:
                change = ("prelu", "prelu with slopes above 0")
                places.setdefault(change, []).append(node.index)
        elif node.layer.kind == "softmax":
            places.setdefault(("softmax", "linear (keep the logits)"), []).append(
                node.index
            )
        elif node.layer.kind == "log_softmax":
            places.setdefault(("log_softmax", "linear (keep the logits)"), []).append(
                node.index
            )
    return [f"{old} -> {new} in {_layers(where)}" for (old, new), where in places.items()]


def _widths(network: Network, findings: tuple[LayerFinding, ...]) -> list[str]:
    """Hidden layers narrower than the input, and outputs that are fewer than inputs."""
    n_in, changes = network.n_in, []
    outputs = _output_layer(network)
    for found in findings:
        width = found.output_shape[-1] if found.output_shape else 1
        if found.square is False and width < n_in and len(found.output_shape) == 1:
            if found.index == outputs:
                changes.append(
                    f"the outputs are fewer than the inputs ({width} < {n_in}): more of "
                    "them, or fewer inputs (--fix), for a unique answer"
                )
            elif found.parameters:
                changes.append(f"width {width} -> {n_in} in layer {found.index}")
    return changes


def _output_layer(network: Network) -> str:
    """Index of the last layer that can change the number of units."""
    found = ""
    for node in network.graph.leaves():
        if isinstance(node.layer, LinearLayer):
            linear_map = node.layer.linear_part[0]
            if not isinstance(linear_map, DiagonalMap | IdentityMap | PermutationMap):
                found = node.index
    return found


def _ranks(findings: tuple[LayerFinding, ...]) -> list[str]:
    changes = []
    for found in findings:
        if found.rank is None or found.full_rank is None or found.rank >= found.full_rank:
            continue
        rank = f"(rank {found.rank} of {found.full_rank})"
        changes.append(
            f"train layer {found.index} again without the pruned or dependent units {rank}"
            if found.parameters
            else f"another size or stride in layer {found.index}, which nothing is trained "
            f"in {rank}"
        )
    return changes


def _layers(indices: list[str]) -> str:
    return ("layer " if len(indices) == 1 else "layers ") + ", ".join(indices)
