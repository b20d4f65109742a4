"""What work on large layers is predicted to take: plain frozen dataclasses.

Made by `nninvert.analysis.planning` before any weight is read, drawn by `report`.
Nothing in here was measured but the rates of the machine and the room on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from nninvert.result import ModelSummary


@dataclass(frozen=True)
class LayerForecast:
    """What is predicted for one large layer.

    Attributes
    ----------
    index, name : str
        0-based place and name in the file.
    shape : (int, int)
        (n_out, n_in).
    stored : str
        Type of the weights: "float32", "bfloat16", ...
    engine : str
        "panel", "lapack", "iterative" or "qr"; "sparse", "band" or "jacobi" for sparse
        layers; "file" where the factors are taken from a file.
    precision : str
        Of the factors; "" where there are none.
    in_file : bool
        Whether the factors are streamed from a file.
    memory, disk : int
        Bytes.
    passes : float
        Times that the weights are read.
    seconds : float
    why : str
    """

    index: str
    name: str
    shape: tuple[int, int]
    stored: str
    engine: str
    precision: str
    in_file: bool
    memory: int
    disk: int
    passes: float
    seconds: float
    why: str


@dataclass(frozen=True)
class Machine:
    """What the predictions rest on.

    Attributes
    ----------
    single, double : float
        Floating-point operations a second of products in float32 and float64, measured.
    memory : float
        Bytes a second read from memory and cast to float64, measured.
    disk : float
        Bytes a second of the disk, assumed.
    """

    single: float
    double: float
    memory: float
    disk: float


@dataclass(frozen=True)
class Forecast:
    """The plan of one command.

    Attributes
    ----------
    model : ModelSummary
    layers : tuple of LayerForecast
        Large ones only, in order; a matrix that is used again appears once.
    small : int
        How many linear layers are too small to be planned.
    rows : int
        How many targets were planned for.
    allowed : int
        Bytes of memory that may be used.
    place : str
        File that factors go to; "" where none is needed.
    room : int or None
        Bytes free there, what an earlier run has reserved included.
    machine : Machine or None
        None where nothing had to be planned.
    """

    model: ModelSummary
    layers: tuple[LayerForecast, ...]
    small: int
    rows: int
    allowed: int
    place: str
    room: int | None
    machine: Machine | None

    @property
    def memory(self) -> int:
        """Bytes of all factors in memory, and of the layer streamed that needs most."""
        held = sum(layer.memory for layer in self.layers if not layer.in_file)
        streamed = (layer.memory for layer in self.layers if layer.in_file)
        return held + max(streamed, default=0)

    @property
    def disk(self) -> int:
        """Bytes of all factors that go to the disk."""
        return sum(layer.disk for layer in self.layers)

    @property
    def seconds(self) -> float:
        """Of all layers."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def has_room(self) -> bool:
        """Whether the disk can take the factors."""
        return self.room is None or self.disk <= self.room
