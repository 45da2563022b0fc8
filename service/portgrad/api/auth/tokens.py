"""Bearer tokens of an issuer (OpenID Connect, or plain JSON web tokens) as callers.

Only signatures that a public key verifies are taken: were `none` or a shared secret allowed too, a
token would choose by itself how it is checked.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import jwt
from jwt import PyJWK
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from portgrad.api.auth.callers import SCOPES, Caller, Scope
from portgrad.api.auth.issuer import Issuer
from portgrad.errors import Unauthenticated
from portgrad.settings import Settings

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
# Clocks differ by so many seconds.
LEEWAY = 10
KEPT = 10_000
_LONGEST_OWNER = 255
_PREFIX = "portgrad:"

_LATEST = 2.0**40  # seconds: nobody looks at a token that expires later
# JSON may hold numbers and nesting that no claim has.
_UNREADABLE = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
_REASONS: dict[type[Exception], str] = {
    ImmatureSignatureError: "it is not valid yet",
    InvalidIssuerError: "it is of another issuer",
    InvalidAudienceError: "it is for another audience",
    InvalidSignatureError: "its signature is not that of its issuer",
}


class _Verified(NamedTuple):
    caller: Caller
    until: float
    edition: int


class Tokens:
    """Tells who bears a token. What was verified is remembered until it expires."""

    def __init__(
        self, settings: Settings, issuer: Issuer, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._clock = clock
        # By a hash, so that no token lies about in memory.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Who bears this token.

        Raises:
            Unauthenticated: `invalid_token`, `token_expired`.
            Busy: `issuer_unavailable`.
        """
        name = sha256(token.encode("latin-1")).digest()
        known = self._verified.get(name)
        self._issuer.keep_fresh()
        if known is not None and known.edition == self._issuer.edition:
            if self._clock() >= known.until:
                raise _expired()
            return known.caller
        claims = await self._claims(token)
        caller = Caller(self._owner(claims), self._scopes(claims))
        until = min(claims["exp"], _LATEST) + LEEWAY
        self._remember(name, _Verified(caller, until, self._issuer.edition))
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        kid, algorithm = _header(token)
        key = await self._issuer.key(kid, algorithm)
        if key is None:
            raise _invalid("its issuer has no such key")
        try:
            return _decoded(token, key, self._settings)
        except ExpiredSignatureError as error:
            raise _expired() from error
        except MissingRequiredClaimError as error:
            raise _invalid(f"it lacks the claim {error.claim!r}") from error
        except _UNREADABLE as error:
            raise _invalid(_REASONS.get(type(error), "it cannot be read as one")) from error

    def _owner(self, claims: dict[str, Any]) -> str:
        """With the issuer before it, so that no owner of a key is meant."""
        claim = self._settings.jwt_owner_claim
        named = claims.get(claim)
        fits = isinstance(named, str) and 0 < len(named) <= _LONGEST_OWNER and named.isprintable()
        if not fits:
            raise _invalid(f"its claim {claim!r} names nobody")
        return f"{self._issuer.name}#{named}"

    def _scopes(self, claims: dict[str, Any]) -> frozenset[Scope]:
        """The scopes of this service in the claim: a list, or words; others may stand there too."""
        claim = claims.get(self._settings.jwt_scope_claim, "")
        words = (
            claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
        )
        plain = {word.removeprefix(_PREFIX) for word in words if isinstance(word, str)}
        return SCOPES.intersection(plain)

    def _remember(self, name: bytes, verified: _Verified) -> None:
        self._verified[name] = verified
        self._verified.move_to_end(name)
        if len(self._verified) > KEPT:
            self._verified.popitem(last=False)


def _header(token: str) -> tuple[str | None, str]:
    """Which key and algorithm a token says it is signed with. Nothing of it is believed yet."""
    try:
        header = jwt.get_unverified_header(token)
    except _UNREADABLE as error:
        raise _invalid("it cannot be read as one") from error
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise _invalid("it is not signed with a public key's algorithm")
    if "crit" in header:
        raise _invalid("it wants something of its reader that is not known here")
    return header.get("kid"), algorithm


def _decoded(token: str, key: PyJWK, settings: Settings) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=ALGORITHMS,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        leeway=LEEWAY,
        options={
            "require": ["exp", "iss", "aud"],
            "enforce_minimum_key_length": True,
        },
    )


def _invalid(reason: str) -> Unauthenticated:
    return Unauthenticated(
        f"This bearer token is not taken: {reason}.",
        code="invalid_token",
        where="Authorization",
        remedy="Get another from the service's issuer, for its audience.",
    )


def _expired() -> Unauthenticated:
    return Unauthenticated(
        "The time of this token is over.",
        code="token_expired",
        where="Authorization",
        remedy="Get a fresh one from the service's issuer.",
    )
