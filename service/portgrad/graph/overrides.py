"""Parameters whose values come with a call, and those whose values are built into the net."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

# Floating operands by place from whose values inference tells the sizes of the outputs.
_SIZING: Mapping[str, frozenset[int]] = {
    "OneHot": frozenset({1}),
    "Range": frozenset({0, 1, 2}),
    "Resize": frozenset({2}),
    "Upsample": frozenset({1}),
}


def sizing(graph: ir.Graph) -> dict[str, str]:
    """The initializers of a main graph from which sizes in the net follow, each with the node.

    The shapes that are known of such a net hold for these values alone. What is computed from a
    port too has told inference nothing.
    """
    found: dict[str, str] = {}
    sources = {value: {name} for name, value in graph.initializers.items()}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        read = [sources.get(v, set()) if v is not None else set() for v in node.inputs]
        places = _SIZING.get(node.op_type, frozenset()) if not node.domain else frozenset()
        for name in set().union(*(read[place] for place in places if place < len(read))):
            called = node.name or node.outputs[0].name
            found[name] = f"sizes follow from it at the {node.op_type} node `{called}`"
        if all(v is None or v in sources for v in node.inputs) and not _nests(node):
            sources.update((value, set().union(*read)) for value in node.outputs)
    return found


def _nests(node: ir.Node) -> bool:
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attributes.values())


def overridable(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """The net with some parameters as inputs, after its own input ports.

    Nothing is known of their values then, so nothing can be folded that depends on them.

    Args:
        model: a normalised net, which stays as it was and shares its tensors with the new one.
        names: names of initializers of the main graph.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    for name in names:
        value = copy.graph.initializers.pop(name)
        value.const_value = None
        copy.graph.inputs.append(value)
    return copy
