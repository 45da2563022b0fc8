"""Requests that were turned away: an audit line for each, until one address sends too many.

A credential that fails is answered 401. Beyond `PER_MINUTE` from one address it is answered 429 and
writes no line, so that nobody can fill a disk. A right credential from there is let in all the
same: a secret of 256 bits is not found by trying, and an address may be that of a whole building.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from portgrad.api.auth import audit
from portgrad.api.auth.callers import caller_in
from portgrad.api.auth.rates import KEPT, Buckets
from portgrad.errors import PortgradError, TooManyRequests, Unauthenticated

PER_MINUTE = 60


class Refusals:
    """Counts refusals by address."""

    def __init__(self) -> None:
        self._buckets = Buckets()
        self._unsaid: OrderedDict[str, int] = OrderedDict()

    def count(self, scope: Mapping[str, Any], error: PortgradError) -> PortgradError:
        """Write down that a request is refused. What it is told: the error, or to wait."""
        whence = _whence(scope)
        wait = self._buckets.take(whence, PER_MINUTE)
        if wait:
            self._unsaid[whence] = self._unsaid.get(whence, 0) + 1
            if len(self._unsaid) > KEPT:
                self._unsaid.popitem(last=False)
            return _too_many(wait) if isinstance(error, Unauthenticated) else error
        caller = caller_in(scope)
        audit.tell(
            "denied",
            code=error.code,
            owner=caller.owner,
            key=caller.key,
            method=scope["method"],
            unsaid=self._unsaid.pop(whence, 0) or None,
            **audit.whence(scope),
        )
        return error


def _whence(scope: Mapping[str, Any]) -> str:
    """The address of the client; of IPv6 the network, of which one client has every address."""
    client = scope.get("client")
    if not client:
        return ""
    try:
        address = ip_address(client[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address.packed, 64), strict=False))
    return str(address)


def _too_many(wait: float) -> TooManyRequests:
    return TooManyRequests(
        "Too many keys and tokens from this address were wrong.",
        retry_after=max(1, math.ceil(wait)),
        code="too_many_failures",
        where="Authorization",
        expected=f"at most {PER_MINUTE} in a minute",
        remedy="Wait as long as `Retry-After` says, then send the right one.",
    )
