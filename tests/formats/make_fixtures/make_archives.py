"""The archives (.keras) of Keras 3 and tf.keras: the models of the .h5 fixtures again.

The golden values stay: the same weights make the same function.
"""

import json
import sys

import fixtures
import h5py


def save_archive(load_model, name, vintage):
    """Read one .h5 fixture and write it as an archive, its line in the index, too."""
    archive = name.replace(".h5", ".keras")
    load_model(fixtures.path_of(name), compile=False).save(fixtures.path_of(archive))
    with open(fixtures.path_of("index.json")) as file:
        (line,) = (entry for entry in json.load(file) if entry["file"] == name)
    line = {key: value for key, value in line.items() if key != "file"}
    line.update(vintage=vintage, tests=f"the model of {name} as an archive")
    fixtures.record(archive, **line)


if __name__ == "__main__":
    if "tf" in sys.argv[1:]:
        import tensorflow

        about = f"tf.keras of tensorflow {tensorflow.__version__}, h5py {h5py.__version__}"
        for each in ("tf215_nested_frozen.h5", "tf215_preprocessing.h5"):
            save_archive(tensorflow.keras.models.load_model, each, about)
    else:
        import keras

        backend = keras.backend.backend()
        about = f"keras {keras.__version__}, {backend} backend, h5py {h5py.__version__}"
        for each in (
            "keras3_nested_frozen.h5",
            "keras3_float64.h5",
            "keras3_branch.h5",
            "keras38_functional.h5",
            "keras333_sequential.h5",
        ):
            save_archive(keras.models.load_model, each, about)
