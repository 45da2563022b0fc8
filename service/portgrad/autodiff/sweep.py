"""The reverse traversal: from cotangents at outputs to cotangents at every active value."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import onnx_ir as ir

from portgrad.autodiff.binding import Call, Schema, schema_of_node
from portgrad.autodiff.joining import joined, plus
from portgrad.autodiff.nesting import captures
from portgrad.autodiff.registry import (
    Body,
    Control,
    Cotangent,
    Element,
    Entry,
    Refused,
    Rule,
    Zero,
    estimator,
    lookup,
)
from portgrad.autodiff.tensor import Tensor, may_carry
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import RunFailed, Unsupported, out_of_memory
from portgrad.graph.check import tidy

if TYPE_CHECKING:
    from portgrad.autodiff.codes import Codes

# What is noted of a node that its body has replaced, but for some outputs: why not, by position.
UNSAID = "portgrad/unsaid"
# What takes zeros to zeros without working element by element.
_MOVING = frozenset(
    "Cast CastLike Concat Dropout Expand Flatten Gather Identity ReduceMean ReduceSum Reshape "
    "Slice Split Squeeze Transpose Unsqueeze".split()
)
# What a rule or a body raises of a node that it refuses, or that no checker found to be malformed.
# A TypeError is a rule's own fault and stays one.
MALFORMED = (Unsupported, ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError)
_TYPELESS = "no rule is registered for it, and the type of what it computes is not known"


class Sweep:
    """Cotangents by value, while one graph is traversed backwards.

    Args:
        op: the emitter of the graph.
        opset_imports: the opset of each domain in the graph.
        codes: how cotangents pass quantised numbers; None where they do not.

    Attributes:
        chosen: the values of which a Where may leave elements out: see `chosen_from`.
        warnings: on nodes whose derivative is zero.
    """

    def __init__(
        self, op: Vocabulary, opset_imports: Mapping[str, int], codes: Codes | None = None
    ) -> None:
        self.op = op
        self.opsets = dict(opset_imports)
        self.codes = codes
        self.warnings: list[str] = []
        self._arrived: dict[ir.Value, list[Tensor]] = defaultdict(list)
        self._elements: dict[ir.Value, list[Element]] = defaultdict(list)
        self.chosen: set[ir.Value] = set()

    def accumulate(self, value: ir.Value, ct: Tensor) -> None:
        """Add a contribution to a value's cotangent, which lives in the value's own space.

        That of codes is float32.
        """
        coded = self.codes is not None and not may_carry(value)
        if ct.value.type != (ir.TensorType(ir.DataType.FLOAT) if coded else value.type):
            raise TypeError(f"cotangent of {value.name!r}: {ct.value.type} for {value.type}")
        self._arrived[value].append(ct)

    def cotangent(self, value: ir.Value) -> Tensor | None:
        """The total of what has arrived at a value, None where nothing has."""
        arrived, elements = self._arrived.get(value), self._elements.pop(value, [])
        if not arrived and not elements:
            return None
        first, *others = joined(self.op, arrived or [self.op.zeros_like(self.op.wrap(value))])
        total = functools.reduce(functools.partial(plus, self.op), others, first)
        for element in elements:
            total = self.op.add_element(total, element.position, element.ct)
        shape = self.like(value).value.shape
        if (
            shape is not None
            and isinstance(value.type, ir.TensorType)
            and total.value is not value
            and not total.value.is_graph_input()
        ):
            total.value.shape = ir.Shape(shape.dims)
        self._arrived[value] = [total]
        return total

    def like(self, value: ir.Value) -> Tensor:
        """What the cotangent of a value is shaped like."""
        return self.op.wrap(value)

    def alike(self) -> dict[ir.Value, ir.Value]:
        """Cotangents with their primals, and what else is known to have the shape of a value."""
        primals = {
            ct.value: self.like(value).value for value, cts in self._arrived.items() for ct in cts
        }
        pairs = {**self.op.alike, **primals}
        return {a: b for a, b in pairs.items() if isinstance(b.type, ir.TensorType)}

    def run(self, nodes: Iterable[ir.Node], wanted: set[ir.Value]) -> None:
        """Visit nodes, last first, and send cotangents to their wanted operands."""
        self.op.wanted = wanted
        for node in nodes:
            cotangents = [self.cotangent(value) for value in node.outputs]
            if any(ct is not None for ct in cotangents):
                self._visit(node, cotangents, wanted)

    def close(self) -> None:
        """Once all cotangents are asked for."""

    def _visit(self, node: ir.Node, cotangents: list[Tensor | None], wanted: set[ir.Value]) -> None:
        schema = schema_of_node(node, self.opsets)
        rule = self._rule(node, schema, cotangents)
        chosen = chosen_from(node, rule, self.chosen)
        if rule is None or schema is None:
            return
        try:
            if isinstance(rule, Control):
                if self.codes is not None:
                    self.codes.check_subgraphs(node, wanted)
                found = rule.function(self, node, cotangents, wanted)
            else:
                call = Call(self.op, node, schema, cotangents, chosen)
                results = rule(call if self.codes is None else self.codes.prepared(call, wanted))
                found = zip(node.inputs, results, strict=True)
            self._spread(found, wanted)
        except MALFORMED as error:
            raise explained(error, node, schema) from error

    def _spread(
        self, found: Iterable[tuple[ir.Value | None, Cotangent]], wanted: set[ir.Value]
    ) -> None:
        for operand, result in found:
            if operand in wanted and isinstance(result, Unsupported):
                raise result
            if operand is None or operand not in wanted:
                continue
            if isinstance(result, Tensor):
                self.accumulate(operand, result)
            elif isinstance(result, Element):
                self._elements[operand].append(result)

    def _rule(
        self, node: ir.Node, schema: Schema | None, cotangents: list[Tensor | None]
    ) -> Rule | Control | None:
        entry = self._entry(node, schema)
        if isinstance(entry, Rule | Control):
            return entry
        if isinstance(entry, Body):
            entry = _unsaid(node, cotangents)
        if isinstance(entry, Zero):
            if entry.warning:
                self.warnings.append(f"{described(node)}: {entry.warning}")
            return None
        reason = "no rule is registered for it" if entry is None else entry.reason
        raise explained(Unsupported(reason), node, schema)

    def _entry(self, node: ir.Node, schema: Schema | None) -> Entry | None:
        estimate = None if self.codes is None else estimator(node.domain, node.op_type)
        version = schema.since_version if schema is not None else 0
        return estimate or lookup(node.domain, node.op_type, version)


def _unsaid(node: ir.Node, cotangents: list[Tensor | None]) -> Zero | Refused:
    """What becomes of the cotangent of an output that a node's body does not give."""
    index = next(k for k, ct in enumerate(cotangents) if ct is not None)
    found = node.meta.get(UNSAID, {}).get(index)
    if isinstance(found, Zero):
        return found
    default = f"no derivative is built through its output {node.outputs[index].name!r}"
    return Refused(found or default)


