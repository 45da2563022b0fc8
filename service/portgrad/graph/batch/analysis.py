"""The forward pass that finds where the batch goes and rewrites what froze its size at 1."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from portgrad.graph.batch import sizes
from portgrad.graph.batch.follow import Follower
from portgrad.graph.batch.states import Along, Refused, Shared, Sizes, State
from portgrad.graph.batch.step import Step, dims
from portgrad.graph.batch.table import RANDOM, TABLE

_DOMAINS = frozenset({"", "ai.onnx.ml"})


class Analysis:
    """The states of a graph's values.

    Args:
        graph: it is rewritten in place.
        ports: the names of the input ports that get the batch on axis 0.
        opset: the version of ai.onnx.
    """

    def __init__(self, graph: ir.Graph, ports: Collection[str], opset: int) -> None:
        self._graph = graph
        self._opset = opset
        self._states: dict[ir.Value, State] = {
            value: Along(0) for value in graph.inputs if value.name in ports
        }
        for port in self._states:
            if port.shape is None or not len(port.shape) or port.shape[0] != 1:
                raise ValueError(f"the port {port.name} has no fixed batch of 1")
        self._follower = Follower(graph, next(iter(self._states)))

    def run(self) -> dict[ir.Value, int]:
        """The batch axis of every value that carries the batch.

        Raises:
            Refused: a node is not proven to keep the examples apart.
        """
        for node in list(self._graph):
            self._visit(node)
        for output in self._graph.outputs:
            if isinstance(self._states.get(output), Sizes):
                raise Refused(f"the output {output.name} is computed from the batch size")
        return {
            value: state.axis for value, state in self._states.items() if isinstance(state, Along)
        }

    def _visit(self, node: ir.Node) -> None:
        operands = [None if v is None else self._states.get(v, Shared()) for v in node.inputs]
        step = Step(node, operands, self._follower, self._opset)
        _examine(step)
        found = _judge(step)
        states = found if isinstance(found, list) else [found] * len(node.outputs)
        for value, state in zip(node.outputs, states, strict=False):
            if isinstance(state, Along):
                _check_single(step, value, state.axis)
            self._states[value] = state


def _examine(step: Step) -> None:
    """Refuse what can be judged without looking at operands."""
    node = step.node
    if node.domain not in _DOMAINS:
        step.refuse("its operator is not a standard one")
    if node.op_type in RANDOM:
        step.refuse("it draws at random")
    if node.op_type == "Dropout" and step.has(2) and any(step.ints(2)):
        step.refuse("it draws at random")
    if any(attribute.type in _GRAPHS for attribute in node.attributes.values()):
        step.refuse("it has a subgraph")


_GRAPHS = frozenset({ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS})


def _judge(step: Step) -> State | list[State]:
    if step.node.domain == "" and sizes.is_shape_arithmetic(step.node):
        try:
            return sizes.RULES[step.node.op_type](step)
        except Refused:
            pass  # no arithmetic of known sizes: its operands decide
    if all(state is None or isinstance(state, Shared) for state in step.states):
        return Shared()
    rule = TABLE.get(step.node.op_type) if step.node.domain == "" else None
    if rule is None:
        step.refuse("its operator is not in the table")
    return rule(step)


def _check_single(step: Step, value: ir.Value, axis: int) -> None:
    """What inference found for a single example must not contradict a rule."""
    if not value.name:
        return
    if value.shape is None:
        step.refuse("the rank of its output is not known")
    shape = dims(value.shape)
    if axis >= len(shape) or shape[axis] not in {1, None}:
        step.refuse("the shape of its output has no place for the batch")
