"""What is not believed of the shapes of sequences' elements.

onnx gives all elements of a sequence one shape, so that two of different sizes come out of it with
the same symbol: after `SplitToSequence` with a rest, say. Rules would take them for equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from portgrad.graph import walk

Dimension = onnx.TensorShapeProto.Dimension


def forget_declared(model: onnx.ModelProto) -> None:
    """Sizes that a file declares of elements become unknown, in place; ranks are believed.

    Numbers are believed of input ports. What a SequenceMap's body takes are elements, too.
    """
    ports = {id(info) for info in model.graph.input}
    for graph in walk.graphs(model.graph):
        for info in (*graph.input, *graph.output):
            for dim in _of_elements(info.type):
                dim.ClearField("dim_param")
                if id(info) not in ports:
                    dim.Clear()
    for node in walk.nodes(model.graph):
        if node.op_type == "SequenceMap" and node.domain == "":
            for graph in walk.subgraphs(node):
                for info in graph.input:
                    _clear_symbols(info.type.tensor_type.shape.dim)


def forget_inferred(model: onnx.ModelProto) -> None:
    """Symbols that only elements have become unknown, wherever they got to, in place."""
    ports = {dim.dim_param for port in model.graph.input for dim in port.type.tensor_type.shape.dim}
    infos = [
        info
        for graph in walk.graphs(model.graph)
        for info in (*graph.input, *graph.output, *graph.value_info)
    ]
    shared = {dim.dim_param for info in infos for dim in _of_elements(info.type)} - ports
    for info in infos if shared else ():
        dims = (*_of_elements(info.type), *info.type.tensor_type.shape.dim)
        _clear_symbols(dim for dim in dims if dim.dim_param in shared)


def _of_elements(kind: onnx.TypeProto) -> Iterator[Dimension]:
    """The sizes of what a sequence or optional holds."""
    which = kind.WhichOneof("value")
    if which in {"sequence_type", "optional_type"}:
        inner = getattr(kind, which).elem_type
        if inner.HasField("tensor_type"):
            yield from inner.tensor_type.shape.dim
        yield from _of_elements(inner)


def _clear_symbols(dims: Iterable[Dimension]) -> None:
    for dim in dims:
        dim.ClearField("dim_param")
