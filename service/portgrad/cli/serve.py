"""`portgrad serve`: the service on one address, over one data folder."""

from __future__ import annotations

import logging.config
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from portgrad.api.app import Application, create_app, drain
from portgrad.api.auth.guard import trusted
from portgrad.api.auth.nearby import refuse_to_listen
from portgrad.api.server import serving
from portgrad.api.telling import logs
from portgrad.cli.server import Server
from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.memory import memory_share
from portgrad.compute.pool import WorkerCompute
from portgrad.errors import PortgradError
from portgrad.samples import samples
from portgrad.settings import Settings, read
from portgrad.store import LocalStore

FIRST_CALL = """\
[bold]Portgrad[/] is at http://{address} with the nets {names}. Ask for a gradient:

  curl -s http://{address}/nets/moons/gradient \\
    -H 'Content-Type: application/json'{credential} \\
    -d '{{"data": {{"point": [[0.5, 0.25], [1.0, -0.5]]}}, "outputs": true}}'

Its pages: http://{address}/docs
"""

CREDENTIAL = ' -H "Authorization: Bearer $PORTGRAD_API_KEY"'
A_KEY = """\
It asks for a key. This makes one that sees these nets, in the same data folder:

  export PORTGRAD_API_KEY=$(portgrad keys create --owner local --scope read --scope compute)
"""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the nets.")] = None,
    with_samples: Annotated[
        bool, typer.Option("--samples", help="Load a few sample nets first.")
    ] = False,
) -> None:
    """Start the service. Options left out come from PORTGRAD_* variables, or have defaults."""
    given: dict[str, Any] = {"host": host, "port": port, "data": data}
    settings = read(**{name: value for name, value in given.items() if value is not None})
    refuse_to_listen(settings)
    logging.config.dictConfig(logs.config(settings.log_level, settings.log_format))
    app = service(settings)
    greeting = partial(_greet, app, settings) if with_samples else _be_silent
    Server(
        serving.config(app, settings),
        drain_seconds=settings.drain_seconds,
        deadline=settings.deadline,
        on_listening=greeting,
        on_drain=lambda: drain(app),
    ).run()


async def _greet(app: Application, settings: Settings, address: str) -> None:
    """Load the sample nets, and say how to begin with them."""
    await _upload_samples(app)
    asked = settings.auth == "required"
    console = Console(soft_wrap=True, highlight=False)
    credential = CREDENTIAL if asked else ""
    names = ", ".join(sorted(samples()))
    console.print(FIRST_CALL.format(address=address, names=names, credential=credential))
    if asked:
        console.print(A_KEY)


async def _be_silent(_address: str) -> None:
    """Who loads no samples knows how to begin."""


def service(settings: Settings) -> Application:
    """The application over its own store and compute.

    Raises:
        PortgradError: `needs_linux`.
    """
    if sys.platform != "linux":
        raise PortgradError(
            "The service holds strangers' nets back by means that Linux alone has.",
            code="needs_linux",
            expected="linux",
            found=sys.platform,
            remedy="Run it in a container (docs/howto/deploy.md); the library and the other "
            "commands work here.",
        )
    pool = PoolConfig(
        workers=settings.workers,
        spare=settings.spare_workers,
        deadline=settings.deadline,
        compile_seconds=settings.compile_seconds,
        max_queued=settings.max_queued,
        max_batch=settings.max_batch,
        quarantine_after=settings.quarantine_after,
        quarantine_seconds=settings.quarantine_seconds,
    )
    memory = settings.worker_memory_bytes or memory_share(pool.wanted + pool.spare)
    worker = WorkerConfig(
        threads=settings.threads or 0,
        limits={
            "answer_bytes": settings.max_answer_bytes,
            "nodes": settings.max_nodes,
            "subgraph_depth": settings.max_subgraph_depth,
            "memory_bytes": memory,
        },
        readable=tuple(str(settings.data.resolve() / name) for name in ("nets", "staging")),
        memory_bytes=memory,
    )
    compute = WorkerCompute(worker, pool)
    return create_app(LocalStore(settings.data), compute, settings)


async def _upload_samples(app: Application) -> None:
    """Through the front door, as a user would."""
    transport = httpx.ASGITransport(trusted(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://portgrad") as client:
        for name, model in samples().items():
            answer = await client.post("/nets", params={"name": name}, content=model)
            if answer.status_code != httpx.codes.CONFLICT:  # a net of the user's has the name
                answer.raise_for_status()
