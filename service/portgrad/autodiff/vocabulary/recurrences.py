"""Words about recurrences and branches: Scan, Loop and If with bodies written as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.nesting import held, with_inner
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords

Tensors: TypeAlias = Sequence[Tensor]
# The emitter of the body, the states, a slice of all that is read: new states, slices to write.
Step: TypeAlias = Callable[[Any, Tensors, Tensors], tuple[Tensors, Tensors]]
# The emitter of the body, the number of the trip, the states: new states, slices to write.
Trip: TypeAlias = Callable[[Any, Tensor, list[Tensor]], tuple[Tensors, Tensors]]
# The emitter of the body, the states: new states, and whether to go on.
Again: TypeAlias = Callable[[Any, Tensors], tuple[Tensors, Tensor]]


class RecurrenceWords(ShapeWords):
    """Words about recurrences and branches."""

    def scan(
        self, step: Step, states: Tensors, read: Tensors, *, backwards: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Go along axis 0 of tensors, from the end if backwards.

        Args:
            step: what is done at each place; it may use tensors of the graph around it.
            states: what the states start as.
            read: what each step gets a slice of.
            backwards: whether the last slice is the first; what is written lies as it was read.

        Returns:
            The last states, and what was written, stacked on axis 0.
        """
        body = ir.Graph((), (), nodes=(), name=self.fresh("step"))
        inner = type(self)(body, self.opset, self.fresh)
        before = [inner._input(x, x.value.shape) for x in states]
        slices = [inner._input(x, ir.Shape(self._dims(x)[1:])) for x in read]
        after, written = step(inner, before, slices)
        for x in (*after, *written):
            body.outputs.append(inner._result(x))
        ways = {"input": len(read), "output": len(written)}
        attributes: dict[str, ir.Attr] = {
            "body": ir.AttrGraph("body", body),
            "num_scan_inputs": ir.AttrInt64("num_scan_inputs", len(read)),
        }
        for side, count in ways.items():
            if backwards and count:
                name = f"scan_{side}_directions"
                attributes[name] = ir.AttrInt64s(name, [1] * count)
        likes = [x.value for x in states]
        for x in written:
            shape = ir.Shape([self._dims(read[0])[0], *self._dims(x)])
            likes.append(ir.Value(type=x.value.type, shape=shape))
        results = self.call("Scan", [x.value for x in (*states, *read)], attributes, likes)
        return results[: len(states)], results[len(states) :]

    def repeat(self, step: Again, states: Tensors, most: int) -> list[Tensor]:
        """Go on from state to state, at most so many times, until a step says that it was the last.

        Args:
            step: one step; it may use tensors of the graph around it.
            states: what the states start as.
            most: how many steps there are at most.
        """
        body = ir.Graph((), (), nodes=(), name=self.fresh("step"))
        inner = type(self)(body, self.opset, self.fresh)
        inner._input(self.index(0), ir.Shape(()))
        inner._input(self.constant(np.asarray(True)), ir.Shape(()))
        after, going = step(inner, [inner._input(x, x.value.shape) for x in states])
        for x in (going, *after):
            body.outputs.append(inner._result(x))
        inputs = [self.index(most).value, None, *(x.value for x in states)]
        return self.call(
            "Loop", inputs, {"body": ir.AttrGraph("body", body)}, [x.value for x in states]
        )

    def loop(self, trips: Tensor, step: Trip, states: Tensors) -> tuple[list[Tensor], list[Tensor]]:
        """Do something a number of times.

        Args:
            trips: how many times (int64).
            step: what is done; it may use values of the graph around it.
            states: what the states start as; those that are tensors keep their shape.

        Returns:
            The last states, and what was written, stacked on axis 0.
        """
        body = ir.Graph((), (), nodes=(), name=self.fresh("trip"))
        inner = type(self)(body, self.opset, self.fresh)
        at = inner._input(self.index(0), ir.Shape(()))
        going = inner._input(self.constant(np.asarray(True)), ir.Shape(()))
        after, written = step(inner, at, [inner._input(x, x.value.shape) for x in states])
        for x in (going, *after, *written):
            body.outputs.append(inner._result(x))
        likes = [x.value for x in states]
        for x in written:
            likes.append(ir.Value(type=x.value.type, shape=ir.Shape([None, *self._dims(x)])))
        # A file has no room for a last operand that is left out.
        always = None if states else self.constant(np.asarray(True)).value
        results = self.call(
            "Loop",
            [trips.value, always, *(x.value for x in states)],
            {"body": ir.AttrGraph("body", body)},
            likes,
        )
        return results[: len(states)], results[len(states) :]

    def branch(
        self,
        condition: Tensor,
        then: Callable[[Any], Tensors],
        otherwise: Callable[[Any], Tensors],
    ) -> list[Tensor]:
        """One of two, each a function of the emitter of its branch, by a condition."""
        branches, likes = {}, []
        for name, function in (("then_branch", then), ("else_branch", otherwise)):
            graph = ir.Graph((), (), nodes=(), name=self.fresh(name))
            inner = type(self)(graph, self.opset, self.fresh)
            graph.outputs.extend(inner._result(x) for x in function(inner))
            branches[name] = ir.AttrGraph(name, graph)
            likes = [ir.Value(type=value.type) for value in graph.outputs]
        return self.call("If", [condition.value], branches, likes)

    def inline(self, body: ir.Graph, bound: Tensors) -> tuple[list[ir.Node], list[ir.Value]]:
        """A body's nodes and outputs, copied into this graph under fresh names.

        Args:
            body: the body, which stays as it is.
            bound: what its inputs are.
        """
        copy = body.clone(allow_outer_scope_values=True)
        nodes, outputs = list(copy), list(copy.outputs)
        replaced: dict[ir.Value, ir.Value] = {}
        for value, tensor in zip(copy.inputs, bound, strict=True):
            replaced[value] = tensor.value
        for value in list(copy.initializers.values()):
            replaced[value] = self._initializer(value)
        copy.outputs.clear()
        copy.remove(nodes)
        for value, other in replaced.items():
            ir.convenience.replace_all_uses_with(value, other)
        for inner in with_inner(nodes):
            inner.name = inner.name or inner.outputs[0].name  # what users know it by
            for value in (*inner.outputs, *held(inner)):
                if value.name:
                    value.name = self.fresh(value.name.rsplit("/", 1)[-1])
        self.graph.extend(nodes)
        return nodes, [replaced.get(value, value) for value in outputs]

    def _initializer(self, value: ir.Value) -> ir.Value:
        copy = ir.Value(
            name=self.fresh("weight"),
            type=value.type,
            shape=None if value.shape is None else ir.Shape(value.shape.dims),
            const_value=value.const_value,
        )
        self.graph.register_initializer(copy)
        return copy

    def _result(self, x: Tensor) -> ir.Value:
        """What can be an output: computed here, and no output yet."""
        node = x.value.producer()
        own = node is not None and node.graph is self.graph and not x.value.is_graph_output()
        return x.value if own else self.alias(x, self.fresh("result"))

    def _dims(self, x: Tensor) -> list[int | str | None]:
        return list(x.shape) if x.shape is not None else [None] * self.rank(x)

    def _input(self, like: Tensor, shape: ir.Shape | None) -> Tensor:
        value = ir.Value(
            name=self.fresh("slice"),
            type=like.value.type,
            shape=None if shape is None else ir.Shape(shape.dims),
        )
        self.graph.inputs.append(value)
        return self.wrap(value)
