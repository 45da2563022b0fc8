"""The ways to the cotangents of what all examples share, at one node; by its operator.

summed       the operator's own rule, in which the words of the vocabulary that sum over the
             batch leave the examples apart
products     a few lines of its own, on operands in front form: see `products`
broadcast    the operator's own rule, on operands in front form that broadcast to each other:
             what a parameter was broadcast over is summed, but not over its first axis
moved        the operator's own rule, on operands in front form, its axes counted from the end
lettered     the operator's own rule, on operands in front form, whose first axis has a letter
one by one   the operator's own rule for one example after another: anything else
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portgrad.autodiff.binding import Call
from portgrad.autodiff.per_example.layout import Layout, NotApart
from portgrad.autodiff.per_example.one_by_one import one_by_one
from portgrad.autodiff.per_example.products import PRODUCTS
from portgrad.autodiff.registry import Cotangent, Rule
from portgrad.autodiff.tensor import Tensor

_SUMMED = (
    "BatchNormalization Conv ConvTranspose GroupNormalization InstanceNormalization GRU LSTM RNN"
)
_MOVED = (
    "Cast CastLike Concat Flatten Identity LogSoftmax Reshape Softmax Squeeze Transpose Unsqueeze"
)
_BROADCAST = "Expand LayerNormalization RMSNormalization SimplifiedLayerNormalization"
_WAYS = {
    name: way
    for way, names in (
        ("summed", _SUMMED),
        ("products", " ".join(PRODUCTS)),
        ("broadcast", _BROADCAST),
        ("moved", _MOVED),
        ("lettered", "Einsum"),
    )
    for name in names.split()
}


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
    operands = Operands(layout, call, asked)
    match _way(layout, rule, call, asked):
        case "summed":
            with layout.op.examples_apart():
                return rule(call)
        case "products":
            return PRODUCTS[call.node.op_type](operands.in_front())
        case "broadcast":
            return rule(operands.broadcast())
        case "moved":
            return rule(operands.moved())
        case "lettered":
            return rule(operands.lettered())
    return one_by_one(layout, rule, call, asked)


def _way(layout: Layout, rule: Rule, call: Call, asked: set[int]) -> str | None:
    node = call.node
    if node.domain != "":
        return None
    if node.op_type == "MatMul":
        return _way_of_product(call, asked)
    if node.op_type == "Einsum" and not _spelled(call.attribute("equation")):
        return None
    way = _WAYS.get(node.op_type, "broadcast" if rule.signature.loose else None)
    return way if way != "summed" or any(map(layout.plain, node.outputs)) else None


def _spelled(equation: object) -> bool:
    """Whether an equation names all axes and the output."""
    return "->" in str(equation) and "." not in str(equation)


def _way_of_product(call: Call, asked: set[int]) -> str | None:
    """A matrix or a vector takes part in one product, a stack is what matrices broadcast to."""
    ranks = [call.op.rank(x) for x in call.given() if x is not None]
    if all(ranks[index] <= 2 for index in asked):
        return "products"
    return "broadcast" if min(ranks) > 1 else None


class Operands:
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
        norm = call.node.op_type.endswith("Normalization")
        return self._lifted(stand_ins, {"axis": self._from_end(rank)} if norm else None)

    def moved(self) -> Lifted:
        """In front form, with axes counted from the end; the first axis stays where it is."""
        name, rank = self._call.node.op_type, self._rank()
        changed: dict[str, Any] = {}
        if name == "Transpose":
            perm = self._call.attribute("perm") or list(range(rank))[::-1]
            changed["perm"] = [0, *(axis + 1 for axis in perm)]
        elif name in {"Concat", "LogSoftmax", "Softmax"}:
            changed["axis"] = self._from_end(rank)
        return self._lifted([self._front(x) for x in self._call.given()], changed)

    def lettered(self) -> Lifted:
        """In front form, with a letter for the examples; other shared operands as they are."""
        terms, _, output = str(self._call.attribute("equation")).replace(" ", "").partition("->")
        letter = next(letter for letter in string.ascii_letters if letter not in terms + output)
        stand_ins: list[Tensor | None] = []
        named = []
        for index, (x, term) in enumerate(zip(self._call.given(), terms.split(","), strict=True)):
            apart = x is not None and (index in self._asked or self._layout.own(x.value))
            stand_ins.append(self._front(x) if apart else x)
            named.append(letter + term if apart else term)
        equation = f"{','.join(named)}->{letter}{output}"
        return self._lifted(stand_ins, {"equation": equation})

    def _from_end(self, rank: int) -> int:
        axis = int(self._call.attribute("axis"))
        return axis if axis < 0 else axis - rank

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
