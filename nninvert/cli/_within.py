"""What stands behind ``--within``: how close f(x) must come to y, for each output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert.cli._names import named_values, values_by_name
from nninvert.cli._values import Sources, is_share, number_of
from nninvert.errors import UsageError
from nninvert.names import output_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nninvert.network import Network

_OPTION = "--within"


def within_of(
    text: str | None, network: Network, sources: Sources
) -> float | str | list[float | str] | NDArray[np.generic] | None:
    """The tolerance as `nninvert.invert` takes it.

    Parameters
    ----------
    text : str or None
        A number or a percentage for all outputs, a list of them, NAME=VALUE for each
        output or part, or a file.
    network : Network
    sources : Sources

    Raises
    ------
    NninvertError
        If a file cannot be used, or not every output gets a tolerance.
    """
    if text is None:
        return None
    pairs = named_values(text)
    if pairs is not None:
        return _of_names(pairs, network)
    each = [_tolerance(item) for item in text.split(",")]
    known = [value for value in each if value is not None]
    if len(known) < len(each):
        return _of_file(text, network, sources)
    if len(known) == 1:
        return known[0]
    _require_all(len(known), network)
    return known


def _tolerance(text: str) -> float | str | None:
    """A number, or a percentage without blanks; None if it is neither."""
    return text.replace(" ", "") if is_share(text.strip()) else number_of(text)


def _of_names(pairs: Sequence[tuple[str, str]], network: Network) -> list[float | str]:
    names = output_names(network)
    texts = values_by_name(pairs, names, _OPTION)
    missing = [k for k in range(network.n_out) if k not in texts]
    if missing:
        example = ",".join(f"{name}=0.1" for name in (names.parts or names.single)[:3])
        raise UsageError(
            _OPTION,
            got=f"nothing for the output '{names.single[missing[0]]}'",
            expected="a tolerance for each output",
            next_step=f"For example: {_OPTION} {example}",
        )
    found = [_tolerance(texts[k]) for k in range(network.n_out)]
    return [value for value in found if value is not None]


def _of_file(text: str, network: Network, sources: Sources) -> NDArray[np.generic]:
    names, parts = network.output_names, network.outputs.named_shapes
    values = sources.read(text, _OPTION, names, parts).values
    rows = values.reshape(values.shape[0], -1) if values.ndim > 1 else values
    _require_all(rows.shape[-1], network)
    return rows


def _require_all(count: int, network: Network) -> None:
    if count != network.n_out:
        raise UsageError(
            _OPTION,
            got=f"{count} numbers",
            expected=f"one, or {network.n_out}: one for each output",
        )
