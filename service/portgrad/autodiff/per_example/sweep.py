"""The sweep in which cotangents of what all examples share have a leading axis of examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from portgrad.autodiff.binding import Call, schema_of_node
from portgrad.autodiff.nesting import captures
from portgrad.autodiff.per_example.layout import Layout, NotApart
from portgrad.autodiff.per_example.ways import cotangents as cotangents_apart
from portgrad.autodiff.registry import Rule
from portgrad.autodiff.sweep import MALFORMED, Sweep, chosen_from, described, explained
from portgrad.autodiff.tensor import Tensor, may_carry
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import Unsupported
from portgrad.graph.batching import Axes


class EachSweep(Sweep):
    """A sweep over a batch whose examples are proven to be independent.

    Cotangents of the examples' own values are those of any sweep, each example's part its own.
    Those of what all examples share are (N, *shape): one for each example.

    Args:
        op: the emitter of the graph.
        opset_imports: the opset of each domain in the graph.
        axes: where each value has its examples, by name.
        known: the names of all values that `axes` speaks of.
    """

    def __init__(
        self,
        op: Vocabulary,
        opset_imports: Mapping[str, int],
        axes: Axes,
        known: Iterable[str],
    ) -> None:
        super().__init__(op, opset_imports)
        self._layout = Layout(op, axes, known)

    def like(self, value: ir.Value) -> Tensor:
        """What the cotangent of a value is shaped like."""
        x = self.op.wrap(value)
        if self._layout.own(value) or not isinstance(value.type, ir.TensorType):
            return x
        return self._layout.lifted(x)

    def run(self, nodes: Iterable[ir.Node], wanted: set[ir.Value]) -> None:
        """Visit nodes, last first, and send cotangents to their wanted operands.

        Raises:
            NotApart: a cotangent of what all examples share cannot be had for each of them.
        """
        for value in self._arrived:
            if not self._layout.own(value):
                raise NotApart(f"{value.name!r} is the same for all examples")
        super().run(nodes, wanted)

    def close(self) -> None:
        """Once all cotangents are asked for."""
        self._layout.close()

    def _visit(self, node: ir.Node, cotangents: list[Tensor | None], wanted: set[ir.Value]) -> None:
        read = {v for v in (*node.inputs, *captures(node)) if v is not None and v in wanted}
        shared = {value for value in read if not self._layout.own(value) and may_carry(value)}
        if not shared:
            return super()._visit(node, cotangents, wanted)
        arrived = [v for v, ct in zip(node.outputs, cotangents, strict=True) if ct is not None]
        if len({self._layout.own(value) for value in arrived}) > 1:
            raise NotApart(f"some outputs of the {described(node)} are the same for all examples")
        if read > shared:
            super()._visit(node, cotangents, wanted - shared)
        return self._visit_apart(node, cotangents, shared)

    def _visit_apart(
        self, node: ir.Node, cotangents: list[Tensor | None], shared: set[ir.Value]
    ) -> None:
        schema = schema_of_node(node, self.opsets)
        rule = self._rule(node, schema, cotangents)
        chosen = chosen_from(node, rule, self.chosen)
        if rule is None or schema is None:
            return
        if not isinstance(rule, Rule):
            raise NotApart(f"parameters go into the subgraphs of the {described(node)}")
        asked = {index for index, value in enumerate(node.inputs) if value in shared}
        try:
            call = Call(self.op, node, schema, cotangents, chosen)
            results = cotangents_apart(self._layout, rule, call, asked)
            for index in sorted(asked):
                self._accumulate_apart(node.inputs[index], results[index])
        except MALFORMED as error:
            raise explained(error, node, schema) from error

    def _accumulate_apart(self, value: ir.Value | None, result: object) -> None:
        if isinstance(result, Unsupported):
            raise result
        if result is None or value is None:
            return
        if not isinstance(result, Tensor) or not isinstance(value.type, ir.TensorType):
            raise NotApart(f"the cotangent of the shared {value} is no tensor")
        self.accumulate(value, self._layout.of_shared(result, value))
