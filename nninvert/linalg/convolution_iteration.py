"""Convolutions solved without a matrix, and what is known of them in reasonable time."""

from __future__ import annotations

from functools import cached_property

from nninvert.context import Context
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.convolution import ConvolutionMap
from nninvert.linalg.convolution_symbol import extent
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.map import LinearMap
from nninvert.linalg.probe import Outlook

_WORK = 3e11
"""Operations of products that a look at the extreme singular values may take."""

_LEAST_STEPS = 8


class ConvolutionIteration(IterativeFactor):
    """Of a convolution, or of its transpose, on which nothing else can be afforded.

    Parameters
    ----------
    linear_map : LinearMap
    outlook : Outlook
        Of that map.
    base : ConvolutionMap
        The map, or that of which it is the transpose.
    context : Context
    """

    def __init__(
        self,
        linear_map: LinearMap,
        outlook: Outlook,
        base: ConvolutionMap,
        context: Context,
    ) -> None:
        super().__init__(linear_map, outlook, context)
        self._base = base
        # Two starts, and for each step a product there and one back.
        step = 8.0 * base.terms * base.shape[0]
        self.spectrum_steps = int(max(_LEAST_STEPS, min(_WORK / step, self.spectrum_steps)))

    @cached_property
    def _spectrum(self) -> Spectrum:
        """Bounds from a bidiagonalisation, and those that the symbol proves."""
        return extent(self._base).refine(self._bidiagonalised())
