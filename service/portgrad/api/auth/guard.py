"""Before anything else of a request is looked at: who sends it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from portgrad.api.auth.callers import LOCAL


class Guard:
    """Pure ASGI middleware: tells each request's `state.caller`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            scope["state"]["caller"] = LOCAL
        await self.app(scope, receive, send)
