"""Write formula.npz, the two-layer network y = tanh(W2 tanh(W1 x + b1) + b2).

Run in this folder with ``python make_formula.py``; numpy is enough.
"""

import numpy as np

SIZE = 8
ROWS = 5


def draw_matrix(generator: np.random.Generator, largest: float) -> np.ndarray:
    """Draw a square matrix with singular values from 0.5 to ``largest``.

    Two independent rotations around the singular values make it anything but
    symmetric, so that reading it transposed gives another function.
    """
    left, _ = np.linalg.qr(generator.standard_normal((SIZE, SIZE)))
    right, _ = np.linalg.qr(generator.standard_normal((SIZE, SIZE)))
    return (left * np.linspace(0.5, largest, SIZE)) @ right


def main() -> None:
    """Write the weights, inputs and outputs, all in float64."""
    generator = np.random.default_rng(8)
    W1, W2 = draw_matrix(generator, 1.5), draw_matrix(generator, 1.2)
    b1, b2 = 0.2 * generator.standard_normal((2, SIZE))
    x = generator.uniform(-1.0, 1.0, (ROWS, SIZE))
    y = np.array([np.tanh(W2 @ np.tanh(W1 @ row + b1) + b2) for row in x])
    np.savez("formula.npz", W1=W1, b1=b1, W2=W2, b2=b2)
    np.save("formula_x.npy", x)
    np.save("formula_y.npy", y)
    print(f"condition numbers {np.linalg.cond(W1):.3g} {np.linalg.cond(W2):.3g}")
    transposed = np.tanh(np.tanh(x @ W1 + b1) @ W2 + b2)
    print(f"largest |y| {np.abs(y).max():.3f}")
    print(f"read transposed, y is wrong by {np.abs(transposed - y).max():.3f}")


if __name__ == "__main__":
    main()
