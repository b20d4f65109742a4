"""What the HDF5 library says when a file is damaged, in words for a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nninvert.errors import FormatError

if TYPE_CHECKING:
    import h5py

# The classes that h5py makes of the HDF5 library's error stack, by the number of its
# innermost error; a damaged file can end in each of them. OverflowError is what a file
# inside another says of a place beyond 2^63.
H5PY_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)

_TRUNCATED = re.compile(r"eof = (\d+).*stored_eof = (\d+)")


def damaged(path: str, error: Exception, field: str = "") -> FormatError:
    """Build the error for a file that starts as HDF5 and does not go on as such."""
    text = str(error.args[0]) if error.args else type(error).__name__
    sizes = _TRUNCATED.search(text)
    if sizes:
        is_now, was = int(sizes[1]), int(sizes[2])
        return FormatError(
            field,
            got=f"a truncated HDF5 file: {is_now:,} of {was:,} bytes",
            expected="the whole file",
            next_step="Copy or download it again.",
            file=path,
        )
    if "already open for write" in text:
        return FormatError(
            field,
            got="a file that another program is writing, or has not closed",
            expected="a finished file",
            next_step=f"Wait for that program. If it crashed: h5clear -s {path}",
            file=path,
        )
    inner = text[text.find("(") + 1 : text.rfind(")")] or text
    return FormatError(
        field,
        got=f"damaged or unusual HDF5 (the library says: {inner})",
        expected="data that can be read",
        next_step="Copy or download the file again.",
        file=path,
    )


@contextmanager
def reading(node: h5py.Group | h5py.Dataset, part: str) -> Iterator[None]:
    """Turn what h5py raises about `part` of `node` into a FormatError.

    Only calls into h5py belong inside, lest a mistake of ours be blamed on the file.
    """
    try:
        yield
    except H5PY_ERRORS as error:
        field = "/".join(filter(None, (str(node.name or "").rstrip("/"), part)))
        raise damaged(node.file.filename, error, f"'{field}'") from error
