"""Names in subgraphs. Those that do not see each other may use the same ones; here they get others.

onnx's inference takes values of one name for one value, and so does whoever looks up a shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import onnx
import onnx_ir as ir

from portgrad.graph import walk
from portgrad.graph.check import read


def unshared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which no two values have one name.

    Parameters of subgraphs keep theirs, by which users ask for them.
    """
    taken: set[str] = set()
    shared = False
    for graph in walk.graphs(model.graph):
        inputs = {info.name for info in graph.input}
        made = [name for node in graph.node for name in node.output if name]
        shared = shared or not taken.isdisjoint((*inputs, *made))
        taken.update(inputs, made, (tensor.name for tensor in graph.initializer))
    if not shared:
        return model
    net = read(model)
    tell_apart(net.graph, lambda name: _free(name, taken), parameters=False)
    return ir.to_proto(net)


def _free(name: str, taken: set[str]) -> str:
    found = next(n for i in itertools.count(1) if (n := f"{name}_{i}") not in taken)
    taken.add(found)
    return found


def tell_apart(graph: ir.Graph, fresh: Callable[[str], str], *, parameters: bool) -> None:
    """Rename what lies in subgraphs under a name that another value has, in place.

    Args:
        graph: the main graph, whose own names stay.
        fresh: gives names that nothing else has.
        parameters: whether initializers are renamed too.
    """
    taken = set(_names((*graph.inputs, *graph.initializers.values())))
    taken.update(name for node in graph for name in _names(node.outputs))
    for inner in graph.subgraphs():
        for node in inner:
            # What users know it by, whatever its output will be called.
            node.name = node.name or next(iter(_names(node.outputs)), None)
        held = list(inner.initializers.values())
        if not parameters:
            taken.update(_names(held))
        made = (value for node in inner for value in node.outputs)
        for value in (*inner.inputs, *made, *(held if parameters else ())):
            if value.name and value.name in taken:
                value.name = fresh(value.name)
            taken.update(_names([value]))


def _names(values: Iterable[ir.Value]) -> list[str]:
    return [value.name for value in values if value.name]
