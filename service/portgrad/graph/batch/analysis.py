"""The forward pass that finds where the batch goes and rewrites what froze its size at 1."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import onnx_ir as ir

from portgrad.graph.batch import numbers, sizes
from portgrad.graph.batch.counts import Dim
from portgrad.graph.batch.follow import Follower
from portgrad.graph.batch.refine import refine
from portgrad.graph.batch.states import Along, Numbered, Refused, Shared, Sizes, State
from portgrad.graph.batch.step import Step
from portgrad.graph.batch.table import PACKED, TABLE
from portgrad.graph.draws import COUNTS, drawn_like, draws

_DOMAINS = frozenset({"", "ai.onnx.ml"})


class Analysis:
    """The states of a graph's values.

    Args:
        graph: it is rewritten in place.
        ports: the names of the input ports, at least one, that get the batch on axis 0.
        opset: the version of ai.onnx.
        fixed: whether the file itself fixes the batch size at 1: see `Step`.
    """

    def __init__(
        self, graph: ir.Graph, ports: Collection[str], opset: int, *, fixed: bool = True
    ) -> None:
        self._graph = graph
        self._opset = opset
        self._fixed = fixed
        inputs = {value.name: value for value in graph.inputs}
        batched = [inputs[name] for name in ports]
        for port in batched:
            if not port.shape or port.shape[0] != 1:
                raise ValueError(f"the port {port.name} has no fixed batch of 1")
        self._states: dict[ir.Value, State] = {port: Along(0) for port in batched}
        self._follower = Follower(graph, batched[0])

    def run(self) -> dict[ir.Value, Along]:
        """Where every value that carries the batch has it.

        Raises:
            Refused: a node is not proven to keep the examples apart.
        """
        for node in list(self._graph):
            self._visit(node)
        for output in self._graph.outputs:
            if isinstance(self._states.get(output), Sizes | Numbered):
                because = f"the output {output.name} is computed from the batch size"
                raise Refused(because, output.name)
        along = {v: state for v, state in self._states.items() if isinstance(state, Along)}
        return along | {value: Along(axis) for value, axis in self._follower.expanded.items()}

    @property
    def numbered(self) -> dict[ir.Value, int]:
        """The batch axis of every value that is made of the numbers of examples."""
        return {v: state.axis for v, state in self._states.items() if isinstance(state, Numbered)}

    def _visit(self, node: ir.Node) -> None:
        operands = [None if v is None else self._states.get(v, Shared()) for v in node.inputs]
        step = Step(node, operands, self._follower, self._opset, fixed=self._fixed)
        refine(step)
        _examine(step)
        like = drawn_like(node)
        if COUNTS in node.meta:
            found: State | list[State] = Shared()
        else:
            found = _judge(step) if like is None else self._drawn(step, like)
        states = found if isinstance(found, list) else [found] * len(node.outputs)
        for value, state in zip(node.outputs, states, strict=False):
            if isinstance(state, Along | Numbered) and value.name:
                single = state.single if isinstance(state, Along) else 1
                _fix_single(step, value, state.axis, single)
            self._states[value] = state

    def _drawn(self, step: Step, like: ir.Value) -> State:
        """Draws for each element of a value: of its own for each example, where it has some."""
        state = self._states.get(like)
        if not isinstance(state, Along) or not state.plain:
            step.refuse("all examples would share what is drawn")
        return state


def _examine(step: Step) -> None:
    """Refuse what can be judged without looking at operands."""
    node = step.node
    if node.domain not in _DOMAINS:
        step.refuse("its operator is not a standard one")
    if draws(node):
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
    if numbers.concerns(step) and step.node.domain == "":
        rule = numbers.RULES.get(step.node.op_type)
    else:
        rule = TABLE.get((step.node.domain, step.node.op_type))
    if rule is None:
        step.refuse("its operator is not in the table")
    _check_packing(step)
    found = rule(step)
    if not step.packed or step.node.op_type == "Reshape":
        return found
    like = next(state for state in step.states if isinstance(state, Along))
    states = found if isinstance(found, list) else [found]
    packed = [replace(like, axis=s.axis) if isinstance(s, Along) else s for s in states]
    return packed if isinstance(found, list) else packed[0]


def _check_packing(step: Step) -> None:
    """Refuse operands whose axis of examples has more on it, but where it counts as one axis."""
    if step.packed and step.node.op_type not in PACKED:
        step.refuse("another axis is one with the batch's")
    if len({(s.outer, s.block) for s in step.states if isinstance(s, Along)}) > 1:
        step.refuse("its operands have the batch and other axes as one, each in its way")


def _fix_single(step: Step, value: ir.Value, axis: int, single: Dim) -> None:
    """Write the size that a rule has proven into the shape of a single example's value."""
    if value.shape is None:
        step.refuse("the rank of its output is not known")
    sizes = list(value.shape)
    size = sizes[axis] if axis < len(sizes) else 0
    if isinstance(size, int) and size != single:
        step.refuse("the shape of its output has no place for the batch")
    if single is not None:
        sizes[axis] = single if isinstance(single, int) else ir.SymbolicDim(single)
    value.shape = ir.Shape(sizes)
