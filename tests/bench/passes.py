"""How many passes over a network a computation makes, counted in products with weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from nninvert.linalg.map import DenseMap
from nninvert.network import Network


@dataclass
class Count:
    """Multiplications by weights so far, and those of one row through the network."""

    one: int
    products: float = 0.0

    @property
    def passes(self) -> float:
        """One row forwards, or one product with J or J^T, is one pass."""
        return self.products / self.one


@contextmanager
def counted(network: Network) -> Iterator[Count]:
    """Count what Dense layers multiply inside the ``with`` block, by whatever way."""
    maps = [
        node.layer.matrix.shape for node in network.graph.leaves() if node.layer.weights()
    ]
    count = Count(int(sum(m * n for m, n in maps)))
    kept = {name: getattr(DenseMap, name) for name in ("apply", "adjoint", "magnitude")}

    def counting(original):
        def product(self: DenseMap, x: np.ndarray) -> np.ndarray:
            count.products += x.size / x.shape[-1] * self.shape[0] * self.shape[1]
            return original(self, x)

        return product

    for name, original in kept.items():
        setattr(DenseMap, name, counting(original))
    try:
        yield count
    finally:
        for name, original in kept.items():
            setattr(DenseMap, name, original)
