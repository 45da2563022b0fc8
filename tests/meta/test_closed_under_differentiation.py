"""Every operator that a rule emits can be differentiated again, or gives nothing floating."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.bodies import has_body
from portgrad.autodiff.registry import Refused, lookup
from portgrad.autodiff.tensor import FLOATING
from rules.rows import families
from support.rig import case


def _ends_here(node: ir.Node, opsets: dict[str, int]) -> bool:
    schema = schema_of_node(node, opsets)
    entry = lookup(node.domain, node.op_type, schema.since_version if schema else 0)
    known = entry is not None and not isinstance(entry, Refused)
    floating = any(value.dtype in FLOATING for value in node.outputs)
    return floating and not known and not has_body(node, opsets)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("family", families())
def test_rules_emit_what_has_a_rule(family: str, symbolic: bool) -> None:
    missing = {}
    for row in families()[family]:
        which = case(row, np.float32, symbolic=symbolic)
        net = ir.from_proto(which.model)
        graph = gradient_graph(net, wrt=which.wrt, of=which.of, seeds=which.of).model.graph
        for node in graph.all_nodes():
            if _ends_here(node, dict(graph.opset_imports)):
                missing[str(row)] = node.op_type
    assert missing == {}
