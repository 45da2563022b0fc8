"""`portgrad upload | describe | check | gradient`: nets on a service, or in files here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from portgrad.cli import arrays, tables
from portgrad.engine import load
from portgrad.errors import InvalidRequest
from portgrad.graph.files import NetFiles
from portgrad_client import Client

Url = Annotated[str, typer.Option(envvar="PORTGRAD_URL", help="The service.")]
External = Annotated[
    list[Path] | None, typer.Option(help="External-data file beside the model; may be repeated.")
]
Quantized = Annotated[
    str | None, typer.Option(help="Of quantised numbers: exact, or straight-through.")
]
HERE = "http://127.0.0.1:8000"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def upload(
    model: Annotated[Path, typer.Argument(help="ONNX file.", exists=True, dir_okay=False)],
    name: Annotated[
        str | None, typer.Option(help="Name of the net; the file's by default.")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Move the name if it is taken.")] = False,
    external: External = None,
    url: Url = HERE,
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
        Client(url) as client,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task(f"uploading {model.name}")
        net = client.upload(
            model,
            name=name if name is not None else _name_of(model),
            replace=replace,
            external=external,
            progress=lambda sent, total: progress.update(task, completed=sent, total=total),
        )
        described = net.describe()
    tables.description(console, described)


def describe(
    net: Annotated[str, typer.Argument(help="ONNX file, or name or id of a net on the service.")],
    external: External = None,
    url: Url = HERE,
) -> None:
    """Say what a net has: ports, parameters, what is differentiable and if not, why."""
    tables.description(Console(highlight=False), _described(net, external, url))


def check(
    model: Annotated[Path, typer.Argument(help="ONNX file.", exists=True, dir_okay=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    quantized: Quantized = None,
    external: External = None,
) -> None:
    """Say before an upload what stands in the way of a net's gradient; exit 1 if anything does."""
    net = load(NetFiles(model, _located(external)))
    net.check()
    found = net.survey(quantized=_word(quantized))
    if json:
        typer.echo(orjson.dumps(found.plain(), option=orjson.OPT_INDENT_2))
    else:
        tables.survey(Console(highlight=False), str(model), found)
    raise typer.Exit(1 if found.obstacles else 0)


def gradient(
    net: Annotated[str, typer.Argument(help="ONNX file, or name or id of a net on the service.")],
    data: Annotated[str, typer.Argument(help="Data: .npy, .npz or .json file, or JSON text.")],
    wrt: Annotated[
        list[str] | None,
        typer.Option(help='Target: a group, a name, or a path as JSON ["node", "operand"].'),
    ] = None,
    of: Annotated[list[str] | None, typer.Option(help="What is summed; may be repeated.")] = None,
    output_gradients: Annotated[
        str | None, typer.Option(help="Imposed gradients, in the same forms as data.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="as_is, example or each.")] = None,
    quantized: Quantized = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the gradients to this .npz file.")
    ] = None,
    external: External = None,
    url: Url = HERE,
) -> None:
    """Compute gradients and show or write them."""
    imposed = arrays.read(output_gradients) if output_gradients is not None else None
    request: dict[str, Any] = {
        "wrt": _targets(wrt) if wrt else "inputs",
        "of": _targets(of) if of else None,
        "output_gradients": imposed,
        "batch": batch,
        "quantized": _word(quantized),
    }
    given = arrays.read(data)
    if Path(net).is_file():
        found = load(NetFiles(Path(net), _located(external))).gradient(given, **request)
        gradients, warnings = dict(found), found.warnings
    else:
        with Client(url) as client:
            answer = client.net(net).gradient(given, **request)
            gradients, warnings = dict(answer), answer.warnings
    console = Console(highlight=False)
    tables.gradients(console, gradients, warnings)
    if output is not None:
        arrays.write(output, gradients)
        console.print(f"written to {output}")


def _word(option: str | None) -> str | None:
    """A word of the request as the command line writes it, or as it is."""
    return None if option is None else option.replace("-", "_")


def _described(net: str, external: list[Path] | None, url: str) -> dict[str, Any]:
    if Path(net).is_file():
        loaded = load(NetFiles(Path(net), _located(external)))
        return {"id": loaded.id, "names": [net], **loaded.description.plain()}
    with Client(url) as client:
        return client.net(net).describe()


def _located(external: list[Path] | None) -> dict[str, Path]:
    """External files by location: a model names them from its own folder."""
    return {path.name: path for path in external or ()}


def _name_of(model: Path) -> str | None:
    """The file's name where it can be a net's name."""
    return model.stem if _PLAIN_NAME.fullmatch(model.stem) else None


def _targets(given: list[str]) -> str | list[Any]:
    items = [arrays.json_text(one, "--wrt") if one.startswith("[") else one for one in given]
    if len(items) == 1 and isinstance(items[0], str):
        return items[0]
    if any(not isinstance(item, str | list) for item in items):
        raise InvalidRequest("A path is a list of strings.", code="invalid_field", where="--wrt")
    return items
