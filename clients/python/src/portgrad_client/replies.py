"""Good answers, read whole, whichever way they came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from portgrad_client.errors import InvalidAnswerError


@dataclass(slots=True)
class Reply:
    """An answer with a status of success.

    Attributes:
        status_code: its status.
        headers: its headers, to be looked up in lower case.
        content: its body.
        host: who sent it.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes | bytearray | memoryview
    host: str


def reply_of(response: httpx.Response) -> Reply:
    """An answer that httpx has read."""
    host = response.request.url.host
    return Reply(response.status_code, response.headers, response.content, host)


def fields(reply: Reply, *required: str) -> dict[str, Any]:
    """The JSON object that was answered.

    Raises:
        InvalidAnswerError: it is none, or lacks a field.
    """
    try:
        body = json.loads(bytes(reply.content))
        missing = [name for name in required if name not in body]
    except (ValueError, TypeError):
        body, missing = None, ["JSON"]
    if isinstance(body, dict) and not missing:
        return body
    raise InvalidAnswerError(
        f"{reply.host} does not answer as Portgrad does.",
        expected=", ".join(required),
        found=bytes(reply.content[:80]).decode("utf-8", "replace") or "an empty body",
        remedy="Check that the address is that of a Portgrad service.",
        status=reply.status_code,
        request_id=reply.headers.get("x-request-id"),
    )
