"""Codes: what quantisers make of numbers, integers or narrow floats. Exactly, no gradient passes.

With the straight-through estimator (`quantized: "straight_through"`), codes that were computed
from a target carry a cotangent, in float32 whatever their own dtype. It goes back through the
estimators of what makes and multiplies codes (`registry.straight_through`) and through operators
that move or choose codes, whose own rules are called on a copy of the node that computes in
float32. Any other operator on the way is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import onnx_ir as ir

from portgrad.autodiff.binding import Call, Schema, schema_of_node
from portgrad.autodiff.emitter import formal_type
from portgrad.autodiff.nesting import captures, subgraphs
from portgrad.autodiff.registry import Zero, estimator, lookup
from portgrad.autodiff.tensor import FLOATING, Tensor, may_carry
from portgrad.errors import Unsupported

Quantized = Literal["exact", "straight_through"]
EXACT: Quantized = "exact"
STRAIGHT_THROUGH: Quantized = "straight_through"

_MOVING = frozenset(
    "Clip Compress Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity Max "
    "MaxPool Min Pad ReduceMax ReduceMin Relu Reshape Resize ReverseSequence ScatterElements "
    "ScatterND Slice SpaceToDepth Split Squeeze Tile TopK Transpose Trilu Unsqueeze Where".split()
)
# Sums of codes, which these are wide enough for.
_ADDING, _ACCUMULATORS = {"Add", "Sub"}, {ir.DataType.INT32, ir.DataType.INT64}
_CASTING = frozenset({"Cast", "CastLike"})
_READING = frozenset({"DequantizeLinear"})  # their rules read codes as they are


def is_code(value: ir.Value) -> bool:
    """Whether a value may be made of codes: of integers or narrow floats, or sequences of them."""
    kind: ir.TypeProtocol | None = value.type
    while isinstance(kind, ir.SequenceType | ir.OptionalType):
        kind = kind.elem_type
    if not isinstance(kind, ir.TensorType) or may_carry(value):
        return False
    return kind.dtype.is_integer() or kind.dtype.is_floating_point()


def quantises(node: ir.Node) -> bool:
    """Whether the first output of a node is made of codes that it computes."""
    dynamic = node.domain == "" and node.op_type == "DynamicQuantizeLinear"
    known = dynamic or estimator(node.domain, node.op_type) is not None
    return known and is_code(node.outputs[0])


class Codes:
    """Which codes carry a cotangent, and how it passes a node.

    Args:
        opset_imports: the opset of each domain in the graph.
    """

    def __init__(self, opset_imports: Mapping[str, int]) -> None:
        self._opsets = dict(opset_imports)

    def carried(self, node: ir.Node, reached: Collection[ir.Value]) -> list[ir.Value]:
        """Those outputs of a node that are codes computed from what is reached."""
        if quantises(node):
            return [node.outputs[0]]
        if any(True for _ in subgraphs(node)):
            enters = any(v in reached and is_code(v) for v in (*node.inputs, *captures(node)) if v)
            made = enters or self._made_in(node)
            return [value for value in node.outputs if is_code(value) and made]
        given = [v for v in node.inputs if v is not None and v in reached and is_code(v)]
        if not given or isinstance(lookup(node.domain, node.op_type, 0), Zero):
            return []
        outputs = [value for value in node.outputs if is_code(value)]
        schema = schema_of_node(node, self._opsets)
        if schema is None or not _moves(node):
            return outputs
        first = {schema.outputs[0].type_str} if _is(node, _CASTING) else set()
        letters = first or {
            formal_type(schema, i) for i, value in enumerate(node.inputs) if value in given
        }
        return [v for v in outputs if schema.outputs[_slot(node, schema, v)].type_str in letters]

    def prepared(self, call: Call, wanted: Collection[ir.Value]) -> Call:
        """A node whose rule is to be called, or the copy of it that computes in float32.

        Raises:
            Unsupported: codes of which a gradient is wanted go into an operator that computes.
        """
        node = call.node
        given = [v for v in node.inputs if v is not None and v in wanted and is_code(v)]
        if not given or quantises(node) or node.op_type in _READING:
            return call
        if not _moves(node):
            raise _refused(given[0])
        letters = {
            call.schema.outputs[_slot(node, call.schema, value)].type_str
            for value, ct in zip(node.outputs, call.cotangents, strict=False)
            if ct is not None and is_code(value)
        }
        if _is(node, _CASTING):
            letters = {call.schema.inputs[0].type_str}
        # Without any letter, codes choose among numbers, as indices do.
        return replace(call, node=_in_floats(call, letters)) if letters else call

    def check_subgraphs(self, node: ir.Node, wanted: Collection[ir.Value]) -> None:
        """Raise Unsupported where codes go into the subgraphs of a node, or come out of them."""
        for value in (*node.inputs, *captures(node), *node.outputs):
            if value is not None and value in wanted and is_code(value):
                raise _refused(value)
        if self._made_in(node):
            raise Unsupported("codes of quantisation come out of its subgraph")

    def _made_in(self, node: ir.Node) -> bool:
        """Whether a body gives out codes that are computed from numbers inside."""
        for graph in subgraphs(node):
            reached = {value for value in (*graph.inputs, *captures(node)) if may_carry(value)}
            for inner in graph:
                if any(value in reached for value in (*inner.inputs, *captures(inner))):
                    reached.update(value for value in inner.outputs if may_carry(value))
                    reached.update(self.carried(inner, reached))
            if any(value in reached and is_code(value) for value in graph.outputs):
                return True
        return False


def _is(node: ir.Node, names: Collection[str]) -> bool:
    return node.domain == "" and node.op_type in names


def _moves(node: ir.Node) -> bool:
    """Whether each code that comes out of an operator is one that went in, or a sum of them."""
    mode = node.attributes.get("mode")
    if _is(node, {"Resize"}):
        return mode is None or mode.as_string() == "nearest"
    reduction = node.attributes.get("reduction")
    if reduction is not None and reduction.as_string() in {"add", "mul"}:
        return False
    if _is(node, _CASTING):
        return _holds(node)
    if _is(node, _ADDING):
        return node.outputs[0].dtype in _ACCUMULATORS
    return _is(node, _MOVING)


def _holds(node: ir.Node) -> bool:
    """Whether a cast of codes keeps each as it is."""
    before = None if node.inputs[0] is None else node.inputs[0].dtype
    after = node.outputs[0].dtype
    if before is None or after is None:
        return False
    return after in FLOATING or (
        (before.is_integer() and after.is_integer())
        and after.bitwidth >= before.bitwidth + (before.is_signed() != after.is_signed())
        and (after.is_signed() or not before.is_signed())
    )


def _slot(node: ir.Node, schema: Schema, value: ir.Value) -> int:
    return min(list(node.outputs).index(value), len(schema.outputs) - 1)


def _in_floats(call: Call, letters: Collection[str]) -> ir.Node:
    """A copy of a node, with its operands of some type parameters as float32."""
    op, node = call.op, call.node
    operands: list[Tensor | None] = []
    for index, value in enumerate(node.inputs):
        tensor = None if value is None else op.wrap(value)
        coded = tensor is not None and formal_type(call.schema, index) in letters
        operands.append(op.single(tensor) if tensor is not None and coded else tensor)
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    results = op.emit(call.schema, tuple(operands), attributes, len(node.outputs))
    for result, value in zip(results, node.outputs, strict=True):
        op.shaped_as(result, op.wrap(value))
    twin = results[0].value.producer()
    assert twin is not None
    return twin


def _refused(value: ir.Value) -> Unsupported:
    return Unsupported(
        f"the codes {value.name!r} reach it, and the straight-through estimator passes quantisers, "
        "products and wide sums of codes, and what moves or chooses codes only",
        remedy='Dequantise before this node, or leave `quantized` out ("exact").',
    )
