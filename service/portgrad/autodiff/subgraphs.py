"""Differentiating a subgraph: its nodes are run again and swept, wherever their cotangents are.

A copy of the body goes into the graph that computes the cotangents, with its inputs bound to
values there. Nothing that the forward pass computed inside a body is needed but what the inputs
are bound to, so bodies nest to any depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from portgrad.autodiff.sweep import Sweep, active, captures, with_inner
from portgrad.autodiff.tensor import Tensor, may_carry
from portgrad.autodiff.vocabulary import Vocabulary


class Subgraph:
    """A new subgraph under construction, with an emitter of its own.

    Args:
        outer: the sweep of the graph around it.
        name: the subgraph's name.
    """

    def __init__(self, outer: Sweep, name: str) -> None:
        self.graph = ir.Graph((), (), nodes=(), name=name)
        self.op = Vocabulary(self.graph, outer.op.opset, outer.op.fresh)
        self._outer = outer

    def input(self, stem: str, dtype: ir.DataType, shape: ir.Shape | None) -> Tensor:
        """A new input."""
        value = ir.Value(name=self.op.fresh(stem), type=ir.TensorType(dtype), shape=copied(shape))
        self.graph.inputs.append(value)
        return self.op.wrap(value)

    def input_like(self, stem: str, like: Tensor) -> Tensor:
        """A new input of the dtype and shape of a tensor."""
        return self.input(stem, like.dtype, like.value.shape)

    def give(self, result: Tensor, like: Tensor | None = None) -> None:
        """Make a tensor an output, of the shape of another one where that is known."""
        value = self.op.alias(result, self.op.fresh("result"))
        if like is not None:
            self.op.shaped_as(self.op.wrap(value), like)
        self.graph.outputs.append(value)

    def cotangents(
        self,
        body: ir.Graph,
        bound: Sequence[Tensor],
        given: Sequence[Tensor | None],
        targets: Iterable[ir.Value],
    ) -> dict[ir.Value, Tensor]:
        """Run a body again and sweep it.

        Args:
            body: the body, which stays as it is.
            bound: what its inputs are.
            given: the cotangents of its outputs.
            targets: inputs of the body, or values that it captures.

        Returns:
            The cotangents of the targets; zeros where nothing arrives.
        """
        inputs = dict(zip(body.inputs, bound, strict=True))
        starts = {v: inputs[v].value if v in inputs else v for v in targets}
        nodes, results = self._copy(body, bound)
        pairs = [(y, ct) for y, ct in zip(results, given, strict=True) if ct is not None]
        codes = self._outer.codes
        path, wanted = active(nodes, starts.values(), [y for y, _ in pairs], codes)
        sweep = Sweep(self.op, self._outer.opsets, codes)
        for value, ct in pairs:
            if value in wanted:
                sweep.accumulate(value, self.op.wrap(ct.value))
        sweep.run(path, wanted)
        self._outer.warnings.extend(sweep.warnings)
        return {
            target: sweep.cotangent(start) or self.op.zeros_like(self.op.wrap(start))
            for target, start in starts.items()
        }

    def _copy(
        self, body: ir.Graph, bound: Sequence[Tensor]
    ) -> tuple[list[ir.Node], list[ir.Value]]:
        """The body's nodes and outputs, copied into this graph under fresh names."""
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
            for value in inner.outputs:
                if value.name:
                    value.name = self.op.fresh(value.name.rsplit("/", 1)[-1])
        self.graph.extend(nodes)
        return nodes, [replaced.get(value, value) for value in outputs]

    def _initializer(self, value: ir.Value) -> ir.Value:
        copy = ir.Value(
            name=self.op.fresh("weight"),
            type=value.type,
            shape=copied(value.shape),
            const_value=value.const_value,
        )
        self.graph.register_initializer(copy)
        return copy


def captured(bodies: Iterable[ir.Node], wanted: set[ir.Value]) -> list[ir.Value]:
    """The wanted floating values that the subgraphs of nodes capture, each once."""
    found = (value for node in bodies for value in captures(node))
    return list(dict.fromkeys(v for v in found if v in wanted and may_carry(v)))


def copied(shape: ir.Shape | None) -> ir.Shape | None:
    """A shape that can be changed without changing the other."""
    return None if shape is None else ir.Shape(shape.dims)
