"""`portgrad keys create | list | revoke`: who may use a service, in its data folder."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from portgrad.api.auth import audit
from portgrad.api.auth.callers import SCOPES
from portgrad.errors import InvalidRequest
from portgrad.settings import read
from portgrad.store.keys import Key, Keys

app = typer.Typer(help="API keys of a service, in its data folder.", no_args_is_help=True)

Data = Annotated[
    Path | None, typer.Option(help="Folder of the service; by default that of PORTGRAD_DATA.")
]
_OWNER = re.compile(r"[!-~]{1,200}")
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@app.callback()
def told() -> None:
    """API keys of a service, in its data folder."""
    # A line for the audit log of whoever keeps one, beside what the command prints.
    logging.basicConfig(stream=sys.stderr, format="%(name)s %(message)s")


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose nets it sees and makes.")],
    scope: Annotated[
        list[str], typer.Option(help="read, compute, write or admin; may be repeated.")
    ],
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 12h, 90d, 52w; never if left out.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests in a minute.")
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Requests at once.")] = None,
    max_nets: Annotated[int | None, typer.Option(min=1, help="Nets of its owner.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Bytes of nets.")] = None,
    data: Data = None,
) -> None:
    """Create a key and print it, this once: only a hash of it is kept."""
    _check(owner, scope)
    key, text = _keys(data).create(
        owner,
        sorted(set(scope)),
        expires=None if expires is None else time() + _span(expires),
        requests_per_minute=requests_per_minute,
        max_concurrent=max_concurrent,
        max_nets=max_nets,
        max_bytes=max_bytes,
    )
    audit.tell("key_created", owner=key.owner, key=key.id, scopes=",".join(key.scopes))
    typer.echo(text)


@app.command("list")
def list_keys(
    json: Annotated[bool, typer.Option("--json", help="Print the keys as JSON.")] = False,
    data: Data = None,
) -> None:
    """Show every key: whose it is and what it may do. The keys themselves are kept nowhere."""
    found = _keys(data).all()
    if json:
        typer.echo(orjson.dumps([_plain(key) for key in found], option=orjson.OPT_INDENT_2))
        return
    table = Table("id", "owner", "scopes", "created", "expires", "state")
    for key in found:
        when = [_day(key.created), _day(key.expires) or "never"]
        table.add_row(key.id, escape(key.owner), " ".join(key.scopes), *when, _state(key))
    Console(highlight=False).print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The 16 digits after `pg_`.")],
    data: Data = None,
) -> None:
    """Revoke a key: it opens nothing from the next request on."""
    key = _keys(data).revoke(key_id)
    audit.tell("key_revoked", owner=key.owner, key=key.id)
    typer.echo(f"The key {key.id} of {key.owner} is revoked.")


def _keys(data: Path | None) -> Keys:
    return Keys(read().data if data is None else data)


def _check(owner: str, scopes: list[str]) -> None:
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise InvalidRequest(
            f"There is no scope {unknown[0]!r}.",
            code="invalid_field",
            where="--scope",
            expected=", ".join(sorted(SCOPES)),
            found=unknown[0],
        )
    if _OWNER.fullmatch(owner) is None:
        raise InvalidRequest(
            "An owner is a short name.",
            code="invalid_field",
            where="--owner",
            expected="1 to 200 letters, digits and signs, without spaces",
            found=repr(owner[:80]),
        )


def _span(text: str) -> float:
    """Seconds of a span such as 90d."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            "A span of time is a number and a unit.",
            code="invalid_field",
            where="--expires",
            expected="such as 30m, 12h, 90d or 52w",
            found=repr(text[:80]),
        )
    return int(found[1]) * _SECONDS[found[2]]


def _plain(key: Key) -> dict[str, object]:
    shown = ("id", "owner", "scopes", "created", "expires", "revoked", "requests_per_minute",
             "max_concurrent", "max_nets", "max_bytes")  # fmt: skip
    return {name: getattr(key, name) for name in shown} | {"state": _state(key)}


def _state(key: Key) -> str:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expired else "valid"


def _day(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
