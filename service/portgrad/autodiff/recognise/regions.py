"""Finding what exporters wrote out, and letting one operator stand in for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.infer import dims_of
from portgrad.autodiff.recognise.forms import FORMS, REACH, SIGNS, Form
from portgrad.autodiff.recognise.patterns import Found
from portgrad.autodiff.registry import Entry, lookup
from portgrad.autodiff.sweep import chosen_from
from portgrad.autodiff.vocabulary import Vocabulary

_DTYPES = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})


@dataclass(frozen=True)
class StandIn:
    """A node in place of a region: of nodes that nobody looks into and that compute one value.

    Attributes:
        node: the node.
        root: the last node of the region, which stays in the graph, without users.
        kept: whether the node stays for good.
    """

    node: ir.Node
    root: ir.Node
    kept: bool

    def withdraw(self) -> None:
        """Put the region back where only the operator's rule was wanted."""
        if not self.kept:
            _replace(self.node.outputs[0], self.root.outputs[0])


def recognise(
    op: Vocabulary, nodes: Iterable[ir.Node], asked: Collection[ir.Value]
) -> list[StandIn]:
    """Let operators stand in for what is written out in a graph, in place.

    Args:
        op: the emitter of the graph.
        nodes: the nodes that are to be differentiated, last first.
        asked: values that somebody wants to see or to have the gradient of.
    """
    made: list[StandIn] = []
    taken: set[ir.Node] = set()
    signs = _signs(op.graph)
    left_out: set[ir.Value] = set()
    for root in nodes:
        chosen = chosen_from(root, _registered(op, root), left_out)
        if root in taken or root not in signs:
            continue
        for form, found in _matches(root, signs[root], asked):
            if chosen and found.axes is not None:
                continue  # a norm's rule has no number for infinite rows, which may be left out
            operands = _operands(op, found)
            if operands is not None:
                taken |= found.nodes
                made.append(_stand_in(op, form, found, root, operands))
                _divide(op, found)
                break
    return made


def _registered(op: Vocabulary, node: ir.Node) -> Entry | None:
    schema = schema_of_node(node, {"": op.opset})
    return None if schema is None else lookup(node.domain, node.op_type, schema.since_version)


def _signs(graph: ir.Graph) -> dict[ir.Node, dict[str, int]]:
    """The operators that forms are known by, and how many nodes before a node they lie.

    Most nodes have none near them, and need not be compared with anything.
    """
    near: dict[ir.Node, dict[str, int]] = {}
    for node in graph:
        steps = {node.op_type: 0} if node.op_type in SIGNS else {}
        for value in node.inputs:
            producer = None if value is None else value.producer()
            for sign, count in ({} if producer is None else near.get(producer, {})).items():
                if count < steps.get(sign, REACH + 1) - 1:
                    steps[sign] = count + 1
        if steps:
            near[node] = steps
    return near


def _matches(
    root: ir.Node, signs: Collection[str], asked: Collection[ir.Value]
) -> Iterator[tuple[Form, Found]]:
    for form in FORMS:
        if form.signs.isdisjoint(signs):
            continue
        for pattern in form.patterns:
            for found in pattern.at(root.outputs[0], Found()):
                if _same_shape(found) and _closed(found, root, asked):
                    yield form, found


def _same_shape(found: Found) -> bool:
    """Whether no constant adds an axis to the result."""
    x = found.operands["x"]
    rank = 0 if x.shape is None else len(x.shape)
    return all(c.shape is not None and len(c.shape) <= rank for c in found.constants)


def _closed(found: Found, root: ir.Node, asked: Collection[ir.Value]) -> bool:
    """Whether nobody looks inside."""
    inside = [value for node in found.nodes if node is not root for value in node.outputs]
    if not (found.constants.isdisjoint(asked) and all(value not in asked for value in inside)):
        return False
    users = (usage.node for value in inside for usage in value.uses())
    return not any(value.is_graph_output() for value in inside) and found.nodes.issuperset(users)


def _operands(op: Vocabulary, found: Found) -> list[ir.Value] | None:
    """The operands of the stand-in; None where those of the region do not fit it."""
    x = found.operands["x"]
    if x.dtype not in _DTYPES:
        return None
    if found.axes is None:
        return [x]
    dims = dims_of(x) or []
    first = len(dims) - len(found.axes)
    size = [d for d in dims[first:] if isinstance(d, int)]
    if found.axes != tuple(range(first, len(dims))) or len(size) < len(found.axes):
        return None
    parameters = [found.operands[name] for name in ("scale", "bias") if name in found.operands]
    if not all(v.dtype == x.dtype and _fits(v, size, len(dims)) for v in parameters):
        return None
    if "scale" not in found.operands:
        parameters.insert(0, op.constant(np.ones(size, x.dtype.numpy())).value)
    return [x, *parameters]


def _fits(parameter: ir.Value, size: list[int], rank: int) -> bool:
    """Whether a parameter has an element for each of the normalised ones, whatever the rank."""
    dims = dims_of(parameter) or []
    lead = len(dims) - len(size)
    return lead >= 0 and len(dims) <= rank and dims == [*[1] * lead, *size]


def _stand_in(
    op: Vocabulary, form: Form, found: Found, root: ir.Node, operands: list[ir.Value]
) -> StandIn:
    attributes: dict[str, str | int | float] = {**dict(form.attributes), **found.numbers}
    if found.axes is not None:
        attributes["axis"] = -len(found.axes)
    node = ir.Node(
        "",
        form.op_type,
        operands,
        [ir.convenience.convert_attribute(name, value) for name, value in attributes.items()],
        num_outputs=1,
        version=form.version,  # its rule's, which the graph's opset need not have
        name=root.name,
    )
    old, new = root.outputs[0], node.outputs[0]
    new.name, new.type, new.shape = old.name, old.type, old.shape
    op.graph.insert_after(root, node)
    _replace(old, new)
    return StandIn(node, root, form.kept and old.dtype == ir.DataType.FLOAT)


def _divide(op: Vocabulary, found: Found) -> None:
    """Write 1 / x for the reciprocal of x: the same number, and the runtime fuses only that."""
    for node in found.nodes:
        if node.op_type == "Reciprocal":
            old = node.outputs[0]
            one = op.constant(np.ones((), old.dtype.numpy() if old.dtype else np.float32))
            division = ir.Node("", "Div", [one.value, node.inputs[0]], num_outputs=1)
            new = division.outputs[0]
            new.name, new.type, new.shape = old.name, old.type, old.shape
            op.graph.insert_after(node, division)
            _replace(old, new)


def _replace(old: ir.Value, new: ir.Value) -> None:
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
