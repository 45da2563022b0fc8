"""Every operator of the known domains and what becomes of its gradient, read off the registry.

`python -m portgrad.autodiff.catalogue` prints docs/reference/operators.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import onnx

from portgrad.autodiff import rules
from portgrad.autodiff.binding import has_function_body, versions_between
from portgrad.autodiff.registry import Body, Control, Entry, Refused, Rule, Zero, entries

DOMAINS = {
    "": (
        "ai.onnx",
        "Nets below opset 21 are brought to 21 first ([how](../decisions/0005-opsets.md)), so the "
        "versions are those from 21 on, and what ended before (Upsample, Scatter) is not listed.",
    ),
    "ai.onnx.ml": (
        "ai.onnx.ml",
        "Classical models, as [scikit-learn's converters](../howto/scikit-learn.md) write them.",
    ),
    "com.microsoft": (
        "com.microsoft",
        "Operators of onnxruntime that have a CPU kernel, as its optimizer and exporters write "
        "them.",
    ),
}
# Words of the column `gradient`, in the order in which the page explains them.
MEANINGS = {
    "rule": "a rule of its own",
    "body": "differentiated through the operators that it is made of",
    "zero": "zero wherever it exists; an answer carries the note as a warning",
    "none": "nothing floating comes out, or nothing that depends on a floating number",
    "refused": "the problem `unsupported_operator`, for the reason in the note",
    "missing": "the problem `unsupported_operator`: not known here",
}


@dataclass(frozen=True)
class NodeTests:
    """How many of ONNX's node tests have a gradient that agrees with central differences."""

    agree: int
    of: int


@dataclass(frozen=True)
class Operator:
    """One operator: its schema versions at the working opset and beyond, and its gradient.

    Attributes:
        domain: `ai.onnx`, `ai.onnx.ml` or `com.microsoft`.
        name: the operator.
        versions: the schema versions that a normalised net can contain.
        gradient: a word of `MEANINGS`.
        note: the convention at points without a derivative; of zero, the warning; of refused, the
            reason.
        cost: what is dear about the gradient, where something is.
        node_tests: of ONNX's own node tests of it with floats in and out, of how many the gradient
            agrees with central differences; None where ONNX has none.
    """

    domain: str
    name: str
    versions: tuple[int, ...]
    gradient: str
    note: str
    cost: str
    node_tests: NodeTests | None = None

    def plain(self) -> dict[str, Any]:
        """The operator as plain data."""
        return asdict(self)


def catalogue() -> list[Operator]:
    """All operators of the known domains, by domain and name."""
    assert rules  # importing them registers them
    known = {(s.domain, s.name) for s in onnx.defs.get_all_schemas() if not s.deprecated}
    known |= set(entries())
    tested = node_tests()
    return [_operator(domain, name, tested) for domain, name in sorted(known) if domain in DOMAINS]


def node_tests() -> dict[str, NodeTests]:
    """By operator of ai.onnx and ai.onnx.ml, what the tests have seen: see `node_case_report`."""
    text = resources.files(__package__).joinpath("node_tests.json").read_text("utf-8")
    return {name: NodeTests(*counts) for name, counts in json.loads(text).items()}


def _operator(domain: str, name: str, tested: dict[str, NodeTests]) -> Operator:
    schemas = versions_between(name, domain, 1, None)
    found = entries().get((domain, name), [])
    versions = tuple(schema.since_version for schema in schemas)
    gradient = (
        _gradient(found[0]) if found else "body" if has_function_body(schemas[-1]) else "missing"
    )
    notes = "; ".join(dict.fromkeys(_notes(found)))
    costs = (e.cost for e in found if isinstance(e, Rule | Body | Control) and e.cost)
    cost = "; ".join(dict.fromkeys(costs))
    seen = None if domain == "com.microsoft" else tested.get(name)
    return Operator(DOMAINS[domain][0], name, versions, gradient, notes, cost, seen)


def _gradient(entry: Entry) -> str:
    if isinstance(entry, Rule | Control):
        return "rule"
    if isinstance(entry, Body):
        return "body"
    if isinstance(entry, Zero):
        return "zero" if entry.warning else "none"
    return "refused"


def _notes(found: list[Entry]) -> Iterator[str]:
    for entry in found:
        if isinstance(entry, Rule | Body) and entry.kink:
            yield entry.kink
        elif isinstance(entry, Zero) and entry.warning:
            yield entry.warning
        elif isinstance(entry, Refused):
            yield entry.reason


def page() -> str:
    """The reference page of operators."""
    operators = catalogue()
    names = [name for name, _ in DOMAINS.values()]
    lines = [
        "# Operators",
        "",
        "What becomes of the gradient of each operator. The note is what holds where there is no",
        "derivative ([beside torch's](../decisions/0004-kinks.md)), the warning, or the reason;",
        "the cost is told where a gradient takes much more than its operator. `GET /operators`",
        "gives this list, and `portgrad check net.onnx` what of it a net uses.",
        "",
        f"| gradient | {' | '.join(names)} | meaning |",
        f"| --- |{' --- |' * len(names)} --- |",
    ]
    for word, meaning in MEANINGS.items():
        counts = [
            str(sum(o.gradient == word and o.domain == name for o in operators)) for name in names
        ]
        lines.append(f"| {word} | {' | '.join(counts)} | {meaning} |")
    tested = node_tests().values()
    lines += [
        "",
        "`node tests` says of how many of ONNX's own tests of an operator, floats in and out, the",
        f"gradient agrees with central differences in float64: {sum(t.agree for t in tested)} of "
        f"{sum(t.of for t in tested)} (onnx {onnx.__version__}).",
        "",
        "Generated by `python -m portgrad.autodiff.catalogue`.",
    ]
    for name, about in DOMAINS.values():
        lines += ["", f"## {name}", "", about, ""]
        columns = ["operator", "versions", "gradient", "note", "cost", "node tests"]
        lines += [f"| {' | '.join(columns)} |", "| --- |" + " --- |" * (len(columns) - 1)]
        lines += [_row(o) for o in operators if o.domain == name]
    return "\n".join(lines) + "\n"


def _row(operator: Operator) -> str:
    versions = ", ".join(str(version) for version in operator.versions)
    tested = operator.node_tests
    count = f"{tested.agree} of {tested.of}" if tested else ""
    cells = (operator.name, versions, operator.gradient, operator.note, operator.cost, count)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
