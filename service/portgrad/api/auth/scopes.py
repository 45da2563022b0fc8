"""The scope that each route wants: one table, which every route must be in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, get_args

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portgrad.api.auth.callers import Caller, Scope, caller_of
from portgrad.codecs.model import Kind
from portgrad.errors import Forbidden

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
# None: open to everybody, known or not.
TABLE: Mapping[tuple[str, str], Scope | None] = {
    ("GET", "/nets"): "read",
    ("GET", "/nets/{net}"): "read",
    ("GET", "/nets/{net}/model"): "read",
    ("GET", "/nets/{net}/gradient.onnx"): "read",
    **{("POST", f"/nets/{{net}}/{kind}"): "compute" for kind in get_args(Kind)},
    ("POST", "/nets"): "write",
    ("DELETE", "/nets/{net}"): "write",
    ("PUT", "/nets/{net}/shared"): "write",
    ("DELETE", "/nets/{net}/shared"): "write",
    ("GET", "/quarantine"): "admin",
    ("DELETE", "/quarantine/{net_id}"): "admin",
    ("GET", "/operators"): None,
    ("GET", "/metrics"): "admin",
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/docs"): None,
    ("GET", "/docs/{asset}"): None,
}
_OPEN = {"/openapi.json", *(path for (_, path), scope in TABLE.items() if scope is None)}
_OPEN_PATHS = frozenset(path for path in _OPEN if "{" not in path)
_OPEN_FOLDERS = tuple(path.partition("{")[0] for path in _OPEN if "{" in path)


def is_open(path: str) -> bool:
    """Whether nobody has to prove who they are to ask for this path."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


class Scoped(APIRoute):
    """A route that refuses a caller without the scope that it wants, before it does anything.

    Not a dependency: FastAPI takes longer to resolve one than all else of who asks takes.
    """

    def get_route_handler(self) -> Handler:
        """The handler, behind its scope."""
        handle, path = self._handler(), self.path

        async def within_scope(request: Request) -> Response:
            wanted = TABLE[request.method, path]
            if wanted is not None:
                demand(request, wanted)
            return await handle(request)

        return within_scope

    def _handler(self) -> Handler:
        return super().get_route_handler()


class Direct(Scoped):
    """A route whose endpoint takes the request and text of the path, and gives the response.

    There is nothing in it for FastAPI to resolve, which takes half as long as all else of a call.

    Attributes:
        answer: gives the response to a request, within the route's scope.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.answer = self.get_route_handler()

    def _handler(self) -> Handler:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle


def demand(request: Request, wanted: Scope) -> None:
    """Refuse a caller without a scope, whether or not what is asked for exists.

    Raises:
        Forbidden: `missing_scope`.
    """
    if wanted not in caller_of(request).scopes:
        raise request.state.refusals.count(request.scope, _missing(wanted, caller_of(request)))


def _missing(wanted: Scope, caller: Caller) -> Forbidden:
    return Forbidden(
        f"This needs the scope {wanted!r}.",
        code="missing_scope",
        where="Authorization",
        expected=wanted,
        found=", ".join(sorted(caller.scopes)) or "no scope",
        remedy="Ask whoever runs this service for a key or token with that scope.",
    )


def check_table(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    """The routes, each of which has its scope in the table and asks for it; fails for another."""
    scoped: list[APIRoute] = []
    for route in routes:
        if not isinstance(route, Scoped) or not _told(route):
            raise AssertionError(f"No scope is asked for by {route!r}: see {__name__}.")
        scoped.append(route)
    return scoped


def _told(route: APIRoute) -> bool:
    return all((method, route.path) in TABLE for method in route.methods or ())
