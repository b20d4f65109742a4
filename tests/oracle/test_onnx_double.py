"""Files of exporters, all numbers made float64: the same as onnx's reference evaluator."""

from pathlib import Path

import numpy as np
import pytest
from frameworks import framework, framework_at_work

from nninvert import formats

DATA = Path(__file__).parents[1] / "formats" / "onnx_data"
NAMES = [*sorted(path.stem for path in DATA.glob("t*.onnx")), "sklearn_regressor"]

# The reference has 1 / 6 of HardSwish and erf of Gelu in float32 whatever x is.
ROUNDED = {
    f"torch_{name}_{kind}"
    for name in ("bent", "next", "smooth", "squeezed")
    for kind in ("new", "old")
}

pytestmark = pytest.mark.oracle


def in_double(onnx, model):
    """Weights, constants, casts and the types of inputs and outputs."""
    single, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

    def widened(tensor):
        if tensor.data_type == single:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    for tensor in model.graph.initializer:
        widened(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widened(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == single:
                attribute.i = double
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = double
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize("name", NAMES)
def test_to_the_last_digits(name):
    onnx = framework("onnx")
    golden = np.load(DATA / f"{name}.npz")
    inputs = [golden[key] for key in sorted(golden) if key.startswith("x")]
    with framework_at_work():
        from onnx.reference import ReferenceEvaluator

        model = in_double(onnx, onnx.load(DATA / f"{name}.onnx"))
        named = zip((value.name for value in model.graph.input), inputs, strict=True)
        outputs = ReferenceEvaluator(model).run(None, dict(named))
    wanted = np.concatenate([y.reshape(len(y), -1) for y in outputs], axis=1)
    net = formats.load(str(DATA / f"{name}.onnx"))
    found = net.forward(np.concatenate([x.reshape(len(x), -1) for x in inputs], axis=1))
    error = 1e-7 if name in ROUNDED else 1e-12
    assert np.allclose(found, wanted, rtol=error, atol=error)
