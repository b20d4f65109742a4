"""From the options that say which x is wanted to the arrays that the library takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nninvert.cli._names import (
    fixed_of,
    indices_of,
    named_values,
    values_by_name,
)
from nninvert.cli._options import Wanted
from nninvert.cli._values import Sources, number_of, numbers_of
from nninvert.cli._within import within_of
from nninvert.errors import UsageError
from nninvert.names import Names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nninvert.arrays import BoundsRow, LoadedArray
    from nninvert.methods.domain import Constraints
    from nninvert.network import Network

    Float64 = NDArray[np.float64]


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

    def named(self, network: Network, targets: LoadedArray | None = None) -> Network:
        """The network with the names that tables gave, for notes and reasons.

        Parameters
        ----------
        network : Network
        targets : LoadedArray or None, default None
            The header of their table names the outputs, where nothing else does.
        """
        if self.names != _numbered(network.n_in):
            network = replace(network, input_names=self.names)
        header = None if targets is None else targets.names
        if network.output_names is None and header and len(header) == network.n_out:
            network = replace(network, output_names=header)
        return network


def resolve(wanted: Wanted, network: Network, sources: Sources) -> Resolved:
    """Read what the options name. An option replaces its column of ``--bounds``.

    Raises
    ------
    NninvertError
        If a file cannot be used, a list has the wrong length, or a name is unknown.
    """
    table = _table(wanted)
    near, header = _near(wanted.near, network, sources)
    names = Names(_names(network, header, table), network.inputs)
    columns = _columns(table, names, network)
    bounds = {
        option: _bound(option, text, columns[option], names, network, sources)
        for option, text in (("lower", wanted.lower), ("upper", wanted.upper))
    }
    return Resolved(
        names.single,
        {
            "within": within_of(wanted.within, network, sources),
            "near": _near_by_name(wanted.near, columns["near"], names, network)
            if near is None
            else near,
            **bounds,
            "fix": columns["fix"] | fixed_of(wanted.fix or [], names) or None,
            "integer": indices_of(wanted.integer or [], names, "--integer") or None,
            "constraints": _constraints(wanted.constraints, names),
        },
    )


def _table(wanted: Wanted) -> tuple[BoundsRow, ...]:
    from nninvert.arrays import read_bounds

    return () if wanted.bounds is None else read_bounds(wanted.bounds)


def _near(
    text: str | None, network: Network, sources: Sources
) -> tuple[NDArray[np.generic] | None, tuple[str, ...] | None]:
    """Inputs and the header of their table; nothing where they are given by name."""
    import numpy as np

    from nninvert.methods.question import as_rows

    if text is None or named_values(text) is not None:
        return None, None
    direct = numbers_of(text)
    if isinstance(direct, float):
        return np.full(network.n_in, direct), None
    if direct is not None:
        values, names = np.array(direct), None
    else:
        parts = network.inputs.named_shapes
        loaded = sources.read(text, "near", network.input_names, parts)
        values, names = loaded.values, loaded.names
    with sources.named():
        rows = as_rows(values, network.graph.input_shape, "near")
    return (rows[0] if rows.shape[0] == 1 else rows), names


def _near_by_name(
    text: str | None, column: Float64 | None, names: Names, network: Network
) -> Float64 | None:
    """What ``--near NAME=VALUE,...`` says, in place of the table's column."""
    from nninvert.analysis.starting_point import default_near

    if text is None:
        return column
    before = default_near(network) if column is None else column
    return _by_name("--near", text, before, names)


def _bound(
    option: str,
    text: str | None,
    column: Float64 | None,
    names: Names,
    network: Network,
    sources: Sources,
) -> float | NDArray[np.generic] | None:
    """The bound of each input, or of all; `column` is that of the table."""
    import numpy as np

    if text is None:
        return column
    if named_values(text) is not None:
        nothing = np.full(network.n_in, -np.inf if option == "lower" else np.inf)
        return _by_name(f"--{option}", text, nothing if column is None else column, names)
    direct = numbers_of(text)
    if direct is not None:
        return direct if isinstance(direct, float) else np.array(direct)
    parts = network.inputs.named_shapes
    loaded = sources.read(text, f"--{option}", network.input_names, parts)
    if loaded.values.size not in (1, network.n_in):
        raise UsageError(
            f"--{option}",
            got=f"shape {loaded.values.shape}",
            expected=f"one number, or {network.n_in}: one for each input",
            file=loaded.source,
        )
    return loaded.values.reshape(-1)


def _by_name(option: str, text: str, before: Float64, names: Names) -> Float64:
    """The same values but where ``NAME=VALUE,...`` says others."""
    values = before.copy()
    for index, value in values_by_name(named_values(text) or [], names, option).items():
        number = number_of(value)
        if number is None:
            raise UsageError(
                option, got=f"'{names.single[index]}={value}'", expected="a number"
            )
        values[index] = number
    return values


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
    return _numbered(n_in)


def _numbered(n_in: int) -> tuple[str, ...]:
    return tuple(f"x{index}" for index in range(n_in))


def _columns(
    table: tuple[BoundsRow, ...], names: Names, network: Network
) -> dict[str, Any]:
    """The columns of the table as arrays in the order of the inputs; None where empty.

    A row may name a part; those that name a single number of it say more.
    """
    import numpy as np

    from nninvert.analysis.starting_point import default_near

    lower, upper = np.full(network.n_in, -np.inf), np.full(network.n_in, np.inf)
    near = np.full(network.n_in, np.nan)
    fixed: dict[int, float] = {}
    meant = [(names.numbers(row.name, "--bounds"), row) for row in table]
    for numbers, row in sorted(meant, key=lambda pair: -len(pair[0])):
        for index in numbers:
            lower[index] = lower[index] if row.lower is None else row.lower
            upper[index] = upper[index] if row.upper is None else row.upper
            near[index] = near[index] if row.near is None else row.near
            if row.fixed is not None:
                fixed[index] = row.fixed
    # What nobody gave is not complained of as lying outside.
    usual = np.clip(default_near(network), lower, upper)
    usual[list(fixed)] = list(fixed.values())
    return {
        "lower": lower if table else None,
        "upper": upper if table else None,
        "near": None if np.isnan(near).all() else np.where(np.isnan(near), usual, near),
        "fix": fixed,
    }


def _constraints(path: str | None, names: Names) -> Constraints | None:
    """The relations in a file, their names turned into inputs."""
    if path is None:
        return None
    import numpy as np

    from nninvert.arrays import read_constraints
    from nninvert.methods.domain import Constraints

    relations = read_constraints(path)
    matrix = np.zeros((len(relations), len(names.single)))
    for row, relation in zip(matrix, relations, strict=True):
        field = f"--constraints > line {relation.line}"
        for name, coefficient in relation.terms:
            try:
                row[names.index(name, field)] += coefficient
            except UsageError as error:
                raise error.at(file=path) from error
    return Constraints.between(
        matrix,
        np.array([relation.lower for relation in relations]),
        np.array([relation.upper for relation in relations]),
        tuple(relation.text for relation in relations),
    )
