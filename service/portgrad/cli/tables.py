"""Tables for people: nets and gradients in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from portgrad.errors import PortgradError
from portgrad_client import PortgradError as ServiceError

if TYPE_CHECKING:  # `portgrad serve` shall not load the engine
    from portgrad.autodiff.survey import Survey, Used
    from portgrad.engine.written import GradientFile

Array = np.ndarray[Any, Any]
FEW = 6  # gradients of up to so many numbers are shown whole


def description(console: Console, net: Mapping[str, Any]) -> None:
    """A net: its ports and parameters, what is differentiable and if not, why."""
    title = ", ".join(net["names"]) or net["id"][:12]
    console.print(f"[bold]{escape(title)}[/]  id {net['id'][:12]}…  opset {net['opset']}")
    for heading in ("inputs", "outputs", "parameters"):
        if net[heading]:
            console.print(_ports(heading, net[heading]))
    for warning in net["warnings"]:
        console.print(f"[yellow]warning[/] {escape(warning)}")


def gradients(console: Console, found: Mapping[str, Array], warnings: Sequence[str]) -> None:
    """Gradients: shape, norm, extremes and a word where something is odd."""
    table = Table(names("gradient"), "dtype", "shape", "norm", "least", "greatest", "values")
    for name, array in found.items():
        table.add_row(escape(name), array.dtype.name, _shape(array.shape), *_numbers(array))
    console.print(table)
    for warning in warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")


def survey(console: Console, title: str, found: Survey) -> None:
    """What a net is made of, what stands in the way of its gradient, what would surprise."""
    nodes = sum(used.count for used in found.operators)
    console.print(f"[bold]{escape(title)}[/]  {nodes} {'node' if nodes == 1 else 'nodes'}")
    table = Table(names("operator"), "version", "nodes", "gradient", names("note"))
    for used in found.operators:
        table.add_row(
            called(used.operator),
            "" if used.version is None else str(used.version),
            str(used.count),
            used.gradient,
            escape(_remark(used)),
        )
    console.print(table)
    for obstacle in found.obstacles:
        console.print(f"[bold red]in the way[/] {escape(obstacle.reason)}")
        if obstacle.blocks:
            console.print(f"  [dim]blocks[/]   {escape(', '.join(obstacle.blocks))}")
        console.print(f"  [dim]remedy[/]   {escape(obstacle.remedy)}")
    for warning in found.warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")
    if not found.obstacles:
        zeros = "; the warnings say where it is zero" if found.warnings else ""
        console.print(f"Nothing stands in the way of the gradient{zeros}.")


def gradient_file(console: Console, file: GradientFile) -> None:
    """What was written: inputs and outputs of the file, and what to know of it."""
    for heading, ports in (("inputs", file.inputs), ("outputs", file.outputs)):
        table = Table(names(heading), "dtype", "shape")
        for port in ports:
            table.add_row(escape(port.name), port.dtype, _shape(port.shape))
        console.print(table)
    for name, reason in file.none.items():
        console.print(f"[dim]left out[/] {escape(name)}: {escape(reason)}")
    for warning in file.warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")
    for path in file.files:
        console.print(f"written to {escape(str(path))}, {path.stat().st_size} bytes")


def problem(console: Console, error: PortgradError | ServiceError) -> None:
    """An error: what is wrong, where, what was expected, what came, what to do."""
    console.print(f"[bold red]{error.code}[/] {escape(error.detail)}")
    for field in ("where", "expected", "found", "remedy"):
        if sentence := getattr(error, field):
            console.print(f"  [dim]{field:<8}[/] {escape(sentence)}")


def called(operator: str) -> str:
    """An operator as its users call it: without a domain where that is ai.onnx."""
    domain, _, name = operator.rpartition(".")
    return name if domain == "ai.onnx" else operator


def _remark(used: Used) -> str:
    """What is to be known of an operator, without what is told of its nodes below the table."""
    note = "" if used.gradient in ("zero", "refused") else used.note
    return "; ".join(part for part in (note, used.cost) if part)


def names(heading: str) -> Column:
    """A column that shows words whole."""
    return Column(heading, overflow="fold")


def _ports(heading: str, ports: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(names(heading), "dtype", "shape", "gradient")
    for port in ports:
        word = "yes" if port["differentiable"] else f"no: {escape(port['reason'])}"
        if port.get("buffer"):
            word += ", running statistic"
        if port.get("shared"):
            word += ", shared"
        table.add_row(escape(port["name"]), port["dtype"], _shape(port["shape"]), word)
    return table


def _shape(dims: Sequence[int | str | None] | None) -> str:
    if dims is None:
        return "?"
    return "(" + ", ".join("?" if dim is None else str(dim) for dim in dims) + ")"


def _numbers(array: Array) -> list[str]:
    wide = array.astype(np.float64)
    if wide.size == 0:
        return ["0", "", "", "empty"]
    numbers = [float(np.linalg.norm(wide)), float(np.min(wide)), float(np.max(wide))]
    odd = "not finite" if not np.isfinite(wide).all() else "all zero" if not wide.any() else "…"
    shown = " ".join(f"{number:.4g}" for number in wide.flat) if wide.size <= FEW else odd
    return [*(f"{number:.4g}" for number in numbers), shown]
