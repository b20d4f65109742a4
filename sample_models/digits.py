"""Handwritten digits as network inputs: the split that every digit model shares."""

import numpy as np
from sklearn.datasets import load_digits

TRAINING_ROWS = 1500


def split_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load the 8x8 digits, scaled to [0, 1], in the order of the data set.

    The rows are not shuffled: neighbours in the file tend to be one writer's, and a
    shuffle would put the same hand into both parts.

    Returns
    -------
    tuple of numpy.ndarray
        Training images (1500, 64) float32, training labels (1500,), test images
        (297, 64) float32, test labels (297,).
    """
    data = load_digits()
    images = (data.images.reshape(-1, 64) / 16.0).astype(np.float32)
    labels = data.target
    return (
        images[:TRAINING_ROWS],
        labels[:TRAINING_ROWS],
        images[TRAINING_ROWS:],
        labels[TRAINING_ROWS:],
    )
