"""Running small models in float64, making doubles of their floats, and central differences.

onnxruntime where it has double kernels for every node, else onnx's reference evaluator with the
operators replaced that compute in float32 inside.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import AttributeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from support.loops import Loop, Scan
from support.recurrent import GRU, LSTM, RNN

Arrays = dict[str, np.ndarray]

ort.set_default_logger_severity(4)

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Erf(OpRun):
    """The reference's own returns float32."""

    op_domain = ""

    def _run(self, x):  # type: ignore[no-untyped-def]
        return (_erf(x).astype(x.dtype) if x.size else x,)


class Gelu(OpRun):
    """The reference's own returns float32."""

    op_domain = ""

    def _run(self, x, approximate=None):  # type: ignore[no-untyped-def]
        if approximate == "tanh":
            u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return ((0.5 * x * (1 + np.tanh(u))).astype(x.dtype),)
        return ((0.5 * x * (1 + _erf(x / math.sqrt(2)))).astype(x.dtype) if x.size else x,)


_NEW = [Erf, Gelu, GRU, Loop, LSTM, RNN, Scan]
_THROWING = {"GRU", "LSTM"}  # onnxruntime has double kernels of them that refuse to run


def runner(model: onnx.ModelProto, *, engine: str = "any") -> Callable[[Arrays], list[np.ndarray]]:
    """A function from feeds to outputs. `engine`: any, onnxruntime or reference."""
    if engine != "reference":
        try:
            session = _session(model)
        except Exception:
            if engine == "onnxruntime":
                raise
        else:
            return functools.partial(_run_quietly, session)
    evaluator = ReferenceEvaluator(_all_outputs_named(model), new_ops=_NEW)
    return functools.partial(_run_quietly, evaluator)


def _all_outputs_named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The reference would take an output without a name for every operand that is left out."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for count, node in enumerate(named.graph.node):
        node.output[:] = [y or f"unnamed/{count}/{k}" for k, y in enumerate(node.output)]
    return named


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    kinds = {x.type.tensor_type.elem_type for x in model.graph.input}
    if onnx.TensorProto.DOUBLE in kinds and any(n.op_type in _THROWING for n in model.graph.node):
        raise NotImplementedError("no double kernel that runs")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _run_quietly(evaluator: ort.InferenceSession | ReferenceEvaluator, feeds: Arrays):  # type: ignore[no-untyped-def]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference warns of its own overflows
        return [np.asarray(out) for out in evaluator.run(None, feeds)]


def directional(
    run: Callable[[Arrays], Sequence[np.ndarray]],
    feeds: Arrays,
    seeds: Sequence[np.ndarray],
    directions: Mapping[str, np.ndarray],
    step: float,
) -> float:
    """The derivative of the seeds' dot product with the outputs along directions of the inputs."""

    ahead = _total(run, moved(feeds, directions, step), seeds)
    return (ahead - _total(run, moved(feeds, directions, -step), seeds)) / (2.0 * step)


def moved(feeds: Arrays, directions: Mapping[str, np.ndarray], step: float) -> Arrays:
    """Feeds a step further along directions of some of them."""
    return {
        name: np.asarray(x + step * directions[name], x.dtype) if name in directions else x
        for name, x in feeds.items()
    }


def _total(
    run: Callable[[Arrays], Sequence[np.ndarray]], feeds: Arrays, seeds: Sequence[np.ndarray]
) -> float:
    pairs = zip(seeds, run(feeds), strict=True)
    return float(sum(np.vdot(s.astype(np.float64), y.astype(np.float64)) for s, y in pairs))


def in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model with every float of it a double, in subgraphs and functions too."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen_graph(wide.graph)
    for function in wide.functions:
        _widen_nodes(function.node)
    return wide


def _widen_graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = numpy_helper.from_array(np.zeros(1))
            node.attribute.append(onnx.helper.make_attribute("value", zero))
        for attribute in node.attribute:
            _widen_attribute(attribute)


def _widen_attribute(attribute: AttributeProto) -> None:
    if attribute.type == AttributeProto.TENSOR:
        _widen(attribute.t)
    elif attribute.type == AttributeProto.GRAPH:
        _widen_graph(attribute.g)
    elif attribute.name == "to" and attribute.i == TensorProto.FLOAT:
        attribute.i = TensorProto.DOUBLE
    elif attribute.name in {"value_float", "value_floats"}:
        held = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        array = np.asarray(held, np.float64)
        attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(array)))


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        array = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
