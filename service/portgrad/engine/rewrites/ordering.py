"""The order in which a graph is computed: a result as soon as what it reads is there.

The runtime goes from the nodes that nothing reads back to what they need, the last one first. In a
gradient graph that put the gradients of all weights off to the end, and with them all values of
the forward pass that they read. The gradient of what layers share is a sum over them: each layer's
part of it is small and is computed with the layer.
"""

from __future__ import annotations

import onnx_ir as ir


def results_early(graph: ir.Graph) -> None:
    """Have the nodes that nothing reads computed in the order of the graph, in place."""
    _give_out_directly(graph)
    _add_up_early(graph)
    ends = [node for node in graph if not any(value.uses() for value in node.outputs)]
    graph.remove(ends)
    graph.extend(reversed(ends))


def _add_up_early(graph: ir.Graph) -> None:
    """Have the terms of a long sum computed, and added, where the graph has them."""
    places = {node: place for place, node in enumerate(graph)}
    for step in [node for node in graph if _in_a_row(node)]:
        total, term = (value.producer() for value in step.inputs if value is not None)
        if total not in places or term not in places:  # of a graph around this one
            continue
        latest = max(total, term, key=places.__getitem__)
        places[step] = places[latest]
        graph.remove(step)
        graph.insert_after(latest, step)
        graph.insert_after(total, _end(step.inputs[0]))


def _in_a_row(node: ir.Node) -> bool:
    """Whether it is one of several that make one sum."""
    return _goes_on(node) or (_adds(node) and any(map(_goes_on, _users(node))))


def _goes_on(node: ir.Node) -> bool:
    """Whether a node adds to what another one adds up for it alone."""
    total = node.inputs[0] if _adds(node) else None
    before = None if total is None else total.producer()
    return before is not None and _adds(before) and len(_users(before)) == 1


def _adds(node: ir.Node) -> bool:
    """Whether it adds what was computed; not a bias, which the runtime fuses with a product."""
    if node.op_type != "Add" or node.domain:
        return False
    return all(value is not None and value.producer() for value in node.inputs)


def _users(node: ir.Node) -> list[ir.Node]:
    return [user for user, _ in node.outputs[0].uses()]


def _end(value: ir.Value | None) -> ir.Node:
    """A node that nothing reads, and that costs nothing: it has a value computed by its turn."""
    assert value is not None
    end = ir.Node("", "Flatten", [value], [ir.AttrInt64("axis", 0)], num_outputs=1)
    end.outputs[0].name, end.outputs[0].type = f"{value.name}/by-its-turn", value.type
    return end


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
