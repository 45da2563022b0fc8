"""Whether the runtime should reorder weights for its products before the first run.

It does so by default, which pays with many rows. For a product of one row every weight is read once
and no more: a packed copy is as long to read, twice the memory, and much slower where the weight is
narrow. Measured on onnxruntime 1.32: 7.1 ms packed and 2.6 ms as it is for 1 x 1,000,000 by 8;
about the same for 784-2048-2048-10; the other way round from two rows on. Small weights, which the
first cache holds, are read faster packed, too: 0.35 microseconds and 0.50 for 1 x 50 by 50, the
same from 1 x 256 by 256 on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import onnx_ir as ir

# Operators that read a weight as it is, whatever is said.
_NEVER_PACK = {"Add", "Div", "Mul", "Sub"}
_SMALL = 2**17  # bytes


def is_in_vain(nodes: Iterable[ir.Node], weights: Collection[str]) -> bool:
    """Whether the nodes do no more with these weights, if large, than multiply one row by them."""
    uses = [
        _in_vain(node, position)
        for node in nodes
        for position, value in enumerate(node.inputs)
        if value is not None and value.name in weights and _bytes(value) > _SMALL
    ]
    return bool(uses) and all(uses)


def _bytes(weight: ir.Value) -> int:
    return 0 if weight.const_value is None else weight.const_value.nbytes


def _in_vain(node: ir.Node, position: int) -> bool:
    if node.op_type in {"Gemm", "MatMul"} and node.domain == "":
        return position == 2 or (position == 1 and _rows(node) == 1)
    return node.op_type in _NEVER_PACK and node.domain == ""


def _rows(node: ir.Node) -> int | None:
    """Those of the first operand of a product, where they are known."""
    operand = node.inputs[0]
    if operand is None or operand.shape is None:
        return None
    dims = list(operand.shape.dims)
    turned = node.attributes.get("transA")
    rows = dims[1:] if turned is not None and turned.as_int() else dims[:-1]
    known = [size for size in rows if isinstance(size, int)]
    return math.prod(known) if len(known) == len(rows) else None
