"""`portgrad gradient`: gradients of a net in a file here, or on a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from portgrad.cli import arrays, options, reports, tables
from portgrad.cli.opened import opened


def gradient(
    net: options.Net,
    data: options.Data,
    wrt: options.Wrt = None,
    of: options.Of = None,
    output_gradients: options.Imposed = None,
    batch: options.Batch = None,
    quantized: options.Quantized = None,
    reduction: Annotated[
        str | None, typer.Option(help="Of parameters: sum, mean or per-example.")
    ] = None,
    diagnostics: Annotated[
        bool, typer.Option("--diagnostics", help="Say where zeros, NaNs and infinities began.")
    ] = False,
    parameters: options.Parameters = None,
    mode: options.Mode = None,
    random_seed: options.RandomSeed = None,
    precision: options.Precision = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the gradients to this .npz file.")
    ] = None,
    external: options.External = None,
    url: options.Url = options.HERE,
    api_key: options.ApiKey = None,
) -> None:
    """Compute gradients and show or write them."""
    request = options.given(
        wrt=options.targets(wrt, "--wrt"),
        of=options.targets(of, "--of"),
        output_gradients=arrays.read_given(output_gradients),
        batch=batch,
        quantized=options.word(quantized),
        reduction=options.word(reduction),
        diagnostics=diagnostics or None,
        parameters=arrays.read_given(parameters),
        mode=mode,
        random_seed=random_seed,
        precision=precision,
    )
    given = arrays.read(data)
    with opened(net, external, url, api_key) as asked:
        found = asked.gradient(given, **request)
    console = Console(highlight=False)
    tables.gradients(console, found, found.warnings)
    if found.diagnostics is not None:
        reports.diagnostics(console, found.diagnostics)
    if found.random_seed is not None:
        console.print(f"random seed {found.random_seed}")
    if output is not None:
        arrays.write(output, found)
        console.print(f"written to {output}")
