"""Audit lines: who did what to which net, and who was turned away. One line each, never a secret.

Every line has its parts as fields of the log record too (`event`, `owner`, `key`, `net`, and so
on), for whoever writes logs as JSON.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from portgrad.api.auth.callers import TRUSTED, caller_of

log = logging.getLogger("portgrad.audit")
# Whatever else is logged: who wants none of these lines gives them another handler.
log.setLevel(logging.INFO)
_PLAIN = re.compile(r"[\w.:/#@+,-]+", re.ASCII)


def tell(event: str, **fields: str | int | None) -> None:
    """One line. No field may be called as a part of every log record is: `net_name`, not `name`."""
    told = {name: value for name, value in fields.items() if value not in (None, "")}
    text = " ".join(f"{name}={_plain(str(value))}" for name, value in told.items())
    log.info("%s %s", event, text, extra={"event": event, **told})


def done(request: Request, event: str, **fields: str | int | None) -> None:
    """A line on what the caller of this request did; none on what the service did by itself."""
    if TRUSTED in request.scope:
        return
    caller = caller_of(request)
    tell(event, owner=caller.owner, key=caller.key, **fields, **whence(request.scope))


def whence(scope: Mapping[str, Any]) -> dict[str, str]:
    """Where a request came from, and what it is called."""
    client = scope.get("client")
    return {"request_id": scope["state"]["request_id"], "client": client[0] if client else ""}


def _plain(value: str) -> str:
    """The value as it is, or in quotation marks where it could be taken for more than one."""
    return value if _PLAIN.fullmatch(value) else json.dumps(value)
