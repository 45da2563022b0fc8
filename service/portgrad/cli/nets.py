"""`portgrad upload | describe | check`: nets on a service, or in files here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

import portgrad
from portgrad.cli import tables
from portgrad.cli.options import HERE, ApiKey, External, Net, Quantized, Url, located, word
from portgrad.graph.files import NetFiles
from portgrad_client import Client

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def upload(
    model: Annotated[Path, typer.Argument(help="ONNX file.", exists=True, dir_okay=False)],
    name: Annotated[
        str | None, typer.Option(help="Name of the net; the file's by default.")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Move the name if it is taken.")] = False,
    shared: Annotated[bool, typer.Option(help="Let everybody use the net, by its id.")] = False,
    batchable: Annotated[
        bool | None,
        typer.Option(help="Run calls that wait together as one batch; or no longer."),
    ] = None,
    external: External = None,
    url: Url = HERE,
    api_key: ApiKey = None,
) -> None:
    """Upload a net to a service and describe it."""
    console = Console(highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with (
        Client(url, api_key=api_key) as client,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task(f"uploading {model.name}")
        net = client.upload(
            model,
            name=name if name is not None else _name_of(model),
            replace=replace,
            shared=shared,
            batchable=batchable,
            external=external,
            progress=lambda sent, total: progress.update(task, completed=sent, total=total),
        )
        described = net.describe()
    tables.description(console, described)


def describe(
    net: Net,
    external: External = None,
    url: Url = HERE,
    api_key: ApiKey = None,
) -> None:
    """Say what a net has: ports, parameters, what is differentiable and if not, why."""
    tables.description(Console(highlight=False), _described(net, external, url, api_key))


def check(
    model: Annotated[Path, typer.Argument(help="ONNX file.", exists=True, dir_okay=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    quantized: Quantized = None,
    external: External = None,
) -> None:
    """Say before an upload what stands in the way of a net's gradient; exit 1 if anything does."""
    net = portgrad.load(NetFiles(model, located(external)))
    net.check()
    found = net.survey(quantized=word(quantized))
    if json:
        typer.echo(orjson.dumps(found.plain(), option=orjson.OPT_INDENT_2))
    else:
        tables.survey(Console(highlight=False), str(model), found)
    raise typer.Exit(1 if found.obstacles else 0)


def _described(
    net: str, external: list[Path] | None, url: str, api_key: str | None
) -> dict[str, Any]:
    if Path(net).is_file():
        loaded = portgrad.load(NetFiles(Path(net), located(external)))
        return {"id": loaded.id, "names": [net], **loaded.description.plain()}
    with Client(url, api_key=api_key) as client:
        return client.net(net).describe()


def _name_of(model: Path) -> str | None:
    """The file's name where it can be a net's name."""
    return model.stem if _PLAIN_NAME.fullmatch(model.stem) else None
