"""Whether a net that was rewritten to take a batch gives what single runs of the original give."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from portgrad.graph.batching import Batched, batched, examples
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

Array = np.ndarray[Any, Any]

# float32: a kernel may add a few dozen terms of order one in another order for another batch.
SINGLE = 1e-5


def loaded(body: str, opset: int = 21, ml: int = 3) -> ir.Model:
    """A normalised net from `(inputs) => (outputs) { nodes }`.

    An operand may be a constant: `[1, 2]` an integer vector, `[1.0]` a floating one, `#1` a number.
    """
    constants: list[str] = []

    def lift(match: re.Match[str]) -> str:
        literal = match[1]
        kind = "int" if literal[0] == "#" else "floats" if "." in literal else "ints"
        constants.append(f"c{len(constants)} = Constant<value_{kind} = {literal.lstrip('#')}>()")
        return f"c{len(constants) - 1}"

    lifted = re.sub(r"(?<=[(,] )(\[[-\d., ]*\]|#-?\d+)", lift, body.replace("(", "( "))
    text = lifted.replace("{", "{ " + " ".join(constants), 1)
    imports = f'"" : {opset}, "ai.onnx.ml" : {ml}'
    proto = onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]> net {text}")
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    return load(NetFiles(proto.SerializeToString()))


def assert_batch_is_each(
    model: ir.Model, ports: Collection[str], seed: int = 0, empty: bool = True
) -> Batched:
    """Every value of the batched net, at N = 3, 1 and 0, is the values of single runs together.

    Without `empty` it is not run at N = 0.
    """
    found = batched(model, ports)
    assert found is not None
    names = [name for name in _values(model) if name in _values(found.model)]
    single, many = _session(model, names), _session(found.model, names)
    rng = np.random.default_rng(seed)
    shared = {v.name: draw(v, rng) for v in model.graph.inputs if v.name not in ports}
    data = [{v.name: draw(v, rng) for v in model.graph.inputs if v.name in ports} for _ in range(3)]
    alone = [dict(zip(names, single.run(names, {**shared, **x}), strict=True)) for x in data]
    for count in (3, 1):
        feeds = {port: np.concatenate([x[port] for x in data[:count]]) for port in ports}
        run = dict(zip(names, many.run(names, {**shared, **feeds}), strict=True))
        for name in names:
            _compare(name, run[name], [each[name] for each in alone[:count]], found.axis)
    if not empty:
        return found
    none = {port: data[0][port][:0] for port in ports}
    run = dict(zip(names, many.run(names, {**shared, **none}), strict=True))
    for name, axis in found.axis.items():
        if name in run:
            assert examples(run[name], axis).shape == (0, *alone[0][name].shape)
    return found


def _compare(name: str, together: Array, alone: list[Array], axes: Mapping[str, int]) -> None:
    expected = np.stack(alone)
    if name in axes:
        together = examples(together, axes[name])
    elif not name.startswith("n_"):  # n_…: sizes, which follow the batch and are no data
        together = np.broadcast_to(together, expected.shape)
    else:
        return
    assert together.dtype == expected.dtype
    assert together.shape == expected.shape
    if together.dtype == object:  # text
        np.testing.assert_array_equal(together, expected, err_msg=name)
    else:
        np.testing.assert_allclose(together, expected, rtol=SINGLE, atol=SINGLE, err_msg=name)


def draw(value: ir.Value, rng: np.random.Generator) -> Array:
    """Random data for a port: small whole numbers from 0 for integers."""
    assert value.shape is not None
    assert value.dtype is not None
    shape = [size if isinstance(size, int) else 2 for size in value.shape]
    if value.dtype.is_integer():
        return rng.integers(0, 3, shape).astype(value.dtype.numpy())
    if value.dtype == ir.DataType.BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    return rng.standard_normal(shape).astype(value.dtype.numpy())


def _values(model: ir.Model) -> list[str]:
    nodes = (node for node in model.graph if node.op_type != "Constant")
    return [str(value.name) for node in nodes for value in node.outputs if value.name]


def _session(model: ir.Model, names: list[str]) -> ort.InferenceSession:
    exposed = model.clone()
    values = {value.name: value for node in exposed.graph for value in node.outputs}
    exposed.graph.outputs.clear()
    exposed.graph.outputs.extend(values[name] for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        ir.to_proto(exposed).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
