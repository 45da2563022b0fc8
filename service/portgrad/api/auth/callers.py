"""A caller: whose nets these are, what may be done with them, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

Scope = Literal["read", "compute", "write", "admin"]
SCOPES: frozenset[Scope] = frozenset({"read", "compute", "write", "admin"})


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may use; None where the service's own setting holds."""

    requests_per_minute: int | None = None
    max_concurrent: int | None = None
    max_nets: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        owner: whose nets are seen and made.
        scopes: what may be done; no scope includes another.
        key: the id of the API key that proved it, if one did; no secret.
        quota: what this caller may use.
    """

    owner: str
    scopes: frozenset[Scope]
    key: str | None = None
    quota: Quota = Quota()

    @property
    def everything(self) -> bool:
        """Whether the nets of every owner are seen, by id."""
        return "admin" in self.scopes


# Stands in a request of the service itself: no server puts it there, only code of this process can.
TRUSTED = "portgrad.caller"
# Everybody, where nobody has to prove who they are.
LOCAL = Caller("local", SCOPES)
# Who asks for what is open to everybody, where others have to prove who they are.
NOBODY = Caller("", frozenset())


def caller_of(request: Request) -> Caller:
    """Who sent this request."""
    return caller_in(request.scope)


def caller_in(scope: Mapping[str, Any]) -> Caller:
    """Who sent the request of this connection."""
    caller: Caller = scope["state"]["caller"]
    return caller
