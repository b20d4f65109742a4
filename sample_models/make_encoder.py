"""Train encoder.h5: the first half of an autoencoder of digits, by tf.keras 2.

Run in this folder with ``OMP_NUM_THREADS=1 python make_encoder.py`` where TensorFlow
2.15 and scikit-learn are installed.
"""

import numpy as np
import tensorflow as tf
from digits import split_digits

ROWS = 20


def build() -> tuple[tf.keras.Model, tf.keras.Model]:
    """Return the encoder 64 -> 32 -> 16 and the autoencoder that it is half of."""
    layers = tf.keras.layers
    image = tf.keras.Input((64,), name="digit")
    hidden = layers.Dense(32, name="hidden")(image)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    hidden = layers.ELU(name="bend")(hidden)
    hidden = layers.Dropout(0.1, name="drop")(hidden)
    code = layers.Dense(16, activation="elu", name="code")(hidden)
    encoder = tf.keras.Model(image, code, name="encoder")
    decoded = layers.Dense(32, activation="elu")(code)
    decoded = layers.Dense(64, activation="sigmoid")(decoded)
    return encoder, tf.keras.Model(image, decoded, name="autoencoder")


def main() -> None:
    """Train both halves, write the encoder and the codes of 20 test digits."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(5)
    training, _, test, _ = split_digits()
    encoder, autoencoder = build()
    autoencoder.compile(optimizer=tf.keras.optimizers.Adam(2e-3), loss="mse")
    autoencoder.fit(training, training, epochs=100, batch_size=32, verbose=0)
    encoder.save("encoder.h5", include_optimizer=False)
    np.save("encoder_code.npy", encoder.predict(test[:ROWS], verbose=0))
    loss = autoencoder.evaluate(test, test, verbose=0)
    print(f"validation mse of the autoencoder {loss:.3e}")
    print(f"variance of the test pixels {test.var(axis=0).mean():.3e}")


if __name__ == "__main__":
    main()
