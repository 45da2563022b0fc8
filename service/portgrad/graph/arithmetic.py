"""Integer arithmetic on constants: sizes, positions and axes that are known before a net runs."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from portgrad.graph import walk

Array = np.ndarray[Any, Any]

# What is read to tell a rank or a size is short; tables of indices need not be computed with.
_LONGEST = 1024


def _all(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: functools.reduce(function, operands)


def _mod(a: Array, b: Array, fmod: int = 0) -> Array:
    return np.asarray(np.fmod(a, b) if fmod else np.mod(a, b))


def _reshape(data: Array, shape: Array, allowzero: int = 0) -> Array:
    kept = [n if n or allowzero else data.shape[i] for i, n in enumerate(shape.tolist())]
    return data.reshape(kept)


INTEGER: Mapping[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Div": lambda a, b: np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b),  # towards zero
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "Max": _all(np.maximum),
    "Min": _all(np.minimum),
    "Mod": _mod,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Sign": np.sign,
    "Sub": np.subtract,
    "Where": np.where,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "Gather": lambda data, indices, axis=0: np.take(data, indices, axis),
    "Reshape": _reshape,
    "Squeeze": lambda data, axes: np.squeeze(data, tuple(axes.tolist())),
    "Unsqueeze": lambda data, axes: np.expand_dims(data, tuple(axes.tolist())),
}


_MOVING = frozenset({"Concat", "Reshape", "Squeeze", "Unsqueeze"})
_LARGEST = 2**22


def is_small(op_type: str, operands: Sequence[Array]) -> bool:
    """Whether a result is small enough to be held: operands may have axes of their own each."""
    if op_type in _MOVING:
        return sum(operand.size for operand in operands) <= _LARGEST
    if op_type == "Gather":
        return math.prod(operand.size for operand in operands) <= _LARGEST
    try:
        return math.prod(np.broadcast_shapes(*(x.shape for x in operands))) <= _LARGEST
    except ValueError:
        return False  # the run's to refuse


def computed(model: onnx.ModelProto) -> dict[int, onnx.NodeProto]:
    """Constants that nodes of the graph amount to, by their places in `walk.all_nodes`.

    onnx's inference follows some operators on sizes and not others: after a Mod, which torch
    writes for an axis counted from the end, it loses even ranks. A name of two branches counts as
    unknown, and so does what fails.
    """
    nodes = list(walk.nodes(model.graph))
    times = Counter(name for node in nodes for name in node.output)
    known = _given(model, nodes)
    found = {}
    for place, node in enumerate(nodes):
        value = _value(node, known)
        if value is not None and times[node.output[0]] == 1:
            known[node.output[0]] = value
            tensor = numpy_helper.from_array(value)
            found[place] = helper.make_node("Constant", [], node.output, node.name, value=tensor)
    return found


def _given(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> dict[str, Array]:
    """Short integer tensors that the file holds."""
    held = [(t.name, t) for graph in walk.graphs(model.graph) for t in graph.initializer]
    held += [
        (node.output[0], attribute.t)
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    times = Counter(name for name, _ in held)
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in held
        if times[name] == 1 and _short(tensor)
    }


def _short(tensor: onnx.TensorProto) -> bool:
    whole = tensor.data_type in {onnx.TensorProto.INT64, onnx.TensorProto.INT32}
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    return whole and not outside and int(np.prod(tensor.dims)) <= _LONGEST


def _value(node: onnx.NodeProto, known: Mapping[str, Array]) -> Array | None:
    if node.domain or node.op_type not in INTEGER or not all(x in known for x in node.input):
        return None
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    operands = [known[x] for x in node.input]
    if not is_small(node.op_type, operands):
        return None
    try:
        with np.errstate(all="raise"):
            value = np.asarray(INTEGER[node.op_type](*operands, **attributes))
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return None  # inference or the runtime will say what is wrong
    return value if value.size <= _LONGEST else None
