"""ONNX's operator Gradient, expanded: each node gives way to the gradient graph that it stands for.

Its attributes name tensors of the net: `y` as a function of `xs` and `zs`, at the values that the
node's operands have. Where an operand is the tensor that it stands for, the net's own values serve
again; what depends on another one is computed anew. Anything else that y depends on keeps the
value that it has in the net. Of a y that is no scalar, the gradient is that of its sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import onnx_ir as ir

from portgrad.autodiff.codes import EXACT
from portgrad.autodiff.compile import swept, values_by_name
from portgrad.autodiff.nesting import captures, held, with_inner
from portgrad.autodiff.sweep import label
from portgrad.errors import InvalidNet
from portgrad.graph.nearest import listed, offer
from portgrad.graph.pruning import prune
from portgrad.graph.schemas.training import DOMAIN, GRADIENT
from portgrad.graph.skeleton import reinfer
from portgrad.graph.taken import value_names
from portgrad.graph.types import shape_of, type_name, type_reason

Values = Mapping[str, ir.Value]


def expand_gradients(model: ir.Model) -> None:
    """Replace every Gradient node of a normalised net, in place; `meta["warnings"]` may grow.

    Raises:
        InvalidNet: `invalid_gradient` where a node makes no sense.
        Unsupported: an operator between its tensors has no derivative here.
    """
    graph = model.graph
    graph.opset_imports.pop(DOMAIN, None)
    pending = [node for node in graph if (node.domain, node.op_type) == (DOMAIN, GRADIENT)]
    if not pending:
        return
    while pending:
        calls = [_read(node, values_by_name(graph)) for node in pending]
        call = next((c for c in calls if c.region.isdisjoint(pending)), None)
        if call is None:
            _refuse(pending[0], "its `y` depends on what the node itself computes", calls[0].y)
        warnings = _expand(model, call)
        model.meta["warnings"] = tuple(dict.fromkeys([*model.meta["warnings"], *warnings]))
        pending.remove(call.node)
    graph.sort()  # a node may stand before what computes its y


@dataclass(frozen=True)
class _Call:
    """A Gradient node, read and checked.

    Attributes:
        node: the node.
        operands: what stands for each of xs and zs, by name.
        moved: those of them that are not the tensors they stand for.
        wanted: the output of each of xs whose gradient is asked for, by name.
        y: the name of what is differentiated.
        region: the nodes between xs, zs and y, and what else y depends on.
    """

    node: ir.Node
    operands: Values
    moved: frozenset[str]
    wanted: Values
    y: str
    region: frozenset[ir.Node]


# -- reading ---------------------------------------------------------------------------------------


def _read(node: ir.Node, values: Values) -> _Call:
    xs, zs = _names(node, "xs"), _names(node, "zs")
    y = node.attributes["y"].as_string()
    named = [*xs, *zs]
    _check_names(node, [*named, y], values)
    if len(set(named)) < len(named):
        _refuse(node, "a tensor stands twice in its `xs` and `zs`", listed(named))
    if len(node.inputs) != len(named):
        _refuse(node, f"it needs {len(named)} operands, one for each of {listed(named)}",
                f"{len(node.inputs)}")  # fmt: skip
    if len(node.outputs) > len(xs):
        _refuse(node, f"it has at most {len(xs)} outputs, one for each of {listed(xs)}",
                f"{len(node.outputs)}")  # fmt: skip
    operands = {n: _fitting(node, n, v, values[n]) for n, v in zip(named, node.inputs, strict=True)}
    wanted = {n: v for n, v in zip(xs, node.outputs, strict=False) if v.name}
    for name in (y, *wanted):
        if reason := type_reason(values[name]):
            _refuse(node, f"there is no gradient at `{name}`: {reason}", f"`{name}`")
    ends = {values[name] for name in named}
    _check_independent(node, ends)
    moved = frozenset(name for name, value in operands.items() if value is not values[name])
    return _Call(node, operands, moved, wanted, y, frozenset(_before([values[y]], ends)))


def _names(node: ir.Node, attribute: str) -> list[str]:
    found = node.attributes.get(attribute)
    return [] if found is None else list(found.as_strings())


def _check_names(node: ir.Node, names: Iterable[str], values: Values) -> None:
    for name in names:
        if name not in values:
            remedy = offer(name, values) or "Name tensors of the main graph."
            _refuse(node, "it names a tensor that the net does not have", f"`{name}`", remedy)


def _fitting(node: ir.Node, name: str, operand: ir.Value | None, like: ir.Value) -> ir.Value:
    if operand is None or not operand.name:
        _refuse(node, f"the operand that stands for `{name}` is left out", "nothing")
    ours, theirs = shape_of(like), shape_of(operand)
    ranks = ours is not None and theirs is not None and len(ours) != len(theirs)
    if operand.type != like.type or ranks:
        wanted, found = (f"{type_name(v.type)} {shape_of(v)}" for v in (like, operand))
        _refuse(node, f"the operand that stands for `{name}` is none of its kind, {wanted}", found)
    return operand


def _check_independent(node: ir.Node, ends: set[ir.Value]) -> None:
    """The standard forbids it: the gradient could be meant with or without that dependence."""
    for end in sorted(ends, key=lambda value: str(value.name)):
        producer = end.producer()
        found = _before([end], ends - {end}) if producer is not None else set()
        read = {value for inner in found for value in (*inner.inputs, *captures(inner))}
        for other in ends - {end}:
            if other in read:
                told = f"`{end.name}` is computed from `{other.name}`"
                _refuse(node, "its `xs` and `zs` depend on each other", told)


def _before(values: Iterable[ir.Value], ends: set[ir.Value]) -> set[ir.Node]:
    """The nodes that values depend on, without looking behind others."""
    found: set[ir.Node] = set()
    waiting = [value for value in values if value not in ends]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            read = (*node.inputs, *captures(node))
            waiting += [value for value in read if value is not None and value not in ends]
    return found


def _refuse(node: ir.Node, why: str, found: str, remedy: str | None = None) -> NoReturn:
    raise InvalidNet(
        f"A Gradient node cannot be expanded: {why}.",
        code="invalid_gradient",
        where=f"node `{label(node)}` (Gradient)",
        found=found,
        remedy=remedy or "See the operator's documentation: ai.onnx.preview.training.Gradient.",
    )


# -- expanding -------------------------------------------------------------------------------------


def _expand(model: ir.Model, call: _Call) -> tuple[str, ...]:
    """Put a gradient graph in the place of a node; what its user should be warned of."""
    apart, moved = _apart(model, call)
    same = values_by_name(apart.graph).keys() - moved - call.moved
    stem = _free_stem(model.graph, f"{label(call.node)}/gradient")
    results = {name: f"{stem}/of/{name}" for name in call.wanted}
    made = swept(apart, results, of=[call.y], given={}, outputs=(), quantized=EXACT)
    values = values_by_name(model.graph)
    known = {name: values[name] for name in same} | dict(call.operands)
    _give(model.graph, call, made.model.graph, known, stem)
    return made.warnings


def _apart(model: ir.Model, call: _Call) -> tuple[ir.Model, set[str]]:
    """The net from xs and zs to y alone, and the names of what it computes anew."""
    apart = model.clone()
    graph = apart.graph
    values = values_by_name(graph)
    for name, operand in call.operands.items():
        value = values[name]
        if value.producer() is not None or name in call.moved:
            values[name] = _cut(graph, value, operand)
    graph.outputs.clear()
    graph.outputs.append(values[call.y])
    prune(apart)
    anew = _after(graph, {values[name] for name in call.moved})
    if anew:
        reinfer(apart, anew)
    return apart, {str(value.name) for value in anew}


def _cut(graph: ir.Graph, value: ir.Value, operand: ir.Value) -> ir.Value:
    """An input of that name in the place of a value."""
    given = ir.Value(name=value.name, type=value.type, shape=operand.shape)
    if value.is_initializer():
        del graph.initializers[str(value.name)]
    if value.is_graph_input():
        graph.inputs.remove(value)
    value.name = ""
    ir.convenience.replace_all_uses_with(value, given, replace_graph_outputs=True)
    graph.inputs.append(given)
    return given


def _after(graph: ir.Graph, starts: set[ir.Value]) -> list[ir.Value]:
    """What the nodes of a graph compute from some values."""
    found: dict[ir.Value, None] = {}
    for node in graph:
        if any(v in starts or v in found for v in (*node.inputs, *captures(node))):
            found |= dict.fromkeys(node.outputs)
    return list(found)


def _give(graph: ir.Graph, call: _Call, made: ir.Graph, known: Values, stem: str) -> None:
    """Move what was made into the net, onto the values that are known there by their names."""
    results = list(made.outputs)
    constants = [value for name, value in made.initializers.items() if name not in known]
    outputs = (value for node in made for value in node.outputs)
    for value in [*made.inputs, *made.initializers.values(), *outputs]:
        if str(value.name) in known:
            ir.convenience.replace_all_uses_with(value, known[str(value.name)])
    made.outputs.clear()
    for node in reversed(list(made)):
        if not any(value.uses() or value in results for value in node.outputs):
            made.remove(node, safe=True)
    kept = list(made)
    made.remove(kept)
    new = [*map(_constant, constants), *kept]
    for node in with_inner(new):
        node.name = None  # reported by its first output
        for value in (*node.outputs, *held(node)):
            if value.name:
                value.name = f"{stem}/{value.name}"
    replaced = list(call.wanted.values())
    ir.convenience.replace_nodes_and_values(graph, call.node, [call.node], new, replaced, results)


def _constant(value: ir.Value) -> ir.Node:
    """A node in the place of a constant: as an initializer it would be a parameter of the net."""
    assert value.const_value is not None, "what is no input has a value"
    node = ir.Node("", "Constant", [], [ir.AttrTensor("value", value.const_value)])
    output = node.outputs[0]
    output.name, output.type, output.shape = value.name, value.type, value.shape
    ir.convenience.replace_all_uses_with(value, output)
    return node


def _free_stem(graph: ir.Graph, stem: str) -> str:
    names = value_names(graph)
    while any(name.startswith(f"{stem}/") for name in names):
        stem += "_"
    return stem
