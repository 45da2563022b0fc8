"""Operators of old opsets that onnx's converter breaks, each brought to the working opset here.

Such a node waits in a domain of its own, which the converter does not touch, and its adapter
then writes what it means in operators of the working opset. What it was called, it stays called.

Broken are: Hardmax and Resize (silently wrong), Upsample (becomes such a Resize), PRelu's slope
and the `axis` of broadcasting before opset 7 (silently wrong), Cast and comparisons before opset 7
(no conversion). Softmax and LogSoftmax come out right, but hidden between a Flatten and a Reshape
even where one axis was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.known import Known, Shape

SHELTER = "portgrad.shelter"

Nodes = list[onnx.NodeProto]


@dataclass(frozen=True)
class Old:
    """A node of an old opset that waits for its adapter."""

    node: onnx.NodeProto
    version: int
    known: Known

    @property
    def attributes(self) -> dict[str, Any]:
        """The node's attributes as Python values, strings as text."""
        read = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        return {k: v.decode() if isinstance(v, bytes) else v for k, v in read.items()}

    def rank(self, index: int) -> int:
        """The rank of an operand."""
        rank = self.known.rank(self.node.input[index])
        if rank is None:
            raise self.refused(f"the rank of its operand `{self.node.input[index]}` is not known")
        return rank

    def refused(self, why: str) -> InvalidNet:
        """The error that this node cannot be adapted."""
        return refused(self.node, self.version, why)

    def emit(self, op: str, inputs: list[str], role: str, **attributes: Any) -> onnx.NodeProto:
        """A helper node, named after this one and its role."""
        output = self.known.fresh(f"{self.node.output[0]}_{role}")
        return helper.make_node(op, inputs, [output], output, **attributes)

    def constant(self, array: np.ndarray[Any, Any], role: str) -> onnx.NodeProto:
        """A Constant node."""
        return self.emit("Constant", [], role, value=numpy_helper.from_array(array))

    def final(self, op: str, inputs: list[str], **attributes: Any) -> onnx.NodeProto:
        """The node that takes this one's place, name and output."""
        return helper.make_node(op, inputs, self.node.output, self.node.name, **attributes)


def shelter(model: onnx.ModelProto, version: int) -> None:
    """Move the nodes that need an adapter out of the converter's sight, in place."""
    waiting = [
        node
        for node in walk.all_nodes(model)
        if not node.domain and version <= _ADAPTERS.get(node.op_type, (0,))[0]
    ]
    for node in waiting:
        node.domain = SHELTER
    if waiting:
        model.opset_import.append(helper.make_opsetid(SHELTER, 1))


def adapt(model: onnx.ModelProto, version: int, known: Known) -> None:
    """Replace the nodes that wait by operators of the working opset, in place.

    Raises:
        InvalidNet: `unsupported_opset` if a node has no equivalent.
    """
    for graph in walk.graphs(model.graph):
        if any(node.domain == SHELTER for node in graph.node):
            replaced = [new for node in graph.node for new in _replacement(node, version, known)]
            graph.ClearField("node")
            graph.node.extend(replaced)
    kept = [entry for entry in model.opset_import if entry.domain != SHELTER]
    model.ClearField("opset_import")
    model.opset_import.extend(kept)


def refused(node: onnx.NodeProto, version: int, why: str) -> InvalidNet:
    """The error that a node has no equivalent in the working opset."""
    return InvalidNet(
        f"{node.op_type} as opset {version} means it cannot be converted: {why}.",
        code="unsupported_opset",
        where=f"node `{walk.called(node)}` ({node.op_type})",
        found=f"opset {version}",
        remedy="Export the net again with opset 13 or newer.",
    )


def _replacement(node: onnx.NodeProto, version: int, known: Known) -> Iterable[onnx.NodeProto]:
    if node.domain != SHELTER:
        return [node]
    _, adapter = _ADAPTERS[node.op_type]
    return adapter(Old(node, version, known))


def _softmax(old: Old) -> Nodes:
    """All axes from `axis` on count as one; since opset 13 it is `axis` alone."""
    x, op = old.node.input[0], old.node.op_type
    axis = old.attributes.get("axis", 1)
    if _is_alone(axis, old.known.shape(x)):
        return [old.final(op, [x], axis=axis)]
    shape = old.emit("Shape", [x], "shape")
    flat = old.emit("Flatten", [x], "flat", axis=axis)
    one = old.emit(op, [flat.output[0]], op.lower(), axis=-1)
    return [shape, flat, one, old.final("Reshape", [one.output[0], shape.output[0]], allowzero=1)]


