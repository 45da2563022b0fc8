"""Options that commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from portgrad.cli import arrays
from portgrad.errors import InvalidRequest

HERE = "http://127.0.0.1:8000"

Net = Annotated[str, typer.Argument(help="ONNX file, or name or id of a net on the service.")]
Data = Annotated[str, typer.Argument(help="Data: .npy, .npz or .json file, or JSON text.")]
Url = Annotated[str, typer.Option(envvar="PORTGRAD_URL", help="The service.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="PORTGRAD_API_KEY",
        help="Key or bearer token for it; better in the variable, as others may see commands.",
    ),
]
External = Annotated[
    list[Path] | None, typer.Option(help="External-data file beside the model; may be repeated.")
]
Wrt = Annotated[
    list[str] | None,
    typer.Option(help='Target: a group, a name, or a path as JSON ["node", "operand"].'),
]
Of = Annotated[list[str] | None, typer.Option(help="What is summed; may be repeated.")]
Imposed = Annotated[str | None, typer.Option(help="Imposed gradients, in the same forms as data.")]
Batch = Annotated[str | None, typer.Option(help="as_is, example or each.")]
Quantized = Annotated[
    str | None, typer.Option(help="Of quantised numbers: exact, or straight-through.")
]
Parameters = Annotated[
    str | None, typer.Option(help="Arrays in place of parameters, in the same forms as data.")
]
Mode = Annotated[str | None, typer.Option(help="test, or train: batch statistics, dropout.")]
RandomSeed = Annotated[int | None, typer.Option(help="What random numbers are drawn from.")]
Precision = Annotated[str | None, typer.Option(help="float64 runs the net in double.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others have the net's own defaults."""
    return {name: value for name, value in options.items() if value is not None}


def word(option: str | None) -> str | None:
    """A word of the request as the command line writes it, or as it is."""
    return None if option is None else option.replace("-", "_")


def located(external: list[Path] | None) -> dict[str, Path]:
    """External files by location: a model names them from its own folder."""
    return {path.name: path for path in external or ()}


def targets(asked: list[str] | None, option: str) -> str | list[Any] | None:
    """A group or name alone as it is; names and paths as a list.

    Raises:
        InvalidRequest: `invalid_field`, `unreadable_data`.
    """
    if not asked:
        return None
    items = [arrays.json_text(one, option) if one.startswith("[") else one for one in asked]
    if len(items) == 1 and isinstance(items[0], str):
        return items[0]
    if any(not isinstance(item, str | list) for item in items):
        raise InvalidRequest("A path is a list of strings.", code="invalid_field", where=option)
    return items
