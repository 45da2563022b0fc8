"""Words about recurrences: a Scan or a Loop whose body is written as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords

Tensors: TypeAlias = Sequence[Tensor]
# The emitter of the body, the states, a slice of all that is read: new states, slices to write.
Step: TypeAlias = Callable[[Any, Tensors, Tensors], tuple[Tensors, Tensors]]

# The emitter of the body, the states: new states, and whether to go on.
Again: TypeAlias = Callable[[Any, Tensors], tuple[Tensors, Tensor]]


class RecurrenceWords(ShapeWords):
    """Words about recurrences."""

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
