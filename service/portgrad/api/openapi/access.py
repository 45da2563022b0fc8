"""Who may ask what, as the document tells it: scopes, what is answered without, and credentials."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from portgrad.api.auth.scopes import TABLE
from portgrad.api.openapi.answers import answer, problem_answers

_SCHEME = "bearer"
_WAIT = "Seconds after which it is worth another try."


def tell_access(document: dict[str, Any], *, asked: bool) -> None:
    """Complete the operations that not everybody may use.

    Args:
        document: what is completed.
        asked: whether callers must prove who they are: the page then lets them send a credential.
    """
    for (method, path), scope in TABLE.items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is not None and scope is not None:
            told = f"Needs the scope `{scope}` where callers must prove who they are."
            operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()
            operation["responses"].update(_refusals())
            if asked:
                operation["security"] = [{_SCHEME: []}]
    if asked:
        document["components"]["securitySchemes"] = {
            _SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, `pg_…`, or a token of the service's issuer.",
            }
        }


def _refusals() -> dict[str, Any]:
    content = problem_answers(401)[401]["content"]
    headers = {
        401: {"WWW-Authenticate": "Bearer."},
        403: {},
        429: {"Retry-After": _WAIT},
    }
    return {
        str(status): answer(HTTPStatus(status).phrase, content, **more)
        for status, more in headers.items()
    }
