"""How a rule's parameters meet a node: by the names of the operator's schema, in lower case.

A rule is `(op, ct, <operands in the schema's order>, *, <outputs, attributes>)`. `ct` is the
cotangent of the first output, zeros where nothing arrived; a keyword `ct_<output>` is that of
another output, None where nothing arrived; `chosen` says whether a Where may leave elements out.
A variadic operand or output is a list. An output that a rule names is computed even if the net
leaves it out. An absent optional operand is None; an absent attribute has the schema's default, or
None. `**rest` is every attribute that the rule does not name, spelt as in the schema, to be passed
on as it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir

from portgrad.autodiff.emitter import schema_of
from portgrad.autodiff.tensor import Tensor
from portgrad.errors import Unsupported
from portgrad.graph.opsets import WORKING_OPSET

if TYPE_CHECKING:
    from portgrad.autodiff.vocabulary import Vocabulary

Schema = onnx.defs.OpSchema
_VARIADIC = Schema.FormalParameterOption.Variadic


def versions_between(op_type: str, domain: str, since: int, until: int | None) -> list[Schema]:
    """The schema versions in a range that a normalised net can contain, oldest first."""
    newest = onnx.defs.onnx_opset_version() if domain == "" else 10_000
    found: list[Schema] = []
    version = newest
    while version >= 1 and onnx.defs.has(op_type, version, domain):
        schema = onnx.defs.get_schema(op_type, version, domain)
        found.append(schema)
        if domain == "" and schema.since_version <= WORKING_OPSET:
            break
        version = schema.since_version - 1
    if not found:
        raise TypeError(f"no operator {op_type!r} in domain {domain!r}")
    return [
        schema
        for schema in reversed(found)
        if schema.since_version >= since and (until is None or schema.since_version < until)
    ]


@dataclass(frozen=True)
class Signature:
    """The parameters of a rule."""

    name: str
    operands: tuple[str, ...]
    keywords: tuple[str, ...]
    loose: bool  # elementwise and broadcasting rules may name their operands freely
    rest: bool  # `**rest`: the attributes that no keyword names, to be passed on

    @classmethod
    def of(cls, function: Callable[..., Any], leading: tuple[str, ...] = ("op", "ct")) -> Signature:
        """Read a function's parameters: the leading ones, then operands, then keywords."""
        signature = inspect.signature(function)
        kinds = signature.parameters.values()
        positional = [p.name for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD]
        keywords = [p.name for p in kinds if p.kind is p.KEYWORD_ONLY]
        if tuple(positional[: len(leading)]) != leading:
            first = " and ".join(leading)
            raise TypeError(f"rule {function.__name__}: the first parameters must be {first}")
        loose = getattr(function, "__wrapped__", None) is not None
        rest = any(p.kind is p.VAR_KEYWORD for p in kinds)
        operands = tuple(positional[len(leading) :])
        return cls(function.__name__, operands, tuple(keywords), loose, rest)

    @staticmethod
    def with_cotangent(
        function: Callable[..., Any], keywords: Sequence[str] = ()
    ) -> inspect.Signature:
        """The signature of a slope `(op, x, …)` as that of a vjp `(op, ct, x, …, keywords)`."""
        signature = inspect.signature(function)
        op, *rest = signature.parameters.values()
        ct = inspect.Parameter("ct", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in keywords]
        return signature.replace(parameters=[op, ct, *rest, *more])

    def check(self, schema: Schema) -> None:
        """Raise TypeError where the rule does not fit a version of its operator."""
        title = f"rule {self.name} against {schema.name}-{schema.since_version}"
        inputs = [formal.name.lower() for formal in schema.inputs]
        if len(inputs) != len(self.operands) or (not self.loose and list(self.operands) != inputs):
            raise TypeError(f"{title}: operands are {inputs}, the rule has {list(self.operands)}")
        unknown = set(self.keywords) - set(_keyword_sources(schema, self.loose))
        if unknown:
            raise TypeError(f"{title}: no output or attribute is called {sorted(unknown)}")


@functools.lru_cache(maxsize=2048)
def _keyword_sources(schema: Schema, loose: bool) -> dict[str, tuple[str, int | str]]:
    """What each possible keyword stands for: an output, a cotangent, an attribute."""
    sources: dict[str, tuple[str, int | str]] = {}
    for index, formal in enumerate(schema.outputs):
        sources[formal.name.lower()] = ("output", index)
        sources[f"ct_{formal.name.lower()}"] = ("cotangent", index)
    if loose:
        sources["y"] = ("output", 0)
    for name in schema.attributes:
        if name.lower() in sources:
            raise TypeError(f"{schema.name}: attribute and output are both called {name!r}")
        sources[name.lower()] = ("attribute", name)
    sources["node"] = ("node", 0)
    sources["chosen"] = ("chosen", 0)
    return sources


