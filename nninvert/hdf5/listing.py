"""What is inside a file, in a few lines for a message."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from nninvert.errors import printable
from nninvert.hdf5._failure import reading
from nninvert.hdf5.path import hard

if TYPE_CHECKING:
    import h5py


def tree(group: h5py.Group, limit: int) -> list[str]:
    """At most `limit` lines on what is inside, nearest first, for messages.

    Parameters
    ----------
    group : h5py.Group
        Where to begin, often the file itself.
    limit : int
        The last line is ``...`` where something was left out.

    Returns
    -------
    list of str
        Links are named, not followed; an object with several names is opened once.
    """
    lines = [
        f"{printable(path)} ({_kind(node)})"
        for path, node in islice(_walk(group, limit + 1), limit + 1)
    ]
    return lines if len(lines) <= limit else [*lines[: limit - 1], "..."]


def datasets(group: h5py.Group, limit: int) -> list[str]:
    """Paths of all data sets below `group`, nearest first, not yet checked.

    Parameters
    ----------
    group : h5py.Group
        Where to begin, often the file itself.
    limit : int
        How many members to look at in each group, and paths to return, at most.
    """
    import h5py

    found = (path for path, node in _walk(group, limit) if isinstance(node, h5py.Dataset))
    return list(islice(found, limit))


def _walk(group: h5py.Group, width: int) -> Iterator[tuple[str, object]]:
    """Every member with its path, breadth first; None stands for a link's target."""
    import h5py

    seen = {_address(group)}
    queue: deque[tuple[str, h5py.Group]] = deque([("", group)])
    while queue:
        prefix, here = queue.popleft()
        with reading(here, ""):
            parts = list(islice(here, width))
        for part in parts:
            # h5py hands over names that are not UTF-8 as bytes.
            raw = part if isinstance(part, bytes) else part.encode()
            path = prefix + raw.decode(errors="replace")
            with reading(here, path):
                node = here[part] if hard(here, raw) else None
            yield path, node
            if isinstance(node, h5py.Group):
                address = _address(node)
                if address not in seen:
                    seen.add(address)
                    queue.append((f"{path}/", node))


def _address(group: h5py.Group) -> int:
    """Where the object itself is, whatever name it was opened by."""
    import h5py

    with reading(group, ""):
        return int(h5py.h5o.get_info(group.id).addr)


def _kind(node: object) -> str:
    import h5py

    if node is None:
        return "link"
    if isinstance(node, h5py.Dataset):
        with reading(node, ""):
            if node.is_virtual:  # even its shape is found by opening other files
                return "virtual"
            return f"{node.shape} {_type(node)}"
    return "group" if isinstance(node, h5py.Group) else "data type"


def _type(source: h5py.Dataset) -> str:
    try:
        return str(source.dtype)
    except TypeError:  # how h5py says that NumPy has no such type
        return "unknown type"
