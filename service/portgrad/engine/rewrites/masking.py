"""Masks of matrices, as of a layer's relu, times what they mask: in the kernel that takes bytes.

Only where no transposition can reach a mask. The runtime's optimizer moves transpositions on
through elementwise nodes, and does not know of scales that are as many as elements.
"""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.infer import dims_of
from portgrad.autodiff.symbols import credible
from portgrad.engine.rewrites.channels.masks import masked, parts
from portgrad.engine.rewrites.writing import Writer
from portgrad.graph.pruning import drop_unread

_WIDE = 32  # columns: over fewer the kernel is done with a row before it gains anything
_PRODUCTS = frozenset("Gemm MatMul".split())
_ELEMENTWISE = frozenset(
    "Add And BatchNormalization Cast Clip Constant Equal Greater GreaterOrEqual Less LessOrEqual "
    "Mul Not Or Relu Sub Xor".split()
)


def by_bytes(graph: ir.Graph) -> None:
    """Replace such products of a graph in float32, in place."""
    found = [node for node in graph if _serves(node)]
    if not found:
        return
    fixed, believed = _fixed(graph), credible(graph)
    for node in found:
        pair, rows = parts(node), (dims_of(node.inputs[0]) or [None])[0]
        if pair is None or pair[1] not in fixed or not (believed or isinstance(rows, int)):
            continue
        old = node.outputs[0]
        made = masked(Writer(node, f"{old.name}/masked"), *pair)
        casts = [v.producer() for v in node.inputs if v is not None]
        ir.convenience.replace_nodes_and_values(graph, node, [node], [], [old], [made])
        drop_unread(casts)


def _serves(node: ir.Node) -> bool:
    """Whether a node multiplies a matrix by a mask of its shape, and the kernel gains by it."""
    if node.op_type != "Mul" or node.domain or parts(node) is None:
        return False
    dims, others = (dims_of(value) for value in node.inputs)
    if dims is None or dims != others or len(dims) != 2 or dims[0] is None:
        return False
    return isinstance(dims[1], int) and dims[1] >= _WIDE


def _fixed(graph: ir.Graph) -> set[ir.Value]:
    """The values that no transposition is moved to.

    It stops at a product of matrices, since no transposition of the result is the same.
    """
    found = {*graph.inputs, *graph.initializers.values()}
    for node in graph:
        stops = node.op_type in _PRODUCTS and all(map(_matrix, node.inputs[:2]))
        passes = node.op_type in _ELEMENTWISE and found.issuperset(filter(None, node.inputs))
        if not node.domain and (stops or passes):
            found.update(node.outputs)
    return found


def _matrix(value: ir.Value | None) -> bool:
    return len(dims_of(value) or []) == 2
