"""Whether a net that was rewritten to take a batch gives what single runs of the original give."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from portgrad.graph.batch.states import Along
from portgrad.graph.batching import Batched, apart, batched, examples
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
    _compare_runs(model, found.model, found, ports, seed=seed, empty=empty)
    return found


def assert_open_batch_is_each(model: ir.Model, ports: Collection[str], seed: int = 0) -> bool:
    """The same of a net with an open batch size: of itself, and of what it is rewritten to.

    Returns:
        Whether it is proven that the examples do not meet.
    """
    found = apart(model, ports)
    if found is None:
        return False
    for many in (model, found.model):
        _compare_runs(model, many, found, ports, seed=seed, empty=False)
    return True


def opened(text: str) -> str:
    """A net in text with an open size for the leading 1 of the ports x…."""
    ports, arrow, rest = text.partition("=>")
    return re.sub(r"\[1((?:,[^\]]*)?\] x)", r"[N\1", ports) + arrow + rest


def _compare_runs(
    model: ir.Model,
    whole: ir.Model,
    found: Batched,
    ports: Collection[str],
    *,
    seed: int,
    empty: bool,
) -> None:
    names = [name for name in _values(model) if name in _values(whole)]
    single, many = _session(model, names), _session(whole, names)
    rng = np.random.default_rng(seed)
    shared = {v.name: draw(v, rng) for v in model.graph.inputs if v.name not in ports}
    given = [v for v in model.graph.inputs if v.name in ports]
    data = [{v.name: draw(v, rng)[:1] for v in given} for _ in range(3)]
    alone = [dict(zip(names, single.run(names, {**shared, **x}), strict=True)) for x in data]
    for count in (3, 1):
        feeds = {port: np.concatenate([x[port] for x in data[:count]]) for port in ports}
        run = dict(zip(names, many.run(names, {**shared, **feeds}), strict=True))
        for name in names:
            _compare(name, run[name], [each[name] for each in alone[:count]], found)
    if not empty:
        return
    none = {port: data[0][port][:0] for port in ports}
    run = dict(zip(names, many.run(names, {**shared, **none}), strict=True))
    for name, axis in found.axis.items():
        if name in run:
            assert examples(run[name], axis).shape == (0, *alone[0][name].shape)


def _compare(name: str, together: Array, alone: list[Array], found: Batched) -> None:
    expected = np.stack(alone)
    if name in found.axis:
        together = examples(together, found.axis[name])
    elif name in found.axis.packed:
        together = _unpacked(together, found.axis.packed[name], len(alone))
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


def _unpacked(array: Array, at: Along, count: int) -> Array:
    """A value whose examples lie on an axis with others, as those of single examples."""
    sizes, axis = array.shape, at.axis
    number = [part.number if not part.symbols else None for part in (at.outer, at.block)]
    whole = sizes[axis] // count
    outer = whole // number[1] if number[0] is None and number[1] else number[0]
    assert outer is not None
    apart = array.reshape(*sizes[:axis], outer, count, whole // outer, *sizes[axis + 1 :])
    return np.moveaxis(apart, axis + 1, 0).reshape(count, *sizes[:axis], whole, *sizes[axis + 1 :])


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
