"""What a damaged file says of a layer is refused, or means what whole numbers mean."""

import json

import numpy as np
import pytest
from layer_instances import INSTANCES, inputs_for

from nninvert.errors import NninvertError
from nninvert.formats.own import _DAMAGED
from nninvert.layers import LAYERS

CASES = [
    pytest.param(layer, id=f"{kind}-{position}")
    for kind, layers in INSTANCES.items()
    for position, layer in enumerate(layers)
    if kind in LAYERS
]


def wholes(value, way=()):
    """Where whole numbers stand in a configuration."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield from wholes(held, (*way, name))
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield from wholes(held, (*way, place))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield way


def changed(config, way, change):
    """A copy with another number at one place."""
    made = json.loads(json.dumps(config))
    here = made
    for step in way[:-1]:
        here = here[step]
    here[way[-1]] = change(here[way[-1]])
    return made


@pytest.mark.parametrize("layer", CASES)
@pytest.mark.parametrize(
    "change", [float, lambda k: k + 0.5, bool, str], ids=["float", "half", "bool", "text"]
)
def test_numbers_that_are_not_whole(layer, change):
    config = json.loads(json.dumps(layer.config()))
    for way in wholes(config):
        try:
            made = LAYERS[layer.kind].from_config(
                changed(config, way, change), layer.weights, layer.input_shape
            )
        except (NninvertError, *_DAMAGED):
            continue
        assert all(isinstance(size, int | np.integer) for size in made.output_shape)
        x = inputs_for(layer)
        assert made.forward(x).shape == (len(x), *made.output_shape)
        made.linearize(x)
        json.dumps(made.config())
