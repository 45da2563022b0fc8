"""The command line: `portgrad serve | keys | upload | describe | check | gradient | gradcheck |
differentiate`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from portgrad.cli import keys
from portgrad.cli.differentiate import differentiate
from portgrad.cli.gradchecks import gradcheck
from portgrad.cli.gradients import gradient
from portgrad.cli.nets import check, describe, upload
from portgrad.cli.serve import serve

app = typer.Typer(
    help="Gradients of ONNX nets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, upload, describe, check, gradient, gradcheck, differentiate):
    app.command()(command)
app.add_typer(keys.app, name="keys")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"portgrad {version('portgrad')}")
        raise typer.Exit


@app.callback()
def _all_commands(
    asked: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which release this is.", callback=_tell_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


__all__ = ["app"]
