"""What a file is that no reader takes: other frameworks' formats, and no model at all."""

from __future__ import annotations

import os
import shlex

from nninvert.errors import FormatError, shortlist
from nninvert.files import impostor
from nninvert.linalg.panels.factor_file import PART, is_factor_file

_TORCH = (
    "In Python: s = torch.load('m.pt', weights_only=True); "
    "numpy.savez('m.npz', **{k: v.numpy() for k, v in s.items()}). "
    "Then: nninvert ... m.npz --activations tanh,linear"
)
_KNOWN = "What can be read: nninvert info --layers"
_EXPECTED = "a Keras model, or weights in .npz or .h5"


def refusal(head: bytes, path: str) -> FormatError:
    """Say what a file looks like, and how to bring it into a form that is read.

    Parameters
    ----------
    head : bytes
        Its first bytes.
    path : str
        As the user named it.
    """
    got, next_step = _factors(path) or impostor(head) or _looks_like(head, path)
    return FormatError("", got=got, expected=_EXPECTED, next_step=next_step, file=path)


def _factors(path: str) -> tuple[str, str] | None:
    """Recognise a factor file of nninvert, also one that is not finished."""
    if not is_factor_file(path):
        return None
    if path.endswith(PART):
        return "unfinished factors of nninvert, not a model", (
            "Run the command that began them again to finish them."
        )
    return "factors that nninvert made, not a model", (
        "Name the model they were made of: nninvert invert MODEL Y "
        f"--factors {shlex.quote(path)}"
    )


def refuse_directory(path: str) -> None:
    """Refuse a folder that is a model, which `nninvert.files` would call a directory.

    Raises
    ------
    FormatError
        If it is a TensorFlow SavedModel.
    """
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise FormatError(
            "",
            got="a TensorFlow SavedModel folder",
            expected=_EXPECTED,
            next_step=f"In tf.keras: load_model({path!r}).save('m.h5').",
            file=path,
        )


def _looks_like(head: bytes, path: str) -> tuple[str, str]:
    if head.startswith(b"PK"):
        return _zip(path)
    if head.startswith(b"\x80") and len(head) > 1 and head[1] <= 5:
        return "a pickle: PyTorch, scikit-learn, or any Python object", (
            "nninvert never unpickles. " + _TORCH
        )
    if head.startswith(b"\x93NUMPY"):
        return "one NumPy array (.npy)", (
            "Is it data? A model of weights is an .npz: numpy.savez('m.npz', W1=W1, b1=b1)"
        )
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", "Take the Keras model that it was made from."
    text = head.lstrip()
    if text.startswith(b"{"):
        if b"class_name" in head:
            return "a Keras architecture (JSON) without weights", (
                "In Keras: m = model_from_json(...); m.load_weights(...); m.save('m.h5')."
            )
        return "JSON, but no model", _KNOWN
    if head.isascii() and b"\x00" not in head:
        return "a text file", f"See what is in it: head {shlex.quote(path)}"
    return f"a file of another kind, first bytes {head[:8].hex(' ')}", _KNOWN


def _zip(path: str) -> tuple[str, str]:
    """Archives by the names inside."""
    from nninvert.archive import member_names

    try:
        names = member_names(path)
    except FormatError as error:
        return error.got, error.next_step
    if not names:
        return "an empty zip archive", "Was it saved to the end?"
    return (
        f"a zip archive with {shortlist(names, 5)}",
        "An .npz holds .npy arrays and nothing else.",
    )
