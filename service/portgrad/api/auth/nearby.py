"""Where nobody has to prove who they are: only this machine is served, and no page of a browser.

A web page that somebody on this machine has open can send requests here too: by a name of its own
that it lets point here (DNS rebinding), which `Host` shows, or across sites, which `Origin` shows.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from portgrad.errors import Forbidden, PortgradError
from portgrad.settings import Settings

_WAYS_OUT = (
    "Serve this machine alone (PORTGRAD_HOST=127.0.0.1), or let callers prove who they are "
    "(PORTGRAD_AUTH=required, then `portgrad keys create`), or let everybody in who can reach "
    "this address (PORTGRAD_OPEN=true)."
)


def refuse_to_listen(settings: Settings) -> None:
    """Refuse to listen beyond this machine where everybody would be let in unasked.

    Raises:
        PortgradError: `open_to_everybody`.
    """
    if settings.auth == "required" or settings.open or is_this_machine(settings.host):
        return
    raise PortgradError(
        "Whoever can reach this address could use the service and remove every net.",
        code="open_to_everybody",
        where="PORTGRAD_HOST",
        expected="an address of this machine alone, or callers who prove who they are",
        found=settings.host,
        remedy=_WAYS_OUT,
    )


def refuse_strangers(scope: Any, host: str) -> None:
    """Refuse a request that does not come from this machine, or comes from a page in a browser.

    Args:
        scope: the request. Without a peer it came by a socket of this machine, or by a test.
        host: the host that was set up, by which the service may be called too.

    Raises:
        Forbidden: `not_open`.
    """
    peer = scope.get("client")
    if peer is not None and not is_this_machine(peer[0]):
        raise _not_open("a request from this machine", "one from another")
    named = [value for name, value in scope["headers"] if name == b"host"]
    if not all(_is_ours(value, host) for value in named):
        raise _not_open("a Host of this machine", named[0].decode("latin-1")[:80])
    for name, origin in scope["headers"]:
        if name == b"origin" and not (named and _same(origin, named[0])):
            raise _not_open("no Origin but this service's own", origin.decode("latin-1")[:80])


@lru_cache(1024)
def is_this_machine(address: str) -> bool:
    """Whether an address, or the name `localhost`, means this machine alone."""
    try:
        found = ip_address(address)
    except ValueError:
        return address == "localhost"
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


@lru_cache(1024)
def _is_ours(header: bytes, host: str) -> bool:
    """Whether a Host is an address or a name of this machine. No page can have an address."""
    try:
        name = urlsplit(f"//{header.decode('latin-1')}").hostname or ""
    except ValueError:
        return False
    if name in {"localhost", host.lower()} or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(1024)
def _same(origin: bytes, host: bytes) -> bool:
    return origin.partition(b"://")[2].lower() == host.lower()


def _not_open(expected: str, found: str) -> Forbidden:
    return Forbidden(
        "This service asks nobody who they are, and so serves its own machine alone.",
        code="not_open",
        expected=expected,
        found=found,
        remedy=_WAYS_OUT,
    )
