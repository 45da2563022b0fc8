"""The application without sockets: httpx over ASGI, driven from synchronous tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI


class AppClient:
    """Requests to one application, on one event loop."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner
        # The middleware answers every exception, so none may come out of the application.
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def run(self, work: Any) -> Any:
        return self._runner.run(work)


@contextmanager
def serving(app: FastAPI) -> Iterator[AppClient]:
    """A client of the application between its start and its end."""
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        client = AppClient(app, runner)
        try:
            yield client
        finally:
            runner.run(client._http.aclose())
            runner.run(lifespan.__aexit__(None, None, None))