def _is_alone(axis: int, shape: Shape | None) -> bool:
    """Whether an axis and all after it hold the same elements as the axis itself."""
    if shape is None:
        return axis == -1
    return -len(shape) <= axis < len(shape) and all(size == 1 for size in shape[axis:][1:])


def _resize(old: Old) -> Nodes:
    """Opset 10 samples at x / scale and, for nearest, rounds up where it shrinks, else down."""
    x, scales = old.node.input
    if old.attributes.get("mode", "nearest") == "linear":
        return [_sampled(old, x, scales, mode="linear")]
    known = old.known.constant(scales)
    if known is None:
        raise old.refused("its scales are not constant, and they decide how it rounds")
    if np.all(known >= 1):
        return [_sampled(old, x, scales, nearest_mode="floor")]
    if np.all(known <= 1):
        return [_sampled(old, x, scales, nearest_mode="ceil")]
    growing = old.constant(np.maximum(known, 1), "growing")
    shrinking = old.constant(np.minimum(known, 1), "shrinking")
    grown = old.emit(
        "Resize", [x, "", growing.output[0]], "grown", nearest_mode="floor", **_ASYMMETRIC
    )
    last = _sampled(old, grown.output[0], shrinking.output[0], nearest_mode="ceil")
    return [growing, shrinking, grown, last]


def _upsample(old: Old) -> Nodes:
    """Scales are at least 1: attributes before opset 9, an operand there."""
    attributes = old.attributes
    linear = attributes.get("mode", "nearest") in {"linear", "bilinear"}
    how = {"mode": "linear"} if linear else {"nearest_mode": "floor"}
    if len(old.node.input) > 1:
        return [_sampled(old, old.node.input[0], old.node.input[1], **how)]
    if old.version < 7:
        factors = [1, 1, attributes["height_scale"], attributes["width_scale"]]
    else:
        factors = attributes["scales"]
    scales = old.constant(np.array(factors, np.float32), "scales")
    return [scales, _sampled(old, old.node.input[0], scales.output[0], **how)]


_ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric"}


def _sampled(old: Old, x: str, scales: str, **how: str) -> onnx.NodeProto:
    return old.final("Resize", [x, "", scales], **how, **_ASYMMETRIC)


def _broadcast(old: Old) -> Nodes:
    """Before opset 7 the second operand's axes lie from `axis` on; without it they are the last."""
    a, b = old.node.input
    if "axis" not in old.attributes or not old.attributes.get("broadcast", 0):
        return [old.final(old.node.op_type, [a, b])]
    rank = old.rank(0)
    after = rank - old.attributes["axis"] % rank - old.rank(1)
    return _aligned(old, after)


def _prelu(old: Old) -> Nodes:
    """Before opset 7 the slope has one entry for each channel, or one for all."""
    slopes = old.known.shape(old.node.input[1])
    if slopes == [1]:
        return [old.final("PRelu", list(old.node.input))]
    if slopes is None:
        raise old.refused(f"the shape of its slope `{old.node.input[1]}` is not known")
    return _aligned(old, max(old.rank(0) - 1 - len(slopes), 0))


def _aligned(old: Old, after: int) -> Nodes:
    """The operator on two operands, the second with so many axes of size 1 put after its own."""
    a, b = old.node.input
    if after <= 0:
        return [old.final(old.node.op_type, [a, b])]
    axes = old.constant(np.arange(-after, 0), "axes")
    wide = old.emit("Unsqueeze", [b, axes.output[0]], "wide")
    return [axes, wide, old.final(old.node.op_type, [a, wide.output[0]])]


def _cast(old: Old) -> Nodes:
    """Before opset 6 the type is written as a word."""
    to = onnx.TensorProto.DataType.Value(old.attributes["to"].upper())
    return [old.final("Cast", list(old.node.input), to=to)]


def _scan(old: Old) -> Nodes:
    raise old.refused("its batch axis and sequence lengths are gone since opset 9")


# The newest opset at which the converter needs help, and the help.
_ADAPTERS: Mapping[str, tuple[int, Callable[[Old], Nodes]]] = {
    **dict.fromkeys(["Softmax", "LogSoftmax", "Hardmax"], (12, _softmax)),
    "Resize": (10, _resize),
    "Upsample": (9, _upsample),
    "Scan": (8, _scan),
    "PRelu": (6, _prelu),
    "Cast": (5, _cast),
    **dict.fromkeys("Add Sub Mul Div Pow And Or Xor Equal Greater Less".split(), (6, _broadcast)),
}
