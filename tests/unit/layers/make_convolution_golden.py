"""Outputs of convolutions as torch and TensorFlow compute them, in float64.

``python make_convolution_golden.py torch`` or ``... keras`` in an environment that has the
framework writes ``convolution_torch.npz`` or ``convolution_keras.npz`` beside this file:
the cases as JSON, with the options of each layer and the shapes of its arrays (kernel and
bias as the framework stores them, x and y), and all numbers in one array.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np

rng = np.random.default_rng(41)
SIZES = {1: (7,), 2: (6, 5), 3: (3, 4, 3)}


def integers(*shape):
    """Small multiples of 1/4: their sums are exact, and they compress."""
    return rng.integers(-4, 5, shape) / 4.0


def torch_cases():
    import torch

    for rank, groups, stride, dilation in itertools.product(
        (1, 2, 3), (1, 2), (1, 2), (1, 2)
    ):
        kind = getattr(torch.nn, f"Conv{rank}d")
        paddings = [("zeros", 0), ("zeros", 1), ("circular", 1)]
        if stride == 1:
            paddings.append(("zeros", "same"))
        for mode, padding in paddings:
            layer = kind(
                4,
                2 * groups,
                2 if rank < 3 else (2, 2, 1),
                stride=stride,
                dilation=dilation,
                groups=groups,
                padding=padding,
                padding_mode=mode,
                dtype=torch.float64,
            )
            options = {
                "strides": stride,
                "dilation": dilation,
                "groups": groups,
                "padding": padding if padding == "same" else [padding] * rank,
                "padding_mode": mode,
            }
            yield "convolution", layer, (4, *SIZES[rank]), options
        kind = getattr(torch.nn, f"ConvTranspose{rank}d")
        for padding, extra in ((0, 0), (1, 0), (1, 1)):
            if extra >= max(stride, dilation):
                continue
            layer = kind(
                4,
                2 * groups,
                3,
                stride=stride,
                dilation=dilation,
                groups=groups,
                padding=padding,
                output_padding=extra,
                bias=padding == 0,
                dtype=torch.float64,
            )
            options = {
                "strides": stride,
                "dilation": dilation,
                "groups": groups,
                "padding": [padding] * rank,
                "output_padding": extra,
            }
            yield "transposed_convolution", layer, (4, *SIZES[rank]), options


def from_torch():
    import torch

    for kind, layer, shape, options in torch_cases():
        x = integers(1, *shape)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.from_numpy(integers(*parameter.shape)))
            y = layer(torch.from_numpy(x)).numpy()
        bias = None if layer.bias is None else layer.bias.detach().numpy()
        config = {**options, "data_format": "channels_first"}
        yield kind, config, layer.weight.detach().numpy(), bias, x, y


def keras_cases():
    from keras import layers

    for rank, padding, stride, dilation in itertools.product(
        (1, 2, 3), ("valid", "same", "causal"), (1, 2, 3), (1, 2)
    ):
        if (padding == "causal" and rank > 1) or (stride > 1 and dilation > 1):
            continue
        if rank == 3 and dilation > 1:
            continue  # not on CPUs
        common = {"strides": stride, "padding": padding}
        size = 3 if stride < 3 else 2
        made = getattr(layers, f"Conv{rank}D")(
            3, size, dilation_rate=dilation, dtype="float64", **common
        )
        yield "convolution", made, 2, {**common, "dilation": dilation}
        if rank < 3 and padding != "causal":
            made = getattr(layers, f"DepthwiseConv{rank}D")(
                size, depth_multiplier=2, dilation_rate=dilation, dtype="float64", **common
            )
            yield "depthwise", made, 3, {**common, "dilation": dilation, "groups": 3}
        if padding != "causal" and dilation == 1:
            size = 4 if rank == 2 else 3
            for extra in (None, 0, 1):
                if extra is not None and extra >= stride:
                    continue
                if (padding, size, extra) == ("same", 4, 0):
                    continue  # as many outputs as one input fewer makes: refused
                made = getattr(layers, f"Conv{rank}DTranspose")(
                    3, size, output_padding=extra, dtype="float64", **common
                )
                yield "transposed_convolution", made, 2, {**common, "output_padding": extra}


def from_keras():
    for kind, layer, channels, options in keras_cases():
        rank = layer.rank
        x = integers(1, *SIZES[rank], channels)
        layer.build(x.shape)
        values = [integers(*weight.shape) for weight in layer.weights]
        layer.set_weights(values)
        y = np.asarray(layer(x))
        yield kind, options, values[0], values[1], x, y


def main(framework):
    cases, numbers = [], []
    made = {"torch": from_torch, "keras": from_keras}[framework]()
    for kind, config, kernel, bias, x, y in made:
        arrays = {"kernel": kernel, "bias": bias, "x": x, "y": y}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        shapes = {name: array.shape for name, array in arrays.items()}
        cases.append({"kind": kind, "config": config, "shapes": shapes})
        numbers += [array.ravel() for array in arrays.values()]
    exact = np.concatenate(numbers)
    short = exact.astype(np.float32)
    assert np.array_equal(short, exact), "sums of multiples of 1/16 fit into float32"
    path = Path(__file__).with_name(f"convolution_{framework}.npz")
    np.savez_compressed(path, cases=np.array(json.dumps(cases)), numbers=short)


if __name__ == "__main__":
    main(sys.argv[1])
