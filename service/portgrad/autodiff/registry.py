"""What is known of each operator: a rule, a body, zero, or refused. All register when imported.

`vjp(...)` takes the whole rule: cotangents in, cotangents of the operands out.
`body(...)` takes an operator's meaning: operands in, the same outputs out of other operators.
`elementwise(...)` takes a unary rule that returns dy/dx.
`broadcasting(...)` takes a vjp whose results are summed back to each operand's shape.
`zero(...)` and `refuse(...)` list operators by name.
`straight_through(...)` takes the vjp of a quantiser's estimator, for requests that choose it.
`control(...)` takes how a node with subgraphs is differentiated: see `control`.
`shaped(...)` takes what the shapes of an operator follow from that has no body.
`double_body(...)` takes an operator's meaning in float64, for runtimes without a kernel: `doubles`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portgrad.autodiff.binding import Call, Signature, versions_between
from portgrad.autodiff.tensor import Tensor
from portgrad.errors import Unsupported


@dataclass(frozen=True)
class Element:
    """A sequence's cotangent that is zero but for one element.

    Not written out, since a loop that reads an element on each trip would write out the whole
    sequence each time.
    """

    position: Tensor
    ct: Tensor


# What a rule gives for one operand: its cotangent; None where none exists (indices, shapes);
# Unsupported where one exists but is not built, which is raised only if it is wanted.
Cotangent = Tensor | Element | Unsupported | None
Cotangents = Sequence[Cotangent | Sequence[Cotangent]]
Function = Callable[..., Any]


def _several(results: Any) -> Sequence[Any]:
    """What a function returned, which for one result is that alone."""
    return results if isinstance(results, list | tuple) else (results,)


@dataclass(frozen=True)
class Rule:
    """A vjp rule and the schema versions that it serves."""

    function: Function
    signature: Signature
    since: int
    until: int | None
    kink: str | None
    cost: str | None = None

    def __call__(self, call: Call) -> list[Cotangent]:
        """Cotangents lined up with the node's operands."""
        results = self.function(*call.positional(self.signature), **call.named(self.signature))
        return call.line_up(_several(results))


@dataclass(frozen=True)
class Body:
    """An operator that is replaced by others that compute the same, which have rules: `bodies`.

    The function takes `op`, the operands, and by keyword attributes and `node`; it gives the
    outputs: None for one that the node itself goes on computing (integers, text), Unsupported for
    one that cannot be said in other operators, Zero for one that is piecewise constant.
    """

    function: Function
    signature: Signature
    since: int
    until: int | None
    kink: str | None
    cost: str | None = None

    def __call__(self, call: Call) -> list[Result]:
        """The outputs, lined up with the schema's as far as the function gives them."""
        results = self.function(call.op, *call.operands(), **call.named(self.signature))
        return list(_several(results))


@dataclass(frozen=True)
class Control:
    """How a node with subgraphs is differentiated: see `control`.

    The function takes the sweep, the node, the cotangents of its outputs and the wanted values; it
    gives the cotangents of operands and captured values.
    """

    function: Function
    cost: str | None = None


@dataclass(frozen=True)
class Zero:
    """The derivative is zero wherever it exists; `warning` says why that may surprise."""

    warning: str | None


@dataclass(frozen=True)
class Refused:
    """No derivative on principle."""

    reason: str


# What a body gives for one output.
Result = Tensor | Unsupported | Zero | None
Entry = Rule | Body | Control | Zero | Refused
_ENTRIES: dict[tuple[str, str], list[Entry]] = {}
_ESTIMATORS: dict[tuple[str, str], Rule] = {}
_SHAPES: dict[tuple[str, str], Body] = {}
_MEANINGS: dict[tuple[str, str], Body] = {}
_DOUBLES: dict[tuple[str, str], tuple[Body, bool]] = {}


def lookup(domain: str, op_type: str, version: int) -> Entry | None:
    """What is known of an operator at a schema version; None where nothing is."""
    for entry in _ENTRIES.get((domain, op_type), ()):
        if not isinstance(entry, Rule | Body):
            return entry
        if entry.since <= version and (entry.until is None or version < entry.until):
            return entry
    return None


def estimator(domain: str, op_type: str) -> Rule | None:
    """The straight-through estimator of an operator that makes codes of numbers; else None."""
    return _ESTIMATORS.get((domain, op_type))


def shapes() -> dict[tuple[str, str], Body]:
    """What the shapes of operators follow from that have neither a body nor onnx's inference."""
    return dict(_SHAPES)


def meaning(domain: str, op_type: str) -> Body | None:
    """What an operator computes that has a rule or none, but that is none of the standard's."""
    return _MEANINGS.get((domain, op_type))


def entries() -> dict[tuple[str, str], list[Entry]]:
    """Everything that is registered, by (domain, operator)."""
    return dict(_ENTRIES)


def _add(op_type: str, domain: str, entry: Entry) -> None:
    """Keep an entry; two that serve the same version would hide one another."""
    others = _ENTRIES.setdefault((domain, op_type), [])
    if any(_overlap(entry, other) for other in others):
        raise TypeError(f"{domain or 'ai.onnx'}.{op_type} is registered twice")
    others.append(entry)


def _overlap(one: Entry, other: Entry) -> bool:
    if not isinstance(one, Rule | Body) or not isinstance(other, Rule | Body):
        return True
    first, second = sorted((one, other), key=lambda entry: entry.since)
    return first.until is None or second.since < first.until


def _checked(
    signature: Signature, op_type: str, domain: str, since: int = 1, until: int | None = None
) -> Signature:
    """A signature that fits every schema version in a range; TypeError where it does not."""
    for schema in versions_between(op_type, domain, since, until):
        signature.check(schema)
    return signature


