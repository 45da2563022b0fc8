"""Pieces of a route's documentation that several routes share."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from portgrad.api import problems
from portgrad.api.openapi.parts import STRING, Schema, ref

_HEADERS: Schema = {
    "X-Request-Id": {"schema": STRING, "description": "The client's, or one made here."},
    "Server-Timing": {
        "schema": STRING,
        "description": "Milliseconds of decode, queue, compile, run, encode and total.",
    },
}


def answer(description: str, content: Schema | None = None, **headers: str) -> Schema:
    """An answer with these bodies by media type."""
    more = {name: {"schema": STRING, "description": told} for name, told in headers.items()}
    made: Schema = {"description": description, "headers": _HEADERS | more}
    return made | ({"content": content} if content else {})


def json_answer(description: str, schema: str, **headers: str) -> Schema:
    """An answer in JSON."""
    return answer(description, {"application/json": {"schema": ref(schema)}}, **headers)


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems with these statuses, and the one that nobody foresees."""
    content = {problems.MEDIA_TYPE: {"schema": ref("Problem")}}
    named: dict[int | str, dict[str, Any]] = {
        status: answer(HTTPStatus(status).phrase, content) for status in statuses
    }
    return named | {"default": answer("Any other problem", content)}
