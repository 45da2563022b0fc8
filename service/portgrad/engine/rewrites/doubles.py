"""Nodes in float64 that the runtime has no kernel for: said in operators that have one.

A kernel that computes in float32 inside, or refuses when it runs, is none.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from portgrad.autodiff.binding import has_function_body, schema_of_node
from portgrad.autodiff.doubles import in_other_operators
from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.registry import in_double
from portgrad.engine.rewrites.kernels import has_kernel
from portgrad.graph.pruning import prune

_DOUBLE = ir.DataType.DOUBLE


def say(model: ir.Model) -> None:
    """Put other operators in the place of such nodes of a model, in place.

    Raises:
        Unsupported: `no_float64` where a node uses its operator in a way that is not said.
    """
    opsets = dict(model.graph.opset_imports)
    some = False
    while found := [node for node in with_inner(model.graph) if _lacks_kernel(node, opsets)]:
        in_other_operators(model, found)
        some = True
    if some:
        prune(model)


def left_out(nodes: Iterable[ir.Node]) -> list[str]:
    """The optimizers that fail on nodes in float64, or make ones that the runtime refuses then.

    Seen in 1.32.
    """
    wide = any(v.dtype == _DOUBLE for node in nodes for v in node.outputs)
    return ["FuseReluClip", "MatMulIntegerToFloatFusion"] if wide else []


def _lacks_kernel(node: ir.Node, opsets: dict[str, int]) -> bool:
    """Whether a node in float64 has no kernel, and there is something to put in its place."""
    values = (*node.inputs, *node.outputs)
    if not any(value is not None and value.dtype == _DOUBLE for value in values):
        return False
    said, schema = in_double(node.domain, node.op_type), schema_of_node(node, opsets)
    if schema is None or (said is None and (node.domain or not has_function_body(schema))):
        return False
    instead = said is not None and said[1]
    return instead or not has_kernel(node, opsets.get(node.domain, 1), _DOUBLE)
