"""Seeds that a graph is linear in: nothing is left of them but their shape.

The derivative of a gradient with respect to its seed does not depend on the seed. But rules ask
cotangents for their shapes, and so for all that is computed on the way to them. Here shapes are
asked of something else where that is possible, and what is left reads zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from portgrad.autodiff.infer import SHAPED_AS_FIRST, dims_of, int_of
from portgrad.autodiff.stacked import dependent
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.autodiff.vocabulary.shapes import Size


def fill(model: ir.Model, seeds: Mapping[str, ir.Value], outputs: Sequence[ir.Value]) -> None:
    """Let inputs of a graph be zeros of the shape of values in it, in place.

    Args:
        model: a graph that is constant in the seeds.
        seeds: for each seed, a value that has its shape and comes before all that reads the seed.
        outputs: what remains of the graph's outputs.
    """
    graph = model.graph
    op = Vocabulary(graph, graph.opset_imports[""])
    likes = {value: seeds[str(value.name)] for value in graph.inputs if value.name in seeds}
    graph.outputs.clear()
    graph.outputs.extend([*outputs, *likes.values()])  # what is asked for its shape stays till then
    RemoveUnusedNodesPass()(model)
    _Shapes(op, likes).replace()
    RemoveUnusedNodesPass()(model)
    for seed, like in likes.items():
        graph.inputs.remove(seed)
        if seed.uses():
            last = graph[-1]
            zeros = op.zeros_like(op.wrap(like))
            ir.convenience.replace_all_uses_with(seed, zeros.value)
            _move(graph, last, like.producer())
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    RemoveUnusedNodesPass()(model)


class _Shapes:
    """Asks for shapes elsewhere.

    Args:
        op: the emitter of the graph.
        likes: the seeds and what they have the shape of.
    """

    def __init__(self, op: Vocabulary, likes: Mapping[ir.Value, ir.Value]) -> None:
        self._op, self._likes = op, likes
        self._made: list[ir.Node] = []  # at the start of the graph: they read ports
        _, self._reached = dependent(op.graph, likes)
        # The engine holds ports to their symbols; who else runs the graph has to.
        self._ports = {
            dim: (value, axis)
            for value in reversed(op.graph.inputs)
            if value not in likes
            for axis, dim in enumerate(dims_of(value) or ())
            if isinstance(dim, str)
        }

    def replace(self) -> None:
        """Replace each Shape of what depends on a seed, where another way is known."""
        for node in [node for node in self._op.graph if node.op_type == "Shape"]:
            value = node.inputs[0]
            if value is None or value not in self._reached:
                continue
            source = self._source(value)
            if source not in self._reached:
                node.replace_input_with(0, source)
            else:
                self._replace(node, source)

    def _source(self, value: ir.Value) -> ir.Value:
        """What has the same shape, and as few seeds before it as can be told."""
        while True:
            node = value.producer()
            if value in self._likes:
                return self._likes[value]
            if value not in self._reached or node is None or node.domain:
                return value
            first = node.inputs[0] if node.op_type in SHAPED_AS_FIRST else None
            if first is None or not isinstance(first.type, ir.TensorType):
                return value
            value = first

    def _replace(self, node: ir.Node, source: ir.Value) -> None:
        """Let ports and numbers take the place of a Shape, where they tell all of it."""
        dims, last = dims_of(source), self._op.graph[-1]
        if dims is None or not all(isinstance(d, int) or d in self._ports for d in dims):
            return
        wanted = dims[int_of(node, "start", 0) : int_of(node, "end", len(dims))]
        found = self._op.vector([self._size(dim) for dim in wanted])
        ir.convenience.replace_all_uses_with(node.outputs[0], found.value)
        self._made += _move(self._op.graph, last, self._made[-1] if self._made else None)

    def _size(self, dim: int | str | None) -> Size:
        if not isinstance(dim, str):
            return dim or 0
        port, axis = self._ports[dim]
        return self._op.size(self._op.wrap(port), axis)


def _move(graph: ir.Graph, last: ir.Node, after: ir.Node | None) -> list[ir.Node]:
    """Put the nodes behind one of them behind another one, or at the start."""
    nodes = list(graph)
    made = nodes[nodes.index(last) + 1 :]
    graph.remove(made)
    if after is None:
        graph.insert_before(graph[0], made)
    else:
        graph.insert_after(after, made)
    return made
