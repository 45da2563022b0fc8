"""The echo: the server program of `portgrad serve` over an application that sends bodies back.

    python -m benchmarks.serving.echo --port 8001 [--framework]

It is what a call costs before any net is looked at: the same uvicorn, event loop, protocol and
bounds of connections, asked by the same transport of the SDK with the same body. No route, no
framework, no log: the chunks of the body go back as they came, and are not copied in between. With
`--framework` it is a FastAPI application with one route, as somebody would write it by hand.
"""

from __future__ import annotations

import argparse
from typing import Any

from fastapi import FastAPI, Request, Response

from portgrad.api.server.edge import edge
from portgrad.api.server.serving import bounded, raise_open_files
from portgrad.cli.server import Server
from portgrad.settings import Settings


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The application without a framework."""
    if scope["type"] != "http":
        return
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    size = str(sum(map(len, chunks))).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]}
    )
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})


def framework() -> FastAPI:
    """The application of one route."""
    app = FastAPI(openapi_url=None)

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type="application/octet-stream")

    return app


async def _be_silent(_address: str) -> None:
    """Nobody reads it."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--framework", action="store_true")
    given = parser.parse_args()
    settings = Settings(port=given.port)
    raise_open_files(settings.max_connections)
    app = framework() if given.framework else bare
    Server(
        bounded(app, settings, edge(settings)),
        drain_seconds=0,
        deadline=1,
        on_listening=_be_silent,
        on_drain=lambda: None,
    ).run()


if __name__ == "__main__":
    main()
