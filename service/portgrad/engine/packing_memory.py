"""What large weights take beside themselves: whether the runtime should pack them.

Packed, it holds a second copy of each weight, in blocks.

Packing pays where few rows meet a weight: with 512 rows products take 1 to 9 % longer without it.
For all gradients of BERT-base that is 5 % of the time, for 650 MB, which is more than the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

_MANY = 128  # rows from which on packing gains next to nothing
_LARGE = 2**25  # bytes of weights for which memory matters


def pays(graph: ir.Graph, nodes: Sequence[ir.Node]) -> bool:
    """Whether packing pays for a graph.

    Not where most of many large weights meet many rows, and the answer is about as large as they.
    """
    sizes: dict[ir.Value, int] = {}
    rows: dict[ir.Value, int] = {}
    for node in nodes:
        weight = node.inputs[1] if node.op_type in {"MatMul", "Gemm"} and not node.domain else None
        if weight is not None and weight.const_value is not None and len(weight.shape or ()) == 2:
            sizes[weight] = weight.const_value.nbytes
            rows[weight] = max(rows.get(weight, 0), _rows(node))
    many = sum(size for weight, size in sizes.items() if rows[weight] >= _MANY)
    answer = _answer(graph)
    return many < _LARGE or 2 * many < sum(sizes.values()) or 2 * answer < many


def _answer(graph: ir.Graph) -> int:
    return sum(4 * math.prod(known(value)) for value in graph.outputs)


def _rows(node: ir.Node) -> int:
    """How many rows a node multiplies with its weight at least."""
    turned = node.attributes.get("transA")
    return 1 if turned is not None and turned.as_int() else least_rows(node.inputs[0])


def least_rows(value: ir.Value | None) -> int:
    """How many rows a stack of matrices has at least: an open size counts as 1."""
    dims = known(value)
    if len(dims) < 2:
        return 1
    maker = None if value is None else value.producer()
    if dims[0] == 1 and maker is not None and maker.op_type == "Reshape" and not maker.domain:
        return math.prod(known(maker.inputs[0])) // max(dims[-1], 1)
    return math.prod(dims[:-1])


def known(value: ir.Value | None) -> list[int]:
    """The sizes of a value, 1 for each that is open."""
    shape = () if value is None or value.shape is None else value.shape
    return [size if isinstance(size, int) else 1 for size in shape]
