"""Many cotangents or tangents in one run: what depends on them becomes the body of a Scan.

The body captures what does not depend on them, which is computed once: the forward pass. Why it is
a Scan: docs/decisions/0012-stacked.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx_ir as ir

from portgrad.autodiff.infer import as_shape, dims_of
from portgrad.autodiff.nesting import captures
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary


def stack(graph: ir.Graph, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs of a graph a leading axis, in place.

    Args:
        graph: a main graph.
        inputs: names of inputs, at least one, that become K on a leading axis, one K for all.
        outputs: names of outputs, tensors, that become what K runs would give. What does not
            depend on the inputs is repeated.
    """
    op = Vocabulary(graph, graph.opset_imports[""])
    single = [value for value in graph.inputs if value.name in set(inputs)]
    many = [op.wrap(_led(value, str(value.name))) for value in single]
    nodes, reached = dependent(graph, single)
    ends, asked = list(graph.outputs), set(outputs)
    graph.outputs.clear()
    _inside(op, many, single, nodes)
    results = [y for y in ends if y.name in asked and y in reached]
    scanned = _scan(op, many, single, results, nodes) if results else []  # it gives one at least
    found = dict(zip(results, scanned, strict=True))
    for value in ends:
        if value.name in asked and value not in reached:
            found[value] = _repeated(op, op.wrap(value), op.size(many[0], 0))
    graph.outputs.extend(found.get(value, value) for value in ends)


def dependent(
    graph: ir.Graph, starts: Iterable[ir.Value]
) -> tuple[list[ir.Node], set[ir.Value | None]]:
    """The nodes that read some values, directly or not, and these values with what they make."""
    reached: set[ir.Value | None] = set(starts)
    nodes = []
    for node in graph:
        if not reached.isdisjoint((*node.inputs, *captures(node))):
            nodes.append(node)
            reached.update(node.outputs)
    return nodes, reached


def _inside(
    op: Vocabulary, many: list[Tensor], single: list[ir.Value], nodes: list[ir.Node]
) -> None:
    """Take inputs and nodes out of a graph; the inputs make room for those with a leading axis."""
    for value in single:
        op.graph.inputs.remove(value)
        value.name = op.fresh("slice")
    op.graph.inputs.extend(x.value for x in many)
    op.graph.remove(nodes)


def _scan(
    op: Vocabulary,
    many: list[Tensor],
    single: list[ir.Value],
    results: list[ir.Value],
    nodes: list[ir.Node],
) -> list[ir.Value]:
    """The results of nodes for each slice, under the names that the results had."""
    body = ir.Graph(single, [], nodes=nodes, name="one of many")
    inner = Vocabulary(body, op.opset, op.fresh)
    names = [str(value.name) for value in results]
    for value in results:
        value.name = op.fresh("result")
    given = [x for value in results for x in _as_slices(inner, inner.wrap(value))]
    body.outputs.extend(x.value for x in given)
    attributes: dict[str, ir.Attr] = {
        "body": ir.AttrGraph("body", body),
        "num_scan_inputs": ir.AttrInt64("num_scan_inputs", len(many)),
    }
    likes = [_led(x.value, "") for x in given]
    stacks = iter(op.call("Scan", [x.value for x in many], attributes, likes))
    return [_whole(op, value, stacks, name) for value, name in zip(results, names, strict=True)]


def _as_slices(op: Vocabulary, result: Tensor) -> list[Tensor]:
    """What a Scan can give out of a result: the runtime wants to know its rank."""
    if result.rank is not None:
        return [result]
    return [op.Reshape(result, op.ints(-1)), op.Shape(result)]


def _whole(op: Vocabulary, result: ir.Value, stacks: Iterator[Tensor], name: str) -> ir.Value:
    """The stack of all slices of a result."""
    stack = next(stacks)
    if result.shape is None:
        sizes = op.Gather(next(stacks), op.index(0), axis=0)
        stack = op.Reshape(stack, op.Concat(op.size(stack, 0), sizes, axis=0), allowzero=1)
    stack.value.name = name
    return stack.value


def _repeated(op: Vocabulary, result: Tensor, count: Tensor) -> ir.Value:
    """A result once for each slice."""
    name = result.name
    result.value.name = op.fresh("result")
    sizes = op.Concat(count, op.Shape(result), axis=0)
    repeated = op.alias(op.Expand(result, sizes), name)
    repeated.shape = _led(result.value, name).shape
    return repeated


def _led(value: ir.Value, name: str) -> ir.Value:
    """A value of another one's type and shape with an axis in front."""
    dims = dims_of(value)
    shape = as_shape(None if dims is None else [None, *dims])
    return ir.Value(name=name, type=value.type, shape=shape)
