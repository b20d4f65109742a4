"""The test cases of the onnx package itself, run through nninvert.

Run as a program it writes the list that is kept beside it:

    python tests/oracle/onnx_nodes.py > tests/oracle/onnx_nodes.txt

A test case is a graph of one operator, in which weights are inputs like all others. What is
no first input is made an initialiser where nninvert does not read it as an input.
"""

import contextlib
import os
import sys
import tempfile
import warnings
from collections import Counter

import numpy as np

from nninvert import formats
from nninvert.errors import NninvertError


def cases():
    """Name, model, inputs, outputs, tolerances of every node test."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = collect_testcases()
    for case in found:
        if case.data_sets and case.model is not None:
            yield case


def outcome(case):
    """("equal", how), ("refused", why), or ("different", how far)."""
    whys = []
    for kept in _choices(case):
        model, inputs = _with_constants(case, kept)
        with _saved(model) as path:
            try:
                net = formats.load(path)
            except NninvertError as error:
                whys.append(error.got)
                continue
            wanted = [_array(one) for one in case.data_sets[0][1]]
            kind, text = _compared(net, inputs, wanted, case)
            if kind != "refused":
                return kind, text
            whys.append(text)
    return "refused", whys[min(1, len(whys) - 1)]


def _choices(case):
    """Which inputs stay inputs: all, the first three of Attention, one of the first two."""
    count = len(case.model.graph.input)
    yield tuple(range(count))
    if case.model.graph.node[0].op_type == "Attention" and count > 3:
        yield (0, 1, 2)
    for k in range(min(count, 2) if count > 1 else 0):
        yield (k,)


def _with_constants(case, kept):
    """The model whose other inputs are initialisers."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.output[1:]  # further outputs are statistics, masks, places of maxima
    values = case.data_sets[0][0]
    names = [info.name for info in model.graph.input]
    if len(kept) < len(names):
        del model.graph.input[:]
        model.graph.input.extend(case.model.graph.input[k] for k in kept)
        for k, name in enumerate(names):
            if k not in kept and hasattr(values[k], "dtype"):
                tensor = numpy_helper.from_array(np.asarray(values[k]), name)
                model.graph.initializer.append(tensor)
    return model, {names[k]: values[k] for k in kept}


@contextlib.contextmanager
def _saved(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as stream:
            stream.write(model.SerializeToString())
        yield path


def _compared(net, inputs, wanted, case):
    """Evaluate, and compare with what the test says."""
    rows, batched = _rows(net, inputs)
    if not rows.size:
        return "refused", "no rows"
    with np.errstate(all="ignore"):
        found = net.outputs.unpack(net.forward(rows))
    worst = 0.0
    for value, array in zip(found.values(), wanted, strict=False):
        shape = array.shape[1:] if batched else array.shape
        got = value.reshape(-1, *shape) if batched else value.reshape(shape)
        if got.shape != array.shape:
            return "different", f"shape {got.shape}, not {array.shape}"
        short = "16" in case.name
        rtol, atol = max(case.rtol, 8e-3 * short), max(case.atol, 1e-6, 1e-3 * short)
        if not np.allclose(got, array, rtol, atol, equal_nan=True):
            return "different", f"by {np.nanmax(np.abs(got - array)):.1e}"
        with np.errstate(invalid="ignore"):
            worst = max(worst, float(np.nanmax(np.abs(got - array), initial=0.0)))
    return "equal", f"{worst:.0e}"


def _array(value):
    """Numbers as float64; short types come as messages of their own."""
    from onnx import TensorProto, numpy_helper

    if isinstance(value, TensorProto):
        value = numpy_helper.to_array(value)
    return np.asarray(value).astype(np.float64)


def _rows(net, inputs):
    """The inputs as flat rows, and whether their first axis is the batch."""
    parts = net.inputs.parts
    arrays = [_array(one) for one in inputs.values()]
    batched = arrays[0].shape != parts[0].shape
    shaped = {
        part.name: array.reshape(-1, *part.shape)
        for part, array in zip(parts, arrays, strict=False)
    }
    rows = max(map(len, shaped.values()))
    for name, array in shaped.items():
        # A batch of one row stands for as many as the other inputs have.
        shaped[name] = np.repeat(array, rows, axis=0) if len(array) == 1 else array
    return net.inputs.pack(shaped), batched


def listed():
    """Lines for people: counts, what is read, and operators of which a case is refused."""
    counts, refused = Counter(), Counter()
    lines = []
    for case in cases():
        kind, text = outcome(case)
        counts[kind] += 1
        name = case.name.removeprefix("test_")
        if kind == "refused":
            refused[
                "expanded" if "expanded" in name else case.model.graph.node[0].op_type
            ] += 1
        else:
            lines.append(f"{kind} {name} {text}")
    first = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    lines = sorted(lines) + [f"refused {kind}: {n}" for kind, n in sorted(refused.items())]
    return "\n".join([first, *lines, ""])


if __name__ == "__main__":
    sys.stdout.write(listed())
