"""Pools that round up, written as pools that round down, wherever onnx gets their sizes wrong.

Along an axis of size L with extent k = dilation * (kernel - 1) + 1, stride s and padding (b, e), a
pool that rounds up has ceil((L + b + e - k) / s) + 1 windows, but none that begins beyond the image
and its first padding: at most ceil((L + b) / s). Below opset 22 onnx's inference forgets the second
bound. onnxruntime keeps it when it runs and forgets it when it folds a Shape into a constant.

Rounding down with the padding (b, min(e + s, k) - 1) gives the lesser of the two numbers for every
L, and the added padding counts for nothing: neither the runtime nor onnx can go wrong then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph import vocabulary, walk
from portgrad.graph.known import Known

POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})
BOUNDED_SINCE = 22


def mend(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, changed in place.

    Raises:
        InvalidNet: `unsupported_pool`, naming a pool whose output's size onnx and the runtime take
            to be different, where no other pool means the same.
    """
    version = vocabulary.opset(model.opset_import) or BOUNDED_SINCE
    known = Known(model)
    for graph in walk.graphs(model.graph):
        if any(_is_pool(node) for node in graph.node):
            mended = [new for node in graph.node for new in _mended(node, version, known)]
            graph.ClearField("node")
            graph.node.extend(mended)
    return model


def _is_pool(node: onnx.NodeProto) -> bool:
    return node.op_type in POOLS and not node.domain


def _mended(node: onnx.NodeProto, version: int, known: Known) -> Sequence[onnx.NodeProto]:
    if not _is_pool(node):
        return [node]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if given.get("auto_pad") == b"NOTSET":
        del given["auto_pad"]
    same = given.get("auto_pad") in {b"SAME_UPPER", b"SAME_LOWER"}
    if same and math.prod(given.get("dilations", ())) > 1:
        raise _refused(node, "onnxruntime pads without regard to `dilations`")
    if version >= BOUNDED_SINCE or not given.get("ceil_mode", 0):
        return [node]
    if same:  # the size is ceil(L / s) either way
        _set(node, ceil_mode=0)
        return [node]
    return _rounding_down(node, given, known)


def _rounding_down(
    node: onnx.NodeProto, given: dict[str, Any], known: Known
) -> Sequence[onnx.NodeProto]:
    kernel = given["kernel_shape"]
    ones, zeros = [1] * len(kernel), [0] * len(kernel)
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    pads = given.get("pads", zeros + zeros) if "auto_pad" not in given else zeros + zeros
    if not 2 * len(kernel) == 2 * len(strides) == 2 * len(dilations) == len(pads):
        return [node]  # inference refuses it
    begins, ends = pads[: len(kernel)], pads[len(kernel) :]
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if all(e + s <= k for k, s, e in zip(extents, strides, ends, strict=True)):
        return [node]  # every window begins inside
    wide = [min(e + s, k) - 1 for k, s, e in zip(extents, strides, ends, strict=True)]
    before: Sequence[onnx.NodeProto] = []
    if any(pads) and given.get("count_include_pad", 0):
        # What was padding before counts, so it becomes part of the image.
        before = _padding(node, begins, ends, known)
        node.input[0] = before[-1].output[0]
        begins, wide = zeros, [w - e for w, e in zip(wide, ends, strict=True)]
    if any(w >= k for w, k in zip(wide, kernel, strict=True)):
        raise _refused(node, "its strides lead beyond the image")
    _set(node, ceil_mode=0, count_include_pad=0, auto_pad=None, pads=[*begins, *wide])
    return [*before, node]


def _padding(
    node: onnx.NodeProto, begins: list[int], ends: list[int], known: Known
) -> Sequence[onnx.NodeProto]:
    """Zeros around the image, as nodes of their own."""
    pads, padded = (known.fresh(f"{node.output[0]}_{role}") for role in ("pads", "padded"))
    sizes = numpy_helper.from_array(np.array([0, 0, *begins, 0, 0, *ends], np.int64))
    return [
        helper.make_node("Constant", [], [pads], pads, value=sizes),
        helper.make_node("Pad", [node.input[0], pads], [padded], padded),
    ]


def _set(node: onnx.NodeProto, **values: Any) -> None:
    """Give attributes other values; None, and what was not there to be 0, is left out."""
    had = {attribute.name for attribute in node.attribute}
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    wanted = {k: v for k, v in values.items() if v or (v is not None and k in had)}
    node.ClearField("attribute")
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(k, v) for k, v in wanted.items())


def _refused(node: onnx.NodeProto, why: str) -> InvalidNet:
    return InvalidNet(
        f"onnx and onnxruntime give this {node.op_type} different sizes: {why}.",
        code="unsupported_pool",
        where=f"node `{walk.called(node)}` ({node.op_type})",
        remedy="Export the net again with opset 22 or newer, with `pads` and no `auto_pad`.",
    )
