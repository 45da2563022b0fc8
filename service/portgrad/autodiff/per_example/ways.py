"""The ways to the cotangents of what all examples share, at one node; by its operator.

summed       the operator's own rule, in which the words of the vocabulary that sum over the
             batch leave the examples apart
products     a few lines of its own, on operands in front form: see `products`
broadcast    the operator's own rule, on operands in front form that broadcast to each other:
             what a parameter was broadcast over is summed, but not over its first axis
moved        the operator's own rule, on operands in front form, its axes counted one further
one by one   the operator's own rule for one example after another: anything else
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portgrad.autodiff.binding import Call
from portgrad.autodiff.per_example.layout import Layout, NotApart
from portgrad.autodiff.per_example.one_by_one import one_by_one
from portgrad.autodiff.per_example.products import PRODUCTS
from portgrad.autodiff.registry import Cotangent, Rule
from portgrad.autodiff.tensor import Tensor

# What sums over the batch by words of the vocabulary alone, and has it where its schema says.
_SUMMED = frozenset(
    "BatchNormalization Conv ConvTranspose GroupNormalization InstanceNormalization".split()
)
_NORMS = frozenset("LayerNormalization RMSNormalization SimplifiedLayerNormalization".split())
_BROADCAST = _NORMS | {"Expand", "MatMul"}
# Elements that stay in their order.
_RESHAPING = frozenset("Cast CastLike Flatten Identity Reshape Squeeze Unsqueeze".split())


@dataclass(frozen=True)
class Lifted(Call):
    """A node's rule called for operands that have the examples in front.

    Attributes:
        stand_ins: what stands in for the node's operands.
        changed: attributes that are others there.
        shown: how an output of the node is seen.
    """

    stand_ins: Sequence[Tensor | None] = ()
    changed: Mapping[str, Any] = field(default_factory=dict)
    shown: Callable[[Tensor], Tensor] = lambda x: x

    def given(self) -> list[Tensor | None]:
        """The stand-ins."""
        return list(self.stand_ins)

    def _output(self, index: int) -> Any:
        found = super()._output(index)
        return list(map(self.shown, found)) if isinstance(found, list) else self.shown(found)

    def attribute(self, name: str) -> Any:
        """An attribute, as it is for operands with the examples in front."""
        return self.changed[name] if name in self.changed else super().attribute(name)


def cotangents(layout: Layout, rule: Rule, call: Call, asked: set[int]) -> Sequence[Cotangent]:
    """The cotangents of the asked operands, each with a leading axis of examples.

    Args:
        layout: where the examples lie.
        rule: the operator's.
        call: the node, with cotangents as the sweep has them.
        asked: places among the node's operands.
    """
    node, way = call.node, Way(layout, call, asked)
    name = node.op_type if node.domain == "" else ""
    if name in _SUMMED and layout.own(node.outputs[0]):
        with layout.op.examples_apart():
            return rule(call)
    if name in PRODUCTS and (name != "MatMul" or way.highest <= 2):
        return PRODUCTS[name](way.in_front())
    if name in _BROADCAST or (name and rule.signature.loose):
        return rule(way.broadcast())
    if name in _RESHAPING:
        return rule(way.in_front())
    if name == "Transpose":
        return rule(way.transposed())
    return one_by_one(layout, rule, call, asked)


class Way:
    """A node's operands and cotangents as its rule is to see them.

    Args:
        layout: where the examples lie.
        call: the node.
        asked: places of the operands whose cotangents are wanted.
    """

    def __init__(self, layout: Layout, call: Call, asked: set[int]) -> None:
        self._layout = layout
        self._call = call
        self._asked = asked

    @property
    def highest(self) -> int:
        """The highest rank of an asked operand."""
        ranks = [x.rank for i, x in enumerate(self._call.given()) if i in self._asked and x]
        return max(99 if rank is None else rank for rank in ranks)

    def in_front(self) -> Lifted:
        """All of them in front form."""
        return self._lifted([self._front(x) for x in self._call.given()])

    def broadcast(self) -> Lifted:
        """In front form, and aligned; other shared operands as they are."""
        call, rank = self._call, self._rank()
        if len(call.node.inputs) == 1:
            return self._lifted(call.given())
        stand_ins = [
            x if x is None else self._aligned(x, rank, index)
            for index, x in enumerate(call.given())
        ]
        changed = {}
        if call.node.op_type in _NORMS:
            axis = call.attribute("axis")
            changed["axis"] = axis if axis < 0 else axis - rank
        return self._lifted(stand_ins, changed)

    def transposed(self) -> Lifted:
        """The first axis stays where it is."""
        perm = self._call.attribute("perm") or list(range(self._rank()))[::-1]
        stand_ins = [self._front(x) for x in self._call.given()]
        return self._lifted(stand_ins, {"perm": [0, *(axis + 1 for axis in perm)]})

    def _lifted(
        self, stand_ins: Sequence[Tensor | None], changed: Mapping[str, Any] | None = None
    ) -> Lifted:
        call = self._call
        return Lifted(
            call.op,
            call.node,
            call.schema,
            self._cotangents(),
            call.chosen,
            stand_ins,
            changed or {},
            self._shown,
        )

    def _cotangents(self) -> list[Tensor | None]:
        pairs = zip(self._call.cotangents, self._call.node.outputs, strict=False)
        return [
            self._layout.front(ct, value) if ct is not None and self._layout.own(value) else ct
            for ct, value in pairs
        ]

    def _rank(self) -> int:
        """The rank of the first output for each example."""
        output = self._call.node.outputs[0]
        if output.shape is None:
            raise NotApart(f"the rank of {output.name!r} is not known")
        return len(output.shape)

    def _front(self, x: Tensor | None) -> Tensor | None:
        if x is None:
            return None
        own = self._layout.own(x.value)
        return self._layout.front(x, x.value) if own else self._layout.lifted(x)

    def _aligned(self, x: Tensor, rank: int, index: int) -> Tensor:
        if self._layout.own(x.value):
            return self._layout.aligned(self._layout.front(x, x.value), rank)
        return self._layout.lifted(x, rank) if index in self._asked else x

    def _shown(self, output: Tensor) -> Tensor:
        first = self._call.node.outputs[0]
        return self._layout.front(output, first) if self._layout.own(first) else output