def vjp(
    op_type: str,
    *,
    domain: str = "",
    since: int = 1,
    until: int | None = None,
    kink: str | None = None,
    cost: str | None = None,
) -> Callable[[Function], Function]:
    """Register a vjp rule, checked against every schema version in its range.

    Args:
        op_type: the operator.
        domain: its domain.
        since: the first schema version that the rule serves.
        until: the first one that it no longer serves.
        kink: the convention at points without a derivative, in words.
        cost: what is dear about it beyond a few passes over its operands, in words.
    """

    def register(function: Function) -> Function:
        signature = _checked(Signature.of(function), op_type, domain, since, until)
        _add(op_type, domain, Rule(function, signature, since, until, kink, cost))
        return function

    return register


def body(
    op_type: str,
    *,
    domain: str = "",
    since: int = 1,
    until: int | None = None,
    kink: str | None = None,
    cost: str | None = None,
) -> Callable[[Function], Function]:
    """Register what an operator is made of; arguments as those of `vjp`."""

    def register(function: Function) -> Function:
        named = Signature.of(function, leading=("op",))
        signature = _checked(named, op_type, domain, since, until)
        _add(op_type, domain, Body(function, signature, since, until, kink, cost))
        return function

    return register


def shaped(op_type: str, *, domain: str, whole: bool = False) -> Callable[[Function], Function]:
    """Register what the shapes of an operator follow from: written like a body, but never run.

    With `whole`, it computes the numbers too, and stands for the operator in a graph of standard
    operators alone (`standard`).
    """

    def register(function: Function) -> Function:
        signature = _checked(Signature.of(function, leading=("op",)), op_type, domain)
        body = Body(function, signature, 1, None, None)
        _SHAPES[domain, op_type] = body
        if whole:
            _MEANINGS[domain, op_type] = body
        return function

    return register


def double_body(
    op_type: str, *, domain: str = "", instead: bool = False
) -> Callable[[Function], Function]:
    """Register what an operator computes in float64, said in operators with such kernels.

    Args:
        op_type: the operator.
        domain: its domain.
        instead: whether it stands in also where the runtime has a kernel, which is not one of
            float64 or refuses to run.
    """

    def register(function: Function) -> Function:
        signature = _checked(Signature.of(function, leading=("op",)), op_type, domain)
        if (domain, op_type) in _DOUBLES:
            raise TypeError(f"{domain or 'ai.onnx'}.{op_type} is said in double twice")
        _DOUBLES[domain, op_type] = Body(function, signature, 1, None, None), instead
        return function

    return register


def in_double(domain: str, op_type: str) -> tuple[Body, bool] | None:
    """What `double_body` registered, and whether it stands in for a kernel too; else None."""
    return _DOUBLES.get((domain, op_type))


def elementwise(
    op_type: str, *, singular: bool = False, **options: Any
) -> Callable[[Function], Function]:
    """Register a unary rule `(op, x, *, y, **attributes) -> dy/dx`.

    With `singular`, the slope may be infinite, or no number where the operator has no value.
    """

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def rule(op: Any, ct: Tensor, x: Tensor, *rest: Any, **named: Any) -> Cotangents:
            chosen = named.pop("chosen", False)
            slope = function(op, x, *rest, **named)
            product = op.times_slope(ct, slope) if chosen else ct * slope
            return (product, *(None for _ in rest))

        more = ("chosen",) if singular else ()
        rule.__signature__ = Signature.with_cotangent(function, more)  # type: ignore[attr-defined]
        vjp(op_type, **options)(rule)
        return function

    return register


def broadcasting(op_type: str, **options: Any) -> Callable[[Function], Function]:
    """Register a vjp whose results are summed back to the shape of each operand."""

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def rule(op: Any, ct: Tensor, *operands: Any, **named: Any) -> Cotangents:
            results = function(op, ct, *operands, **named)
            return [_summed_back(op, c, x) for c, x in zip(results, operands, strict=True)]

        vjp(op_type, **options)(rule)
        return function

    return register


def _summed_back(op: Any, result: Any, operand: Any) -> Any:
    if isinstance(operand, list):
        return [_summed_back(op, c, x) for c, x in zip(result, operand, strict=True)]
    return op.unbroadcast(result, operand) if isinstance(result, Tensor) else result


def straight_through(op_type: str, *, domain: str = "") -> Callable[[Function], Function]:
    """Register the estimator of a quantiser, an operator whose first output is made of codes."""

    def register(function: Function) -> Function:
        signature = _checked(Signature.of(function), op_type, domain)
        if (domain, op_type) in _ESTIMATORS:
            raise TypeError(f"{domain or 'ai.onnx'}.{op_type} has two estimators")
        _ESTIMATORS[domain, op_type] = Rule(function, signature, 1, None, None)
        return function

    return register


def control(op_type: str, *, cost: str | None = None) -> Callable[[Function], Function]:
    """Register how a node with subgraphs is differentiated."""

    def register(function: Function) -> Function:
        _add(op_type, "", Control(function, cost))
        return function

    return register


def zero(*op_types: str, domain: str = "", warning: str | None = None) -> None:
    """Register operators whose derivative is zero wherever it exists."""
    for op_type in op_types:
        versions_between(op_type, domain, 1, None)
        _add(op_type, domain, Zero(warning))


def refuse(*op_types: str, because: str, domain: str = "") -> None:
    """Register operators that have no derivative on principle."""
    for op_type in op_types:
        versions_between(op_type, domain, 1, None)
        _add(op_type, domain, Refused(because))
