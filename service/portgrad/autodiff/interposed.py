"""A node put between a value and all that reads it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from portgrad.autodiff.emitter import free_prefix


def interpose(graph: ir.Graph, value: ir.Value, node: ir.Node, fresh: str) -> ir.Value:
    """Let all that reads a value read what a node makes of it.

    Args:
        graph: the main graph, which has no outputs meanwhile.
        value: one of its values.
        node: a new node, whose first operand becomes the value.
        fresh: a name that the graph does not have.

    Returns:
        The node's output. Of a computed value it takes over the name.
    """
    made = node.outputs[0]
    made.name, made.type, made.shape = fresh, value.type, value.shape
    ir.convenience.replace_all_uses_with(value, made)
    node.replace_input_with(0, value)
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], node) if len(graph) else graph.append(node)
    else:  # what is asked for by the name of the value is what was made of it
        made.name, value.name = value.name, fresh
        graph.insert_after(producer, node)
    return made


def detached(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """A net in which inner values are copies of what their nodes compute.

    The rule of a node may read the node's own output (that of Tanh does). Who moves a value moves
    it for all that reads it after that node, and not the node's derivative.

    Args:
        model: a net; it stays as it was and shares its tensors with the new one.
        names: names of values; others than inner values are passed over.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    graph, prefix, wanted = copy.graph, free_prefix(copy.graph), set(names)
    inner = [v for node in graph for v in node.outputs if v.name in wanted]
    ends = list(graph.outputs)
    graph.outputs.clear()
    copies = {
        value: interpose(graph, value, ir.Node("", "Identity", [value]), f"{prefix}{value.name}")
        for value in inner
    }
    graph.outputs.extend(copies.get(value, value) for value in ends)
    return copy
