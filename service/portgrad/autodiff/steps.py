"""A net's way from targets to outputs, step by step: what computes each value that a sweep sees.

A step is one node, or the nodes that exporters wrote one operator out in, which one rule serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from portgrad.autodiff.codes import EXACT, STRAIGHT_THROUGH, Codes, Quantized
from portgrad.autodiff.compile import prepared, values_by_name
from portgrad.autodiff.nesting import captures
from portgrad.autodiff.stacked import dependent
from portgrad.autodiff.sweep import label
from portgrad.autodiff.tensor import may_carry
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.graph.nothing import VALUES_UNREAD


@dataclass(frozen=True)
class Step:
    """What computes some values from others, by name.

    Attributes:
        node: the name of the node, or its first output where it has none.
        operator: its domain and operator.
        operands: what it reads that the data or the targets change.
        moving: floating tensors that it reads and that the targets change, or are.
        outputs: tensors that it computes and that are needed.
        active: those that a cotangent arrives at.
    """

    node: str
    operator: str
    operands: tuple[str, ...]
    moving: tuple[str, ...]
    outputs: tuple[str, ...]
    active: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A value and what is at it.

    Attributes:
        value: its name.
        node: the node in question, None where there is none, as at a port.
        operator: the domain and operator of that node.
    """

    value: str
    node: str | None = None
    operator: str | None = None


@dataclass(frozen=True)
class Course:
    """How a net gets from its ports to what is summed, in its own order.

    Attributes:
        steps: from the targets on.
        values: every floating tensor that what is summed depends on and that a sweep sees, ports
            and parameters first, each with the node that computes it.
    """

    steps: tuple[Step, ...]
    values: tuple[Place, ...]


def course(
    model: ir.Model,
    *,
    wrt: Sequence[str],
    of: Sequence[str],
    known: Mapping[str, ir.Node],
    quantized: Quantized = EXACT,
) -> Course:
    """How a net gets to what is summed; nothing is run.

    Args:
        model: a normalised net, or what was made of it; it is not changed.
        wrt, of, quantized: as for `gradient_graph`.
        known: the nodes that users know, by the values that they compute; others are parts of the
            steps behind them.
    """
    steps = _Steps(model, known, wrt=wrt, of=of, quantized=quantized)
    return Course(tuple(steps.found()), tuple(steps.values()))


def alone(model: ir.Model, step: Step) -> ir.Model:
    """The net of one step: its inputs are the step's operands, its outputs the step's."""
    graph = ir.convenience.extract(model.graph, step.operands, step.outputs)
    net = ir.Model(graph, ir_version=model.ir_version)
    net.meta.update(model.meta)
    return net


class _Steps:
    def __init__(
        self,
        model: ir.Model,
        known: Mapping[str, ir.Node],
        *,
        wrt: Sequence[str],
        of: Sequence[str],
        quantized: Quantized,
    ) -> None:
        self._graph = graph = model.graph
        self._known = known
        values = values_by_name(graph)
        _, fed = dependent(graph, graph.inputs)
        self._nodes, self._moved = dependent(graph, [values[name] for name in wrt])
        self._changing = fed | self._moved
        self._needed = _needed(graph, [values[name] for name in of])
        self._seen, self._operators = _active(model, wrt, of, quantized)

    def found(self) -> Iterator[Step]:
        for node in self._nodes:
            outputs = [v for v in node.outputs if v in self._needed and _is_tensor(v)]
            outputs = [v for v in outputs if not self._is_hidden(v)]
            if not outputs or (not node.domain and node.op_type in VALUES_UNREAD):
                continue
            operands = list(dict.fromkeys(self._operands(node)))
            moving = [v for v in operands if v in self._moved and _is_floating(v)]
            yield Step(
                *self._node(outputs[0]),
                _names(v for v in operands if not v.is_initializer()),
                _names(moving),
                _names(outputs),
                _names(v for v in outputs if v.name in self._seen and _is_floating(v)),
            )

    def values(self) -> Iterator[Place]:
        for value in (*self._graph.inputs, *self._graph.initializers.values()):
            if value in self._needed and _is_floating(value):
                yield Place(str(value.name))
        for node in self._graph:
            for value in node.outputs:
                if value in self._needed and _is_floating(value) and not self._is_hidden(value):
                    yield Place(str(value.name), *self._node(value))

    def _node(self, value: ir.Value) -> tuple[str, str]:
        """The node that users know as what computes a value, and its operator."""
        node = self._known[str(value.name)]
        return label(node), self._operators.get(str(value.name)) or operator(node)

    def _operands(self, node: ir.Node) -> Iterator[ir.Value]:
        """What changes and is not hidden, up the net."""
        for value in (*node.inputs, *captures(node)):
            if value is None or value not in self._changing:
                continue
            producer = value.producer()
            if producer is not None and self._is_hidden(value):
                yield from self._operands(producer)
            else:
                yield value

    def _is_hidden(self, value: ir.Value) -> bool:
        """Whether users do not know a value, or a sweep passes by it on its way."""
        if value.producer() is not None and value.name not in self._known:
            return True
        return value in self._moved and may_carry(value) and value.name not in self._seen


def _active(
    model: ir.Model, wrt: Sequence[str], of: Sequence[str], quantized: Quantized
) -> tuple[set[str], dict[str, str]]:
    """The values that a sweep sees, and the operators that stand in for how they are computed."""
    twin = model.clone()
    opsets = dict(twin.graph.opset_imports)
    codes = Codes(opsets) if quantized == STRAIGHT_THROUGH else None
    op = Vocabulary(twin.graph, opsets[""])
    way = prepared(twin, op, wrt, of=of, asked=(), codes=codes)
    stands = {str(s.node.outputs[0].name): operator(s.node) for s in way.stand_ins}
    return {str(value.name) for value in way.wanted}, stands


def _needed(graph: ir.Graph, of: Iterable[ir.Value]) -> set[ir.Value]:
    needed = set(of)
    for node in reversed(graph):
        if not needed.isdisjoint(node.outputs):
            needed.update(v for v in (*node.inputs, *captures(node)) if v is not None)
    return needed


def operator(node: ir.Node) -> str:
    """A node's domain and operator."""
    return f"{node.domain or 'ai.onnx'}.{node.op_type}"


def _is_tensor(value: ir.Value) -> bool:
    return isinstance(value.type, ir.TensorType) and bool(value.name)


def _is_floating(value: ir.Value) -> bool:
    return _is_tensor(value) and may_carry(value)


def _names(values: Iterable[ir.Value]) -> tuple[str, ...]:
    return tuple(str(value.name) for value in values)
