"""What outlives one call: factor files, and sessions."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Self

from nninvert.analysis.factor_files import conclude, make_factors
from nninvert.api.asking import opened
from nninvert.api.checking import check
from nninvert.api.inverting import invert
from nninvert.api.named import Values
from nninvert.context import Context
from nninvert.network import Network
from nninvert.result import CheckReport, InversionResult, KeptFactors


def factor(network: Network, path: str, context: Context | None = None) -> KeptFactors:
    """Factor every large dense square layer into one file, for later use.

    A run that ended early goes on where it was when it is called again. The factors are
    used by ``Session(network, factors=path)``.

    Parameters
    ----------
    network : Network
    path : str
        The file to make; one that is there is replaced in the end.
    context : Context, default None
        Its `disk.output` becomes `path`. None: a new one, closed in the end.

    Raises
    ------
    UsageError
        If no layer is large, dense and square.
    """
    with opened(context) as used:
        used.disk = replace(used.disk, output=path)
        return make_factors(network, used)


class Session:
    """A network and its factorisations, kept between calls.

    >>> with Session(network) as session:  # doctest: +SKIP
    ...     session.invert(y1)
    ...     session.invert(y2)  # solves only: nothing is factored again

    Parameters
    ----------
    network : Network
    context : Context, default None
        It stays open, but its `FactorStore` is emptied at the end of the ``with`` block.
        None: a new one, closed there.
    factors : str, default ""
        A file that `factor` made of this network.

    Afterwards `kept` tells of factors that are left on the disk.
    """

    def __init__(
        self, network: Network, context: Context | None = None, factors: str = ""
    ) -> None:
        self.network = network
        self.context = context or Context()
        self.kept: KeptFactors | None = None
        self._owns = context is None
        if factors:
            self.context.disk = replace(self.context.disk, factors=factors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._owns:
            self.context.factors.clear()
            return
        with self.context:
            if kind is None:
                self.kept = conclude(self.context)

    def check(self, **options: object) -> CheckReport:
        """`nninvert.check` with this session's network and context."""
        return check(self.network, context=self.context, **options)  # type: ignore[arg-type]

    def invert(self, y: Values, **options: object) -> InversionResult:
        """`nninvert.invert` with this session's network and context."""
        return invert(self.network, y, context=self.context, **options)  # type: ignore[arg-type]