def chosen_from(node: ir.Node, entry: object, chosen: set[ir.Value]) -> bool:
    """Whether a Where may leave elements of what a node computes out.

    Their cotangent is an exact 0 then. It stays one through operators that work element by
    element or move elements, so the operands of these are chosen from too.

    Args:
        node: the node.
        entry: what is registered of its operator.
        chosen: the values that are chosen from, which grows.
    """
    some = any(value in chosen for value in node.outputs)
    pointwise = isinstance(entry, Rule) and entry.signature.loose
    if node.op_type == "Where" or (some and (pointwise or node.op_type in _MOVING)):
        chosen.update(value for value in node.inputs if value is not None)
    return some


def described(node: ir.Node) -> str:
    """A node as users know it: operator and name, or first output where it has none."""
    domain = f"{node.domain}." if node.domain else ""
    return f"{domain}{node.op_type} node {label(node)!r}"


def label(node: ir.Node) -> str:
    """A node's name, or its first output where it has none."""
    return str(node.name or next((v.name for v in node.outputs if v.name), node.op_type))


def explained(error: Exception, node: ir.Node, schema: Schema | None) -> Unsupported | RunFailed:
    """The error with the node, the operator and its version in front of the reason."""
    if isinstance(error, MemoryError):
        return out_of_memory(described(node))
    if not isinstance(error, Unsupported):
        text = f"its operands and attributes do not fit together: {tidy(str(error))}"
        error = Unsupported(text, remedy="Check the node against its operator.")
    if error.where is not None:
        return error
    version = f" (version {schema.since_version})" if schema is not None else ""
    return Unsupported(
        f"The gradient needs {described(node)}{version}: {error.detail.rstrip('.')}.",
        code=error.code,
        where=label(node),
        expected="an operator with a derivative on every path from wrt to the outputs",
        found=f"{node.domain or 'ai.onnx'}.{node.op_type}",
        remedy=error.remedy or "Ask for targets after it (`wrt`), or for values before it (`of`).",
    )


def active(
    nodes: Iterable[ir.Node],
    wrt: Iterable[ir.Value],
    of: Iterable[ir.Value],
    codes: Codes | None = None,
) -> tuple[list[ir.Node], set[ir.Value]]:
    """What lies on a path of floating values from wrt to of: nodes, last first, and values.

    With `codes`, the path may lead through quantised numbers.

    Raises:
        Unsupported: a value on the path has no known type, as after another domain's operator.
    """
    ordered = list(nodes)
    reached = set(wrt)
    forward: list[ir.Node] = []
    for node in ordered:
        if any(value in reached for value in (*node.inputs, *captures(node))):
            forward.append(node)
            reached.update(value for value in node.outputs if _may_float(node, value))
            reached.update(codes.carried(node, reached) if codes is not None else ())
    needed = set(of)
    backward: list[ir.Node] = []
    for node in reversed(forward):
        if any(value in needed for value in node.outputs):
            backward.append(node)
            needed.update(v for v in (*node.inputs, *captures(node)) if v is not None)
    wanted = reached & needed
    for node in reversed(backward):
        if any(value in wanted and value.type is None for value in node.outputs):
            raise explained(Unsupported(_TYPELESS), node, None)
    return backward, wanted


def _may_float(node: ir.Node, value: ir.Value) -> bool:
    """Whether a gradient may flow through an output of a node; that of unknown type may carry one.

    Nothing flows through an operator whose derivative is zero, of whatever type its output is.
    """
    if value.type is None:
        return not isinstance(lookup(node.domain, node.op_type, 0), Zero)
    return may_carry(value)
