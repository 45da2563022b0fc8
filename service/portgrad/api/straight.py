"""Calls go straight to their endpoints, past the router and what FastAPI puts around it.

The routes are in the router all the same: it describes them, answers other methods, and takes paths
that are written in another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from portgrad.api.auth.scopes import Direct
from portgrad.api.problems import Problem
from portgrad.errors import PortgradError

_CALL = re.compile(r"/nets/([^/]+)/([a-z]+)")


class Straight:
    """Pure ASGI middleware, the innermost.

    Args:
        app: the router, for all else.
        routes: those of calls, `/nets/{net}/KIND`.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Direct]) -> None:
        self.app = app
        self._routes = {route.path.rpartition("/")[2]: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            call = _CALL.fullmatch(scope["path"])
            route = None if call is None else self._routes.get(call[2])
            if call is not None and route is not None:
                scope["route"], scope["path_params"] = route, {"net": call[1]}
                response = await _answered(route, Request(scope, receive, send))
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _answered(route: Direct, request: Request) -> Response:
    try:
        return await route.answer(request)
    except PortgradError as error:
        return Problem(error, request.state.request_id)
