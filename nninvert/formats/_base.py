"""What a reader is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

from nninvert.formats._building import build
from nninvert.formats._description import Description
from nninvert.formats._options import ReadOptions
from nninvert.formats._parts import described_parts
from nninvert.formats._steps import Parsed
from nninvert.network import Network


class Reader(ABC):
    """One model format.

    Attributes
    ----------
    name : str
        For people.
    suffixes : tuple of str
        Usual ends of file names; what is in a file decides, not its name.
    reads : str
        What is read of it, one line for the README's table.
    takes_config : bool
        Whether the architecture can come from another file.
    takes_layers : bool
        Whether it names classes of layers, so that users can build some themselves.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[str]
    takes_config: ClassVar[bool] = False
    takes_layers: ClassVar[bool] = False

    @abstractmethod
    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the file is of this format; `head` are its first bytes.

        Raises
        ------
        FormatError
            If it is of this format's container, but damaged.
        """

    @abstractmethod
    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read the layers; those that are unknown carry their problem."""

    def describe(self, path: str, options: ReadOptions) -> Description:
        """Say what is in the file.

        Raises
        ------
        NninvertError
            If the file cannot be read at all.
        """
        parsed = self.parse(path, options)
        inputs, outputs = described_parts(parsed)
        return replace(parsed.describe(), input_parts=inputs, output_parts=outputs)

    def read(self, path: str, options: ReadOptions) -> Network:
        """Build the network, or the part of it that `options` wants.

        Raises
        ------
        UnsupportedLayerError
            Naming every layer of that part that is not known.
        NninvertError
            If the file cannot be read, or its parts do not fit.
        """
        return build(self.parse(path, options), path, options)
