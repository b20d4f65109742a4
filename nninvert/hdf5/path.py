"""From a group along a path, and never out of the file."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from nninvert.errors import FormatError, shortlist
from nninvert.hdf5._failure import reading

if TYPE_CHECKING:
    import h5py

MAX_LINKS = 16  # soft links followed for one name; HDF5's own default is also 16


def child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Go from `group` along a path, component by component, and never out of the file.

    Parameters
    ----------
    group : h5py.Group
        Where the path starts, unless it begins with ``/``.
    name : str
        Components joined by ``/``.

    Returns
    -------
    h5py.Group or h5py.Dataset

    Raises
    ------
    FormatError
        If there is no such object, if it is neither group nor data set, if the way
        leads through an external or user-defined link, or if soft links do not end.
    """
    import h5py

    way = deque(_components(name))
    here: h5py.Group | h5py.Dataset = group
    if name.startswith("/"):
        here = group.file["/"]
    links = 0
    while way:
        part = way.popleft()
        if not isinstance(here, h5py.Group):
            raise _missing(here, part, name)
        target = _soft_target(here, part, name)
        if target is None:
            with reading(here, part):
                here = here[part]
            if not isinstance(here, h5py.Group | h5py.Dataset):
                raise FormatError(
                    f"'{name}'",
                    got="a named data type",
                    expected="a group or a data set",
                    file=group.file.filename,
                )
            continue
        links += 1
        if links > MAX_LINKS:
            raise FormatError(
                f"'{name}'",
                got="soft links that lead round in a circle or never end",
                expected=f"at most {MAX_LINKS} of them on the way to a data set",
                file=group.file.filename,
            )
        if target.startswith("/"):
            here = here.file["/"]
        way.extendleft(reversed(_components(target)))
    return here


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Go from `parent` along a path to another group; see `child`.

    Raises
    ------
    FormatError
        As there, and if it is a data set.
    """
    import h5py

    found = child(parent, name)
    if not isinstance(found, h5py.Group):
        raise FormatError(
            f"'{found.name}'",
            got="a data set",
            expected="a group",
            file=parent.file.filename,
        )
    return found


def _components(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def hard(group: h5py.Group, part: bytes) -> bool:
    """Whether member `part` is a hard link, found out without touching its target.

    ``part in group`` and ``group.get(part, getlink=True)`` will not do: both ask
    whether the target exists, and so open the file that an external link names.
    """
    import h5py

    with reading(group, part.decode(errors="replace")):
        kind = group.id.links.get_info(part).type
    return bool(kind == h5py.h5l.TYPE_HARD)


def _soft_target(group: h5py.Group, part: str, name: str) -> str | None:
    """Where a soft link points to; None for a hard link; an error for all others."""
    import h5py

    with reading(group, part):
        links = group.id.links
        exists = links.exists(part.encode())
    if not exists:
        raise _missing(group, part, name)
    if hard(group, part.encode()):
        return None
    with reading(group, part):
        kind = links.get_info(part.encode()).type
        target = links.get_val(part.encode())
        if kind == h5py.h5l.TYPE_SOFT:
            return str(target.decode())
    got = "a link of an unknown kind"
    if kind == h5py.h5l.TYPE_EXTERNAL:
        other, path = (text.decode(errors="replace") for text in target)
        got = f"an external link to '{path}' in the file '{other}'"
    raise FormatError(
        f"'{name}'",
        got=got,
        expected="data in this file",
        because="nninvert never follows a link out of a file",
        next_step="Copy the data into this file.",
        file=group.file.filename,
    )


def _missing(here: h5py.Group | h5py.Dataset, part: str, name: str) -> FormatError:
    """`part` is not in `here`; say what is."""
    import h5py

    got = f"no '{part}' in '{here.name}'"
    next_step = ""
    if not isinstance(here, h5py.Group):
        got += ", which is a data set"
    elif held := listed(here, 8):
        next_step = f"It holds {held}."
    return FormatError(
        f"'{name}'",
        got=got,
        expected="a group or a data set of that name",
        next_step=next_step,
        file=here.file.filename,
    )


def listed(group: h5py.Group, limit: int) -> str:
    """The first `limit` names in a group, for a message."""
    with reading(group, ""):
        parts = [str(part) for part in islice(group, limit + 1)]
    return shortlist(parts, limit)