@dataclass(frozen=True)
class Call:
    """One node whose rule is to be called, with the cotangents that reached its outputs."""

    op: Vocabulary
    node: ir.Node
    schema: Schema
    cotangents: Sequence[Tensor | None]
    chosen: bool = False

    def positional(self, signature: Signature) -> list[Any]:
        """`op`, `ct` and the operands."""
        self._refuse_unread_cotangents(signature)
        return [self.op, self._first_cotangent(), *self.operands()]

    def operands(self) -> list[Any]:
        """The operands in the schema's order: None where one is left out, a list if variadic."""
        given, operands = self.given(), list[Any]()
        for index, formal in enumerate(self.schema.inputs):
            present = given[index:]
            if formal.option == _VARIADIC:
                operands.append([x for x in present if x is not None])
            else:
                operands.append(present[0] if present else None)
        return operands

    def given(self) -> list[Tensor | None]:
        """The node's operands one by one."""
        return [None if value is None else self.op.wrap(value) for value in self.node.inputs]

    def named(self, signature: Signature) -> dict[str, Any]:
        """The outputs, cotangents and attributes that the rule asks for."""
        sources = _keyword_sources(self.schema, signature.loose)
        named = {name: self._resolve(*sources[name]) for name in signature.keywords}
        return named | (self._rest(signature.keywords) if signature.rest else {})

    def _rest(self, keywords: Sequence[str]) -> dict[str, Any]:
        """The attributes that no keyword names, spelt as the standard does."""
        names = [name for name in self.schema.attributes if name.lower() not in keywords]
        return {name: self.attribute(name) for name in names}

    def line_up(self, results: Any) -> list[Any]:
        """A rule's results, variadic ones spread, one for each of the node's operands."""
        if len(results) != len(self.schema.inputs):
            raise TypeError(
                f"the rule of {self.schema.name} returned {len(results)} cotangents for "
                f"{len(self.schema.inputs)} operands"
            )
        flat: list[Any] = []
        for result in results:
            flat.extend(result if isinstance(result, list | tuple) else [result])
        return flat[: len(self.node.inputs)]

    def _resolve(self, kind: str, key: int | str) -> Any:
        if kind in {"node", "chosen"}:
            return self.node if kind == "node" else self.chosen
        if kind == "attribute":
            return self.attribute(str(key))
        if kind == "cotangent":
            return self._cotangent(int(key))
        return self._output(int(key))

    def _first_cotangent(self) -> Any:
        if self.schema.outputs[0].option == _VARIADIC:
            return list(self.cotangents)
        first = self._cotangent(0)
        return self.op.zeros_like(self._output(0)) if first is None else first

    def _cotangent(self, index: int) -> Tensor | None:
        return self.cotangents[index] if index < len(self.cotangents) else None

    def _output(self, index: int) -> Any:
        if self.schema.outputs[index].option == _VARIADIC:
            return [self.op.wrap(value) for value in self.node.outputs[index:]]
        return self.op.wrap(self.op.output_of(self.node, self.schema, index))

    def attribute(self, name: str) -> Any:
        """An attribute; where it is absent, the schema's default, or None."""
        given = self.node.attributes.get(name)
        if given is not None:
            return given.value
        default = self.schema.attributes[name].default_value
        if default.type == onnx.AttributeProto.UNDEFINED:
            return None
        value = onnx.helper.get_attribute_value(default)
        return value.decode() if isinstance(value, bytes) else value

    def _refuse_unread_cotangents(self, signature: Signature) -> None:
        """A cotangent at an output that the rule does not read would be lost without a word."""
        for index, formal in enumerate(self.schema.outputs[1:], start=1):
            name = formal.name.lower()
            if self._cotangent(index) is not None and f"ct_{name}" not in signature.keywords:
                raise Unsupported(
                    f"the rule of {self.schema.name} has no derivative through its output {name!r}"
                )


def has_function_body(schema: Schema) -> bool:
    """Whether the standard defines an operator by others."""
    # onnx's stubs leave these two properties out.
    return bool(schema.has_function or schema.has_context_dependent_function)  # type: ignore[attr-defined]


def schema_of_node(node: ir.Node, opset_imports: dict[str, int]) -> Schema | None:
    """The schema of a node in a graph, None for operators without one.

    A node that says its version has that one, whatever the graph's opset.
    """
    try:
        version = node.version or opset_imports.get(node.domain, 1)
        return schema_of(node.op_type, version, node.domain)
    except KeyError:
        return None
