"""Operators of old opsets that onnx's converter breaks, each brought to the working opset here.

Such a node waits in a domain of its own, which the converter does not touch, and its adapter
then writes what it means in operators of the working opset. What it was called, it stays called.

Broken are: Hardmax and Resize (silently wrong), Upsample (becomes such a Resize), PRelu's slope
and the `axis` of broadcasting before opset 7 (silently wrong). Cast and comparisons before opset 7,
recurrent operators before 7, LpPool and Split of opset 1, Tile before 6, statistics of each element
in BatchNormalization and what ONNX removed have no conversion. Softmax and LogSoftmax come out
right, but hidden between a Flatten and a Reshape even where one axis was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx
from onnx import helper

from portgrad.graph import walk
from portgrad.graph.known import Known, Shape
from portgrad.graph.opsets.old import SHELTER, Nodes, Old
from portgrad.graph.opsets.removed import REMOVED, removed


def shelter_removed(model: onnx.ModelProto, version: int) -> None:
    """Move what onnx has forgotten to where it asks for no schema, in place."""
    _move(model, [node for node in walk.nodes(model.graph) if removed(node, version)])


def shelter(model: onnx.ModelProto, version: int) -> None:
    """Move the nodes that need an adapter out of the converter's sight, in place."""
    _move(model, [node for node in walk.all_nodes(model) if _needs_adapter(node, version)])


def _move(model: onnx.ModelProto, waiting: list[onnx.NodeProto]) -> None:
    for node in waiting:
        node.domain = SHELTER
    if waiting and all(entry.domain != SHELTER for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(SHELTER, 1))


def _needs_adapter(node: onnx.NodeProto, version: int) -> bool:
    if node.domain or version > _ADAPTERS.get(node.op_type, (0,))[0]:
        return False
    return node.op_type != "BatchNormalization" or _of_each_element(node)


def _of_each_element(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "spatial" and not attribute.i for attribute in node.attribute)


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
    if _is_linear(old):
        return [_sampled(old, x, scales, mode="linear")]
    known = old.known.constant(scales)
    if known is not None and np.all(known >= 1):
        return [_sampled(old, x, scales, nearest_mode="floor")]
    if known is not None and np.all(known <= 1):
        return [_sampled(old, x, scales, nearest_mode="ceil")]
    # Each axis grows or shrinks; where it does not, a scale of 1 leaves it as it is.
    one = old.constant(np.array(1, np.float32), "one")
    growing = old.emit("Max", [scales, one.output[0]], "growing")
    shrinking = old.emit("Min", [scales, one.output[0]], "shrinking")
    grown = old.emit(
        "Resize", [x, "", growing.output[0]], "grown", nearest_mode="floor", **_ASYMMETRIC
    )
    last = _sampled(old, grown.output[0], shrinking.output[0], nearest_mode="ceil")
    return [one, growing, shrinking, grown, last]


def _is_linear(old: Old) -> bool:
    mode = old.attributes.get("mode", "nearest")
    if mode not in {"nearest", "linear", "bilinear"}:
        raise old.refused(f"its mode {mode!r} is neither nearest nor linear")
    return bool(mode != "nearest")


def _upsample(old: Old) -> Nodes:
    """Scales are at least 1: attributes before opset 9, an operand there."""
    attributes = old.attributes
    how = {"mode": "linear"} if _is_linear(old) else {"nearest_mode": "floor"}
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


def _recurrent(old: Old) -> Nodes:
    """Means the same; `output_sequence` said whether there is an output that has a name."""
    node = old.final(old.node.op_type, list(old.node.input))
    node.attribute.extend(a for a in old.node.attribute if a.name != "output_sequence")
    return [node]


def _lp_pool(old: Old) -> Nodes:
    """The exponent was a floating number."""
    given = {"p": 2.0, **old.attributes}
    if given["p"] != int(given["p"]):
        raise old.refused("its exponent p is not whole, which it must be since opset 2")
    return [old.final(old.node.op_type, list(old.node.input), **{**given, "p": int(given["p"])})]


def _pad(old: Old) -> Nodes:
    """The sizes had another name."""
    attributes = old.attributes
    pads = old.constant(np.array(old.required("paddings"), np.int64), "pads")
    value = old.number(attributes.get("value", 0.0), "value")
    operands = [old.node.input[0], pads.output[0], value.output[0]]
    return [pads, value, old.final("Pad", operands, mode=attributes.get("mode", "constant"))]


def _split(old: Old) -> Nodes:
    """The sizes of the parts are an attribute, an operand, or equal."""
    x, *given = old.node.input
    axis, sizes = old.attributes.get("axis", 0), old.attributes.get("split")
    if given and sizes is None:
        sizes = old.known.constant(given[0])
    if sizes is not None:
        whole = old.constant(np.array(sizes, np.int64), "sizes")
        return [whole, old.final("Split", [x, whole.output[0]], axis=axis)]
    if given:
        raise old.refused("the sizes of its parts are not constant")
    return [old.final("Split", [x], axis=axis, num_outputs=len(old.node.output))]


def _tile(old: Old) -> Nodes:
    """So many copies along one axis, both of them floating numbers."""
    x, *given = old.node.input
    copies, axis = (old.known.constant(name) for name in given)
    if copies is None or axis is None:
        raise old.refused("its number of copies or its axis is not constant")
    repeats = np.ones(old.rank(0), np.int64)
    repeats[int(axis.item())] = int(copies.item())
    wanted = old.constant(repeats, "repeats")
    return [wanted, old.final("Tile", [x, wanted.output[0]])]


# What is noted of a node that normalises by given statistics, of which no other operator tells.
GIVEN_STATISTICS = "portgrad.given_statistics"


def _batch_normalization(old: Old) -> Nodes:
    """Statistics of each element of an example, which broadcast from the last axis."""
    if any(old.node.output[1:]) or (old.version < 7 and not old.attributes.get("is_test", 0)):
        raise old.refused("it would compute statistics of the batch")
    x, scale, b, mean, var = old.node.input
    epsilon = old.number(old.attributes.get("epsilon", 1e-5), "epsilon")
    steps = [old.emit("Add", [var, epsilon.output[0]], "variance")]
    steps.append(old.emit("Sqrt", [steps[-1].output[0]], "deviation"))
    steps.append(old.emit("Sub", [x, mean], "centred"))
    steps.append(old.emit("Div", [steps[-1].output[0], steps[-2].output[0]], "normal"))
    steps.append(old.emit("Mul", [steps[-1].output[0], scale], "scaled"))
    final = old.final("Add", [steps[-1].output[0], b])
    final.metadata_props.add(key=GIVEN_STATISTICS, value=old.node.op_type)
    return [epsilon, *steps, final]


# The newest opset at which the converter needs help, and the help.
_ADAPTERS: Mapping[str, tuple[int, Callable[[Old], Nodes]]] = {
    **dict.fromkeys(["Softmax", "LogSoftmax", "Hardmax"], (12, _softmax)),
    "Resize": (10, _resize),
    "Upsample": (9, _upsample),
    "PRelu": (6, _prelu),
    "Cast": (5, _cast),
    **dict.fromkeys(["RNN", "GRU", "LSTM"], (6, _recurrent)),
    **dict.fromkeys(["LpPool", "GlobalLpPool"], (1, _lp_pool)),
    "Pad": (1, _pad),
    "Split": (1, _split),
    "Tile": (5, _tile),
    "BatchNormalization": (8, _batch_normalization),
    **REMOVED,
    **dict.fromkeys("Add Sub Mul Div Pow And Or Xor Equal Greater Less".split(), (6, _broadcast)),
}
