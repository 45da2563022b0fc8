"""The order in which a graph is computed: a result as soon as what it reads is there.

The runtime goes from the nodes that nothing reads back to what they need, the last one first. In a
gradient graph that put the gradients of all weights off to the end, and with them all values of
the forward pass that they read.
"""

from __future__ import annotations

import onnx_ir as ir


def results_early(graph: ir.Graph) -> None:
    """Have the nodes that nothing reads computed in the order of the graph, in place."""
    _give_out_directly(graph)
    ends = [node for node in graph if not any(value.uses() for value in node.outputs)]
    graph.remove(ends)
    graph.extend(reversed(ends))


def _give_out_directly(graph: ir.Graph) -> None:
    """Give out what a last Identity copies, as the runtime would: its operand's node is the end."""
    copies = []
    for index, value in enumerate(graph.outputs):
        node = value.producer()
        if node is None or node.op_type != "Identity" or node.domain or value.uses():
            continue
        given = node.inputs[0]
        source = None if given is None else given.producer()
        if given is None or source is None or source.graph is not graph or given.is_graph_output():
            continue
        given.type, given.shape = value.type, value.shape
        graph.outputs[index] = given
        node.replace_input_with(0, None)
        copies.append(node)
        given.name = value.name
    graph.remove(copies)
