"""Whether a target can be reached at all: proofs by pulling it back.

A target together with its tolerance is a box. If every segment is one-to-one, the box has
one way back. Each segment widens it by a radius that bounds where its points can come
from, the rounding of the solves included (`Preimage.radius`). Once the whole box lies
outside the range of a layer, no input gives a value inside the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers import LinearLayer, Preimage
from nninvert.linalg.factor import factorise
from nninvert.network import Network
from nninvert.outcome import Proof

Float64 = NDArray[np.float64]

_LEAST_RADIUS = 4096.0 * tolerances.EPS64
"""A target counts as off by so much of itself at least, about 1e-12, whatever tolerance is
asked for: least-squares solutions leave residuals of tens and hundreds of roundings of y,
and those are no proof."""


@dataclass(frozen=True)
class Reach:
    """What pulling boxes of targets back has shown.

    Attributes
    ----------
    proof : tuple of Proof
        NONE where unreachability is not proved.
    preimage : Preimage
        Where each row left, and the box of inputs of those that did not.
    """

    proof: tuple[Proof, ...]
    preimage: Preimage

    @property
    def proved(self) -> NDArray[np.bool_]:
        """Rows that no input reaches."""
        return np.array([p is not Proof.NONE for p in self.proof], dtype=np.bool_)


def pull_back_boxes(
    network: Network, values: Float64, tolerance: Float64, context: Context
) -> Reach:
    """Pull targets back with their tolerances as radii.

    Parameters
    ----------
    network : Network
    values, tolerance : float64 arrays, shape (rows, n_out)
        An output that does not matter has an infinite tolerance; one below the rounding
        of the computation counts as that.
    context : Context
    """
    shape = (values.shape[0], *network.graph.output_shape)
    # Solves round, and underflow gives a zero that the exact network never says.
    least = _LEAST_RADIUS * np.abs(values) + np.finfo(np.float64).tiny
    radius = np.clip(tolerance, least, tolerances.RADIUS_CAP)
    found = network.graph.preimage(values.reshape(shape), radius.reshape(shape), context)
    last = len(network.segments) - 1
    # The range of an activation is known; that of a matrix is as good as its rank.
    known = not isinstance(network.segments[last].layer, LinearLayer)
    at_the_end = found.place == last
    proved = found.proved & at_the_end & known
    # The spectra are only looked at where a proof hangs on them.
    if (found.proved & ~proved).any() and radii_are_trusted(network, context):
        proved = found.proved
    kinds = [Proof.OUTPUT_RANGE if end else Proof.PULL_BACK for end in at_the_end]
    proof = [
        kind if holds else Proof.NONE for kind, holds in zip(kinds, proved, strict=True)
    ]
    return Reach(tuple(proof), found)


def outside_bounds(reach: Reach, lower: Float64, upper: Float64) -> NDArray[np.bool_]:
    """Rows whose only possible inputs all lie outside the bounds."""
    found = reach.preimage
    x = found.x.reshape(found.x.shape[0], -1)
    radius = found.radius.reshape(x.shape)
    missed = ((x + radius < lower) | (x - radius > upper)).any(axis=1)
    return np.asarray(missed & found.unique & (found.outside == 0))


def radii_are_trusted(network: Network, context: Context) -> bool:
    """Whether |A^-1| is known well enough in every layer to bound errors with it.

    The computed inverse of a matrix with condition number k is off by about n eps k
    relative to its norm; beyond `tolerances.PROOF_CONDITION` that could hide a way back.
    """
    for segment in network.segments:
        layer = segment.layer
        if isinstance(layer, LinearLayer):
            spectrum = factorise(layer.linear_part[0], context).spectrum()
            if spectrum.condition > tolerances.PROOF_CONDITION:
                return False
    return True
