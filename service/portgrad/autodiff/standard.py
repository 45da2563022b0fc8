"""A graph of standard operators alone: others are replaced by what they are made of.

A compiled graph holds operators of the runtime's own where the net does and no gradient goes
through them, or where a rule keeps their kernel. A file for any runtime must do without.
"""

from __future__ import annotations

from typing import NoReturn

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, RemoveUnusedOpsetsPass

from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.bodies import expand
from portgrad.autodiff.registry import Body, lookup, meaning
from portgrad.autodiff.sweep import UNSAID, described, label
from portgrad.errors import Unsupported

# Domains that the ONNX standard defines.
STANDARD = frozenset({"", "ai.onnx.ml"})


def standardise(model: ir.Model) -> None:
    """Replace each operator that is none of the standard's, in place.

    Raises:
        Unsupported: `not_standard` where one cannot be said in standard operators.
    """
    opsets = dict(model.graph.opset_imports)
    while foreign := [node for node in model.graph.all_nodes() if _is_foreign(node)]:
        sayable = [node for node in foreign if _is_said(node, opsets)]
        if not sayable:
            _refuse(foreign[0])
        expand(model, sayable)
        RemoveUnusedNodesPass()(model)
    RemoveUnusedOpsetsPass()(model)


def _is_foreign(node: ir.Node) -> bool:
    # Some of the runtime's own operators lie in the default domain.
    return node.domain not in STANDARD or meaning(node.domain, node.op_type) is not None


def _is_said(node: ir.Node, opsets: dict[str, int]) -> bool:
    """Whether a node has a body, in the whole or in what of it is still read."""
    if UNSAID in node.meta:
        return False
    if meaning(node.domain, node.op_type) is not None:
        return True
    schema = schema_of_node(node, opsets)
    entry = lookup(node.domain, node.op_type, schema.since_version if schema else 0)
    return isinstance(entry, Body)


def _refuse(node: ir.Node) -> NoReturn:
    raise Unsupported(
        f"The {described(node)} cannot be said in standard operators, of which a file consists.",
        code="not_standard",
        where=label(node),
        expected="operators of ai.onnx and ai.onnx.ml, or such as are made of them",
        found=f"{node.domain or 'ai.onnx'}.{node.op_type}",
        remedy="Compute this gradient here, or export the net without this operator: "
        "onnxruntime's optimizer puts such in at ORT_ENABLE_EXTENDED and above.",
    )
