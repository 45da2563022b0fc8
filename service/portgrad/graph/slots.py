"""A node's operands and outputs under the names of its operator's schema; how a node is addressed.

A slot is one place in a node: operand `B` of a MatMul, or `inputs.2` of a Concat.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx
import onnx_ir as ir

# Opset 14 renamed the running statistics; who holds an older file knows them by these names.
FORMER_NAMES = {("", "BatchNormalization"): {"mean": "input_mean", "var": "input_var"}}

_VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic
_Formal = tuple[str, bool]  # name, variadic
_DIGITS = 10  # more than the number of any operand has


class Slots:
    """The slots of the nodes of one net, whose opset versions choose the schemas."""

    def __init__(self, opset_imports: Mapping[str, int]) -> None:
        self._opsets = opset_imports

    @property
    def opset(self) -> int:
        """The version of ai.onnx."""
        return self._opsets.get("", 1)

    def operands(self, node: ir.Node) -> dict[str, ir.Value]:
        """The operands that are there, by name in the schema's order; none without a schema."""
        return dict(_pair(self._formals(node)[0], node.inputs))

    def outputs(self, node: ir.Node) -> dict[str, ir.Value]:
        """The named outputs, by name in the schema's order; none without a schema."""
        return dict(_pair(self._formals(node)[1], node.outputs))

    def operand_name(self, node: ir.Node, index: int) -> str:
        """The name of the operand at a position: the position itself without a schema."""
        for place, (name, variadic) in enumerate(self._formals(node)[0]):
            if variadic:  # always the last one
                return f"{name}.{index - place}"
            if place == index:
                return name
        return str(index)

    def find(self, node: ir.Node, name: str) -> list[ir.Value]:
        """The values that fill the slots called `name`: none, one, or an operand and an output."""
        former = FORMER_NAMES.get((node.domain, node.op_type), {}).get(name)
        operands, outputs = self._formals(node)
        for called in (name, former):
            filled = (_at(operands, node.inputs, called), _at(outputs, node.outputs, called))
            if found := [value for value in filled if value is not None]:
                return found
        return []

    def _formals(self, node: ir.Node) -> tuple[Sequence[_Formal], Sequence[_Formal]]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        return _schema_formals(node.op_type, self._opsets.get(domain, 1), domain)


def addresses(nodes: Iterable[ir.Node]) -> dict[ir.Node, str]:
    """What each node is called: its name, or its first output where it has none of its own."""
    nodes = list(nodes)
    times = Counter(node.name for node in nodes)
    return {node: _own_name(node, times) or first_output(node) for node in nodes}


def first_output(node: ir.Node) -> str:
    """The name of the first output that a node has, or its operator if it has none."""
    return next((out.name for out in node.outputs if out.name), node.op_type)


def _own_name(node: ir.Node, times: Counter[str | None]) -> str | None:
    return node.name if times[node.name] == 1 else None


@functools.lru_cache(maxsize=1024)
def _schema_formals(
    op_type: str, version: int, domain: str
) -> tuple[tuple[_Formal, ...], tuple[_Formal, ...]]:
    if not onnx.defs.has(op_type, version, domain):
        return (), ()
    schema = onnx.defs.get_schema(op_type, version, domain)
    return (
        tuple((formal.name, formal.option == _VARIADIC) for formal in schema.inputs),
        tuple((formal.name, formal.option == _VARIADIC) for formal in schema.outputs),
    )


def _pair(
    formals: Sequence[_Formal], values: Sequence[ir.Value | None]
) -> Iterator[tuple[str, ir.Value]]:
    for name, value in zip(_spread(formals, len(values)), values, strict=False):
        if value is not None and value.name:
            yield name, value


def _at(
    formals: Sequence[_Formal], values: Sequence[ir.Value | None], name: str | None
) -> ir.Value | None:
    """The value in the slot of that name. A node may have very many: none but it is looked at."""
    place = _place(formals, name or "")
    value = values[place] if place is not None and place < len(values) else None
    return value if value is not None and value.name else None


def _place(formals: Sequence[_Formal], name: str) -> int | None:
    head, _, number = name.rpartition(".")
    for place, (formal, variadic) in enumerate(formals):
        if not variadic and formal == name:
            return place
        if variadic and formal == head and number.isdecimal() and len(number) < _DIGITS:
            return place + int(number) if str(int(number)) == number else None
    return None


def _spread(formals: Sequence[_Formal], count: int) -> list[str]:
    names: list[str] = []
    for name, variadic in formals:
        rest = range(count - len(names)) if variadic else ()
        names += [f"{name}.{i}" for i in rest] if variadic else [name]
    return names
