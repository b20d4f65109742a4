"""The model that a command works on, read as the options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nninvert.cli._options import Reading

if TYPE_CHECKING:
    from nninvert.network import Network


def open_model(path: str, reading: Reading) -> Network:
    """Read the network from `path`.

    Raises
    ------
    NninvertError
        If the file cannot be read or holds layers that are not known.
    """
    from nninvert.api import load

    network = load(
        path,
        activations=reading.activations,
        orientation=reading.orientation,
        first=reading.first,
        until=reading.until,
        config=reading.config,
        input_scaler=reading.input_scaler,
        output_scaler=reading.output_scaler,
    )
    return network.repeat(reading.repeat)
