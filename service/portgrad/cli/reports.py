"""What was found out about gradients, for people: differences, and where numbers went astray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import portgrad_client as client
from portgrad.cli.tables import FEW, called, names

if TYPE_CHECKING:  # `portgrad serve` shall not load the engine
    from portgrad.engine import Report

_FLAGS = {"zero": "all zero", "nan": "NaN", "infinite": "infinite"}


def diagnostics(console: Console, found: Mapping[str, Any]) -> None:
    """What is the matter with gradients, and where it began, or that all is well."""
    well = not any(place for way in ("forward", "backward") for place in found[way].values())
    for name, told in found["targets"].items():
        examples = told.get("examples", {})
        ills = [
            f"[yellow]{word}[/]{_of_examples(examples.get(flag, []))}"
            for flag, word in _FLAGS.items()
            if told[flag] or examples.get(flag)
        ]
        vanished = told.get("vanished")
        ills += [f"vanished at {escape(_where(**vanished))}"] if vanished else []
        if ills:
            well = False
            console.print(f"{escape(name)}: {', '.join(ills)}")
    for way, what in (("forward", "value"), ("backward", "cotangent")):
        for flag in ("nan", "infinite"):
            if place := found[way][flag]:
                console.print(f"first {what} that is {_FLAGS[flag]}: {escape(_where(**place))}")
    if well:
        console.print("every gradient is finite, and none is all zero")


def _of_examples(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:FEW]))
    return f" in examples {shown}{', …' if len(numbers) > FEW else ''}" if numbers else ""


_VERDICTS = {
    "ok": "[green]ok[/]",
    "kink": "kink",
    "jump": "[yellow]jump[/]",
    "non_finite": "[red]not finite[/]",
    "unclear": "[yellow]unclear[/]",
    "disagrees": "[bold red]WRONG[/]",
}


def report(console: Console, found: Report | client.Report) -> None:
    """A gradient held against differences: a row for each target, and what is wrong."""
    table = Table(names("target"), "verdict", "error", "gradient", "difference", names("where"))
    for name, checked in found.targets.items():
        lines: Sequence[Any] = checked.lines
        line = max(lines, key=lambda one: (one.verdict == checked.verdict, one.error))
        sided = line.verdict in ("kink", "jump")
        difference = f"{line.left:.4g} | {line.right:.4g}" if sided else f"{line.expected:.4g}"
        place = checked.place
        where = "" if place is None else _where(place.value, place.node, place.operator)
        verdict, error = _VERDICTS[checked.verdict], f"{checked.error:.1e}"
        table.add_row(escape(name), verdict, error, f"{line.found:.4g}", difference, escape(where))
    console.print(table)
    console.print(
        f"precision {found.precision}, tolerance {found.tolerance:.1g}, "
        f"{found.evaluations} evaluations, random seed {found.random_seed}"
    )
    if wrong := found.disagreement:
        where = escape(_where(wrong.value, wrong.node, wrong.operator))
        console.print(
            f"[bold red]wrong first[/] at {where}: the gradient says "
            f"{wrong.found:.6g} along a direction of its operands, differences {wrong.expected:.6g}"
        )
    for name, reason in found.none.items():
        console.print(f"[dim]none[/] {escape(name)}: {escape(reason)}")
    for warning in found.warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")


def _where(value: str, node: str | None, operator: str | None) -> str:
    """A value of the net, with the node in question."""
    if node is None or operator is None:
        return value
    return f"{value} ({called(operator)}{'' if node == value else f' {node}'})"
