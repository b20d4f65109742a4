"""From the options that say which x is wanted to the arrays that the library takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nninvert.cli._options import Wanted
from nninvert.cli._values import (
    Sources,
    fixed_of,
    index_of,
    indices_of,
    is_share,
    numbers_of,
)
from nninvert.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nninvert.arrays import BoundsRow
    from nninvert.methods.domain import Constraints
    from nninvert.network import Network


@dataclass(frozen=True)
class Resolved:
    """The names of the inputs, and keywords of `nninvert.invert` and `nninvert.check`.

    Attributes
    ----------
    names : tuple of str
        The network's own, from the table of bounds, the header of ``--near``, or x0,
        x1, ...
    keywords : dict
        within, near, lower, upper, fix, integer, constraints.
    """

    names: tuple[str, ...]
    keywords: dict[str, Any]


def resolve(wanted: Wanted, network: Network, sources: Sources) -> Resolved:
    """Read what the options name. An option replaces its column of ``--bounds``.

    Raises
    ------
    NninvertError
        If a file cannot be used, a list has the wrong length, or a name is unknown.
    """
    table = _table(wanted)
    near, header = _near(wanted, network, sources)
    names = _names(network, header, table)
    columns = _columns(table, names, network)
    lower = _per_input("--lower", wanted.lower, network, sources)
    upper = _per_input("--upper", wanted.upper, network, sources)
    return Resolved(
        names,
        {
            "within": _within(wanted.within, network, sources),
            "near": columns["near"] if near is None else near,
            "lower": columns["lower"] if lower is None else lower,
            "upper": columns["upper"] if upper is None else upper,
            "fix": columns["fix"] | fixed_of(wanted.fix or [], names) or None,
            "integer": indices_of(wanted.integer or [], names, "--integer") or None,
            "constraints": _constraints(wanted.constraints, names),
        },
    )


def _table(wanted: Wanted) -> tuple[BoundsRow, ...]:
    from nninvert.arrays import read_bounds

    return () if wanted.bounds is None else read_bounds(wanted.bounds)


def _within(
    text: str | None, network: Network, sources: Sources
) -> float | str | NDArray[np.generic] | None:
    if text is None or is_share(text):
        return text.replace(" ", "") if text else None
    values = _values("--within", text, sources, network.output_names)
    if isinstance(values, float):
        return values
    rows = values.reshape(values.shape[0], -1) if values.ndim > 1 else values
    if rows.shape[-1] != network.n_out:
        raise UsageError(
            "--within",
            got=f"{rows.shape[-1]} numbers",
            expected=f"one, or {network.n_out}: one for each output",
        )
    return rows


def _near(
    wanted: Wanted, network: Network, sources: Sources
) -> tuple[NDArray[np.generic] | None, tuple[str, ...] | None]:
    import numpy as np

    from nninvert.methods.question import as_rows

    if wanted.near is None:
        return None, None
    direct = numbers_of(wanted.near)
    if isinstance(direct, float):
        return np.full(network.n_in, direct), None
    if direct is not None:
        values, names = np.array(direct), None
    else:
        loaded = sources.read(
            wanted.near, "near", network.input_names, network.inputs.named_shapes
        )
        values, names = loaded.values, loaded.names
    with sources.named():
        rows = as_rows(values, network.graph.input_shape, "near")
    return (rows[0] if rows.shape[0] == 1 else rows), names


def _per_input(
    option: str, text: str | None, network: Network, sources: Sources
) -> float | NDArray[np.generic] | None:
    if text is None:
        return None
    values = _values(option, text, sources, network.input_names)
    return values if isinstance(values, float) else values.reshape(-1)


def _values(
    option: str, text: str, sources: Sources, names: tuple[str, ...] | None
) -> float | NDArray[np.generic]:
    import numpy as np

    direct = numbers_of(text)
    if direct is None:
        return sources.read(text, option, names).values
    return direct if isinstance(direct, float) else np.array(direct)


def _names(
    network: Network, header: tuple[str, ...] | None, table: tuple[BoundsRow, ...]
) -> tuple[str, ...]:
    """What the inputs are called; a table that names all of them also orders them.

    Unless the network has names: then the table's rows are found by them.
    """
    n_in = network.n_in
    if network.input_names is not None and len(network.input_names) == n_in:
        return network.input_names
    if len(table) == n_in:
        return tuple(row.name for row in table)
    if header is not None and len(header) == n_in:
        return header
    return tuple(f"x{index}" for index in range(n_in))


def _columns(
    table: tuple[BoundsRow, ...], names: tuple[str, ...], network: Network
) -> dict[str, Any]:
    """The columns of the table as arrays in the order of the inputs; None where empty."""
    import numpy as np

    from nninvert.analysis.starting_point import default_near

    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    near = default_near(network)
    fixed: dict[int, float] = {}
    for row in table:
        index = index_of(row.name, names, "--bounds")
        lower[index] = -np.inf if row.lower is None else row.lower
        upper[index] = np.inf if row.upper is None else row.upper
        near[index] = near[index] if row.near is None else row.near
        if row.fixed is not None:
            fixed[index] = row.fixed
    given = any(row.near is not None for row in table)
    return {
        "lower": lower if table else None,
        "upper": upper if table else None,
        "near": near if given else None,
        "fix": fixed,
    }


def _constraints(path: str | None, names: tuple[str, ...]) -> Constraints | None:
    """The relations in a file, their names turned into inputs."""
    if path is None:
        return None
    import numpy as np

    from nninvert.arrays import read_constraints
    from nninvert.methods.domain import Constraints

    relations = read_constraints(path)
    matrix = np.zeros((len(relations), len(names)))
    for row, relation in zip(matrix, relations, strict=True):
        field = f"--constraints > line {relation.line}"
        for name, coefficient in relation.terms:
            try:
                row[index_of(name, names, field)] += coefficient
            except UsageError as error:
                raise error.at(file=path) from error
    return Constraints.between(
        matrix,
        np.array([relation.lower for relation in relations]),
        np.array([relation.upper for relation in relations]),
        tuple(relation.text for relation in relations),
    )
