"""Differentiating a subgraph: its nodes are run again and swept, wherever their cotangents are.

A copy of the body goes into the graph that computes the cotangents, with its inputs bound to
values there. Nothing that the forward pass computed inside a body is needed but what the inputs
are bound to, so bodies nest to any depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

from portgrad.autodiff.infer import Dims, as_shape
from portgrad.autodiff.nesting import captures, with_inner
from portgrad.autodiff.sweep import Sweep, active, explained
from portgrad.autodiff.tensor import Tensor, may_carry
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import Unsupported
from portgrad.graph.draws import draws


class Subgraph:
    """A new subgraph under construction, with an emitter of its own.

    Args:
        outer: the sweep of the graph around it.
        name: the subgraph's name.
    """

    def __init__(self, outer: Sweep, name: str) -> None:
        self.graph = ir.Graph((), (), nodes=(), name=name)
        self.op = Vocabulary(self.graph, outer.op.opset, outer.op.fresh)
        self.op.places = outer.op.places
        self._outer = outer

    def input(self, stem: str, kind: ir.TypeProtocol, shape: Dims | None) -> Tensor:
        """A new input."""
        value = ir.Value(name=self.op.fresh(stem), type=kind)
        value.shape = as_shape(shape)
        self.graph.inputs.append(value)
        return self.op.wrap(value)

    def give(self, result: Tensor, like: Tensor | None = None) -> None:
        """Make a value an output, of the shape of another one where that is known."""
        value = self.op.alias(result, self.op.fresh("result"))
        if like is not None and isinstance(value.type, ir.TensorType):
            self.op.shaped_as(self.op.wrap(value), like)
        self.graph.outputs.append(value)

    def cotangents(
        self,
        body: ir.Graph,
        bound: Sequence[Tensor],
        given: Sequence[Tensor | None],
        targets: Iterable[ir.Value],
        *,
        arrived: Mapping[ir.Value, Tensor] | None = None,
        final: Sequence[ir.Value] = (),
    ) -> dict[ir.Value, Tensor]:
        """Run a body again and sweep it.

        Args:
            body: the body, which stays as it is.
            bound: what its inputs are.
            given: the cotangents of its outputs.
            targets: inputs of the body, or values that it captures.
            arrived: what has reached some of the targets already, to be added to.
            final: what the outputs are outside. Where elements of them may be left out, elements
                of the outputs may be.

        Returns:
            The cotangents of the targets; zeros where nothing arrives.
        """
        bound = self._apart(bound)
        inputs = dict(zip(body.inputs, bound, strict=True))
        starts = {v: inputs[v].value if v in inputs else v for v in targets}
        nodes, results = self.op.inline(body, bound)
        _refuse_fresh_draws(nodes)
        pairs = [(y, ct) for y, ct in zip(results, given, strict=True) if ct is not None]
        codes = self._outer.codes
        path, wanted = active(nodes, starts.values(), [y for y, _ in pairs], codes)
        sweep = Sweep(self.op, self._outer.opsets, codes)
        for value, ct in pairs:
            if value in wanted:
                sweep.accumulate(value, self.op.wrap(ct.value))
        for target, ct in (arrived or {}).items():
            sweep.accumulate(starts[target], ct)
        chosen = self._outer.chosen
        sweep.chosen.update(y for y, value in zip(results, final, strict=False) if value in chosen)
        sweep.run(path, wanted)
        chosen.update(target for target, start in starts.items() if start in sweep.chosen)
        self._outer.warnings.extend(sweep.warnings)
        return {
            target: sweep.cotangent(start) or self.op.zeros_like(self.op.wrap(start))
            for target, start in starts.items()
        }

    def _apart(self, bound: Sequence[Tensor]) -> list[Tensor]:
        """What inputs are bound to, each a value of its own: a cotangent belongs to one input."""
        found: dict[ir.Value, Tensor] = {}
        for tensor in bound:
            again = tensor.value in found
            mine = self.op.wrap(self.op.alias(tensor, self.op.fresh("again"))) if again else tensor
            found[mine.value] = mine
        return list(found.values())


def _refuse_fresh_draws(nodes: Iterable[ir.Node]) -> None:
    """What draws at random would draw anew, and the gradient be that of other numbers."""
    node = next(filter(draws, with_inner(nodes)), None)
    if node is not None:
        reason = "it draws at random in a body that the backward pass runs again"
        remedy = (
            "Seed the net (`portgrad.autodiff.randomness.seeded`), which a call does by itself."
        )
        raise explained(Unsupported(reason, remedy=remedy), node, None)


def captured(bodies: Iterable[ir.Node], wanted: set[ir.Value]) -> list[ir.Value]:
    """The wanted floating values that the subgraphs of nodes capture, each once."""
    found = (value for node in bodies for value in captures(node))
    return list(dict.fromkeys(v for v in found if v in wanted and may_carry(v)))


def prune(graph: ir.Graph) -> None:
    """Remove the nodes of a graph that none of its outputs needs."""
    for node in reversed(list(graph)):
        if any(value.uses() or value.is_graph_output() for value in node.outputs):
            continue
        for inner in with_inner([node]):
            for index in range(len(inner.inputs)):
                inner.replace_input_with(index, None)
        graph.remove(node)
