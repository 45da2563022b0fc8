"""Seeds that a graph is linear in: nothing is left of them but their shape.

The derivative of a gradient with respect to its seed does not depend on the seed. But rules ask
cotangents for their shapes, and so for all that is computed on the way to them. Here sizes are
asked of something else where that is possible. What is left reads a place that is filled with NaN,
so that a rule that reads numbers there would not be wrong unseen.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

from portgrad.autodiff.infer import dims_of, int_of
from portgrad.autodiff.nesting import captures
from portgrad.autodiff.sizes import Axis, Broadcast, Element, Size, Sizes
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.graph.pruning import prune


def fill(
    model: ir.Model,
    seeds: Mapping[ir.Value, ir.Value],
    alike: Mapping[ir.Value, ir.Value],
    outputs: Sequence[ir.Value],
) -> None:
    """Take inputs away from a graph that is constant in them, in place.

    Args:
        model: the graph, from which nothing has been removed yet.
        seeds: for each of the inputs, a value of its shape.
        alike: for some values, another one of the same shape.
        outputs: what remains of the graph's outputs.
    """
    graph = model.graph
    op = Vocabulary(graph, graph.opset_imports[""])
    unknown = _valued(graph, seeds)
    places = {seed: _place(op, like) for seed, like in seeds.items()}
    sizes = Sizes(graph, unknown, {**alike, **seeds})
    for node in [node for node in graph if node.op_type == "Shape"]:
        if node.inputs[0] in unknown:
            _replace(op, node, sizes)
    graph.outputs.clear()
    for seed, place in places.items():
        graph.inputs.remove(seed)
        ir.convenience.replace_all_uses_with(seed, place)
    graph.outputs.extend(outputs)
    prune(model)


def _valued(graph: ir.Graph, seeds: Iterable[ir.Value]) -> set[ir.Value]:
    """The values that are computed of the numbers in seeds, not of their shapes alone."""
    reached = set(seeds)
    for node in graph:
        read = (*node.inputs, *captures(node))
        if node.op_type != "Shape" and any(value in reached for value in read):
            reached.update(node.outputs)
    return reached


def _place(op: Vocabulary, like: ir.Value) -> ir.Value:
    last, before = op.graph[-1], like.producer()
    place = op.full_like(op.wrap(like), math.nan)
    made = _taken_behind(op.graph, last)
    if before is None:
        op.graph.insert_before(op.graph[0], made)
    else:
        op.graph.insert_after(before, made)
    return place.value


def _replace(op: Vocabulary, node: ir.Node, sizes: Sizes) -> None:
    """Let something else take the place of a Shape, where it is known."""
    value, last = node.inputs[0], op.graph[-1]
    dims = dims_of(value)
    if dims is None:
        return
    axes = range(len(dims))[int_of(node, "start", 0) : int_of(node, "end", len(dims))]
    found = [sizes.of(value, axis) for axis in axes]
    known = [size for size in found if size is not None]
    if len(known) == len(found):
        vector = op.vector([_emitted(op, size) for size in known])
        op.graph.insert_before(node, _taken_behind(op.graph, last))
        ir.convenience.replace_all_uses_with(node.outputs[0], vector.value)


def _emitted(op: Vocabulary, size: Size) -> int | Tensor:
    if isinstance(size, Axis):
        return op.size(op.wrap(size.value), size.axis)
    if isinstance(size, Element):
        return op.Gather(op.wrap(size.vector), [size.index], axis=0)
    if isinstance(size, Broadcast):
        first, *others = (op.vector([_emitted(op, part)]) for part in size.parts)
        return functools.reduce(lambda a, b: op.Where(op.Equal(a, 1), b, a), others, first)
    return size


def _taken_behind(graph: ir.Graph, last: ir.Node) -> list[ir.Node]:
    """The nodes behind one of a graph, taken out of it."""
    nodes = list(graph)
    made = nodes[nodes.index(last) + 1 :]
    graph.remove(made)
    return made
