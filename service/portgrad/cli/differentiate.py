"""`portgrad differentiate`: the gradient of a net as an ONNX file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import portgrad
from portgrad.cli import options, tables
from portgrad.graph.files import NetFiles


def differentiate(
    model: Annotated[Path, typer.Argument(help="ONNX file.", exists=True, dir_okay=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the gradient to this ONNX file.")
    ],
    wrt: options.Wrt = None,
    of: options.Of = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(help="An output or inner value to give out too, or all; may be repeated."),
    ] = None,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="Impose gradients, as further inputs seed/NAME.")
    ] = False,
    quantized: options.Quantized = None,
    external_data: Annotated[
        bool | None,
        typer.Option(help="Write the weights to a second file; by default where they need one."),
    ] = None,
    external: options.External = None,
) -> None:
    """Write the gradient of a net as an ONNX file of standard operators, for any runtime."""
    net = portgrad.load(NetFiles(model, options.located(external)))
    request = options.given(
        wrt=options.targets(wrt, "--wrt"),
        of=options.targets(of, "--of"),
        outputs=_outputs(outputs),
        quantized=options.word(quantized),
    )
    file = net.export_gradient(output, seeds=seeds, external=external_data, **request)
    tables.gradient_file(Console(highlight=False), file)


def _outputs(asked: list[str] | None) -> bool | list[Any] | None:
    if asked == ["all"]:
        return True
    found = options.targets(asked, "--outputs")
    return [found] if isinstance(found, str) else found
