"""`portgrad gradcheck`: a gradient held against differences at the user's data."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console

from portgrad.cli import arrays, options, reports
from portgrad.cli.opened import opened


def gradcheck(
    net: options.Net,
    data: options.Data,
    wrt: options.Wrt = None,
    of: options.Of = None,
    output_gradients: options.Imposed = None,
    directions: Annotated[
        int | None, typer.Option(help="Random directions for each target; 3 by default.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="The relative error that is allowed.")
    ] = None,
    batch: options.Batch = None,
    quantized: options.Quantized = None,
    parameters: options.Parameters = None,
    mode: options.Mode = None,
    random_seed: options.RandomSeed = None,
    precision: Annotated[
        str | None, typer.Option(help="float64, or native; by default float64 where it can be.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    external: options.External = None,
    url: options.Url = options.HERE,
    api_key: options.ApiKey = None,
) -> None:
    """Hold a gradient against differences at your data; exit 1 if it is not what they say."""
    request = options.given(
        wrt=options.targets(wrt, "--wrt"),
        of=options.targets(of, "--of"),
        output_gradients=arrays.read_given(output_gradients),
        directions=directions,
        tolerance=tolerance,
        batch=batch,
        quantized=options.word(quantized),
        parameters=arrays.read_given(parameters),
        mode=mode,
        random_seed=random_seed,
        precision=precision,
    )
    given = arrays.read(data)
    with opened(net, external, url, api_key) as asked:
        found = asked.gradcheck(given, **request)
    if json:
        typer.echo(orjson.dumps(found.plain(), option=orjson.OPT_INDENT_2))
    else:
        reports.report(Console(highlight=False), found)
    raise typer.Exit(0 if found.ok else 1)
