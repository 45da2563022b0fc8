"""The ones that a default gradient begins with, in small graphs: the runtime may not fold them.

It folds products by other kernels than it runs, which do not pack weights and add up in another
order: a gradient would differ in its last bits from that of the same ones imposed.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.graph.constants import hold

_FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE}


def keep_ones(graph: ir.Graph) -> None:
    """Make inputs with a default of nodes that fill known shapes with ones, in place."""
    for node in [node for node in graph if node.op_type == "ConstantOfShape"]:
        shape = None if node.inputs[0] is None else node.inputs[0].const_value
        filled, value = node.outputs[0], node.attributes.get("value")
        if shape is None or value is None or filled.dtype not in _FLOATS:
            continue
        one = value.as_tensor().numpy()
        if one.item() != 1.0 or filled.is_graph_output():
            continue
        ones = hold(graph, f"{filled.name}/ones", np.ones(shape.numpy(), one.dtype))
        graph.inputs.append(ones)
        ir.convenience.replace_all_uses_with(filled, ones)
        graph.remove(node, safe=True)
