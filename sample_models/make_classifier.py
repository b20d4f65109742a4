"""Train classifier.h5: a softmax classifier of digits.

Run in this folder with ``KERAS_BACKEND=torch OMP_NUM_THREADS=1 python
make_classifier.py``.
"""

import keras
import numpy as np
import torch
from digits import split_digits

ROWS = 10


def main() -> None:
    """Train the classifier, write it and the probabilities of 10 test digits."""
    torch.set_num_threads(1)
    keras.utils.set_random_seed(6)
    training, labels, test, test_labels = split_digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="classifier",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(training, labels, epochs=20, batch_size=32, verbose=0)
    model.save("classifier.h5", include_optimizer=False)
    probabilities = model.predict(test[:ROWS], verbose=0)
    np.save("classifier_y.npy", probabilities)
    loss, accuracy = model.evaluate(test, test_labels, verbose=0)
    print(f"validation cross entropy {loss:.3f}, accuracy {accuracy:.4f}")
    print(f"classes of the rows written {probabilities.argmax(axis=1).tolist()}")
    print(f"smallest probability written {probabilities.min():.2e}")


if __name__ == "__main__":
    main()
