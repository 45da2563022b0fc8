"""The keys of the issuer of tokens: fetched, kept, and fetched again when one is not known.

A token that names an unknown key may be forged or may be new, and only the issuer can tell. So it
is asked, but never more often than every `PAUSE` seconds, whatever comes in. Where it does not
answer, tokens of known keys go on being taken for `STALE` seconds, and others are told to wait.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from starlette.concurrency import run_in_threadpool

from portgrad.errors import Busy

log = logging.getLogger("portgrad.api")

PAUSE, PAUSE_AFTER_FAILURE = 30.0, 5.0
FRESH, STALE = 3600.0, 24 * 3600.0
_SECONDS, _BYTES = 5.0, 1024 * 1024
_KEY_TYPES = {"RSA", "EC", "OKP"}

Document = dict[str, Any]
Fetch = Callable[[str], Awaitable[Document]]


class Unreachable(Exception):
    """The issuer did not answer as an issuer does. Says why, for the log."""


class Issuer:
    """The public keys of one issuer.

    Attributes:
        edition: changes whenever the keys do; what was verified with keys of another is not
            verified any more.
    """

    def __init__(
        self,
        name: str,
        jwks_url: str | None,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.edition = 0
        self._url = jwks_url
        self._fetch = fetch or fetched
        self._clock = clock
        self._keys: dict[str | None, Document] = {}
        self._built: dict[tuple[str | None, str], PyJWK] = {}
        self._since = self._tried = -math.inf
        self._failed = False
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None  # held, or it could be collected midway

    async def key(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm; None where the issuer has none.

        Raises:
            Busy: `issuer_unavailable`, where nobody can tell.
        """
        self.keep_fresh()
        if kid not in self._keys:
            await self._ask(lambda: kid not in self._keys)
        found = self._keys.get(kid)
        if found is None and self._failed:
            raise self._unavailable()
        if found is None or found.get("alg", algorithm) != algorithm:
            return None
        if (kid, algorithm) not in self._built:
            try:
                self._built[kid, algorithm] = PyJWK(found, algorithm)
            except PyJWTError:  # a key of another kind than the algorithm's
                return None
        return self._built[kid, algorithm]

    def keep_fresh(self) -> None:
        """Ask the issuer anew in a while, in the background, and forget what is too old."""
        age = self._clock() - self._since
        if age > STALE and self._keys:
            self._replace({})
        if age > FRESH and self._keys and self._may_ask() and not self._turn.locked():
            self._task = asyncio.create_task(self._ask(self._is_old))

    async def _ask(self, wanted: Callable[[], bool]) -> None:
        async with self._turn:
            if not (wanted() and self._may_ask()):
                return
            self._tried = self._clock()
            try:
                self._keep(await self._asked())
            except Unreachable as error:
                self._failed = True
                log.warning("The keys of the issuer %s cannot be had: %s.", self.name, error)

    def _may_ask(self) -> bool:
        pause = PAUSE_AFTER_FAILURE if self._failed else PAUSE
        return self._clock() - self._tried >= pause

    def _is_old(self) -> bool:
        return self._clock() - self._since > FRESH

    async def _asked(self) -> Document:
        if self._url is None:
            place = f"{self.name.rstrip('/')}/.well-known/openid-configuration"
            about = await self._fetch(place)
            if about.get("issuer") != self.name:
                raise Unreachable(f"{place} is of another issuer")
            url = about.get("jwks_uri")
            if not isinstance(url, str) or not is_safe(url):
                raise Unreachable(f"{place} names no place of its keys that can be trusted")
            self._url = url
        return await self._fetch(self._url)

    def _keep(self, document: Document) -> None:
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise Unreachable("what it answered is no set of keys")
        usable = [key for key in listed if _verifies(key)]
        keys: dict[str | None, Document] = {key.get("kid"): key for key in usable}
        if len(usable) == 1:
            keys[None] = usable[0]  # a token need not say which key, where there is one
        elif None in keys:
            del keys[None]
        self._since, self._failed = self._clock(), False
        if keys != self._keys:
            self._replace(keys)

    def _replace(self, keys: dict[str | None, Document]) -> None:
        self._keys, self._built = keys, {}
        self.edition += 1

    def _unavailable(self) -> Busy:
        wait = PAUSE_AFTER_FAILURE - (self._clock() - self._tried)
        return Busy(
            "The issuer of tokens does not answer, so this one cannot be verified.",
            retry_after=max(1, math.ceil(wait)),
            code="issuer_unavailable",
            where="Authorization",
            remedy="Try again in a while.",
        )


def _verifies(key: Any) -> bool:
    """Whether a key of the set is a public one for signatures."""
    return (
        isinstance(key, dict)
        and key.get("kty") in _KEY_TYPES
        and key.get("use", "sig") == "sig"
        and "verify" in key.get("key_ops", ["verify"])
        and "d" not in key
        and isinstance(key.get("kid"), str | None)
    )


def is_safe(url: str) -> bool:
    """Whether what is fetched from there cannot be changed on the way: https, or this machine."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    near = parsed.host in {"localhost", "127.0.0.1", "::1"}
    return bool(parsed.host) and (parsed.scheme == "https" or (parsed.scheme == "http" and near))


async def fetched(url: str) -> Document:
    """A JSON object from the issuer, of a bearable size, in a bearable time, from no other place.

    Raises:
        Unreachable: it is none, or does not come.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            content = await _body(url)
        document = orjson.loads(content)
    except (httpx.HTTPError, OSError, ValueError, TimeoutError) as error:
        raise Unreachable(f"{url}: {type(error).__name__} {error}".strip()) from error
    if not isinstance(document, dict):
        raise Unreachable(f"{url} is no JSON object")
    return document


async def _body(url: str) -> bytes:
    # In a thread, as it reads the certificates of all authorities from the disk.
    http = await run_in_threadpool(httpx.AsyncClient, timeout=_SECONDS)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with http, http.stream("GET", url, headers=headers) as answer:
        if not answer.is_success:
            raise Unreachable(f"{url} answered {answer.status_code}")
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > _BYTES:
                raise Unreachable(f"{url} is longer than {_BYTES} bytes")
    return bytes(body)
