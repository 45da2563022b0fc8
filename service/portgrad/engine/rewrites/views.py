"""Parts of a padded image, each made in one copy of the image itself: padded and cut at once.

A kernel's gradient reads such parts. The padded image is as large as each of them, and is not made.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.engine.arrays import Array
from portgrad.engine.rewrites.writing import Writer
from portgrad.graph.constants import constant_value

# Columns from which on it pays: Pad takes twice as long as Slice with fewer. In CPU-ms, for a part:
# 4 images of 64 channels of 56² 0.20 and 0.11, one of 32 channels of 256² 0.34 and 0.29.
_MANY = 64


def of_images(graph: ir.Graph) -> None:
    """Have them made so where nothing reads the whole padded image, in place."""
    for pad in [node for node in graph if node.op_type == "Pad" and not node.domain]:
        image, padded, margins = pad.inputs[0], pad.outputs[0], _margins(pad)
        parts = list(dict.fromkeys(user for user, _ in padded.uses()))
        if image is None or margins is None or not parts or padded.is_graph_output():
            continue
        left = [found for part in parts if (found := _left(part, padded, margins)) is not None]
        if len(left) == len(parts):
            for part, around in zip(parts, left, strict=True):
                _at_once(part, image, around)
            graph.remove(pad, safe=True)


def _margins(pad: ir.Node) -> Array | None:
    """How many zeros come before and after each axis, (2, rank); None where that is not known."""
    image, pads, value, axes = [*pad.inputs, None, None][:4]
    mode, given, which = pad.attributes.get("mode"), constant_value(pads), constant_value(axes)
    zeros = value is None and (mode is None or mode.as_string() == "constant")
    if image is None or image.shape is None or given is None or not zeros:
        return None
    if axes is not None and which is None:
        return None
    margins = np.zeros((2, len(image.shape)), np.int64)
    margins[:, slice(None) if which is None else which] = given.reshape(2, -1)
    return margins


def _left(part: ir.Node, padded: ir.Value, margins: Array) -> Array | None:
    """The margins that a Slice leaves, below 0 where it cuts the image; None if it is none such."""
    given = [constant_value(value) for value in part.inputs[1:]]
    slices = part.op_type == "Slice" and not part.domain and part.inputs[0] is padded
    if not slices or part.outputs[0].is_graph_output() or padded.shape is None or len(given) < 3:
        return None
    starts, ends, axes, *steps = given
    if starts is None or ends is None or axes is None or not all(map(_are_ones, steps)):
        return None
    if not isinstance(padded.shape[-1], int) or padded.shape[-1] < _MANY:
        return None
    left = margins.copy()
    for start, end, axis in zip(starts, ends, axes, strict=True):
        size = padded.shape[int(axis)]
        if not isinstance(size, int):
            return None
        cut, (before, after) = range(size)[start:end], margins[:, axis]
        if max(cut.start, before) >= min(cut.stop, size - after):  # nothing of the image
            return None
        left[:, axis] -= cut.start, size - cut.stop
    return left


def _are_ones(steps: Array | None) -> bool:
    return steps is not None and bool((steps == 1).all())


def _at_once(part: ir.Node, image: ir.Value, margins: Array) -> None:
    """Put the image with these margins in the place of a Slice."""
    view, old = image, part.outputs[0]
    if margins.any():
        write = Writer(part, f"{old.name}/at-once")
        pads, dtype = write.ints(*margins.ravel()), image.dtype or ir.DataType.FLOAT
        view = write.node("Pad", image, pads, dtype=dtype, shape=old.shape)
    old.replace_all_uses_with(view)
    graph = part.graph
    assert graph is not None
    graph.remove(part, safe=True)
