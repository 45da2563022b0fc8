"""Before anything else of a request is looked at: who sends it, and whether it is their turn."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from portgrad.api.auth.callers import LOCAL, NOBODY, TRUSTED, Caller
from portgrad.api.auth.credentials import bearer, refuse_in_address
from portgrad.api.auth.issuer import Issuer
from portgrad.api.auth.keys import PREFIX, KeyHolders
from portgrad.api.auth.nearby import refuse_strangers
from portgrad.api.auth.rates import Turns
from portgrad.api.auth.refusals import Refusals
from portgrad.api.auth.scopes import is_open
from portgrad.api.auth.tokens import Tokens
from portgrad.api.problems import Problem
from portgrad.errors import PortgradError, Unauthenticated
from portgrad.settings import Settings
from portgrad.store.keys import Keys


class Guard:
    """Pure ASGI middleware: tells each request's `state.caller`, or answers for the route."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._settings = settings
        self._turns = Turns(settings)
        self._refusals = Refusals()
        self._holders = KeyHolders(Keys(settings.data))
        self._tokens = _tokens(settings)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        state.update(caller=NOBODY, refusals=self._refusals)
        try:
            caller = state["caller"] = await self._caller(scope)
            turn = None if caller is NOBODY else self._turns.begin(caller)
        except PortgradError as error:
            told = self._refusals.count(scope, error)
            await Problem(told, state["request_id"])(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._turns.end(turn)

    async def _caller(self, scope: Connection) -> Caller:
        if TRUSTED in scope:
            trusted: Caller = scope[TRUSTED]
            return trusted
        refuse_in_address(scope)
        if self._settings.auth == "none":
            if not self._settings.open:
                refuse_strangers(scope, self._settings.host)
            return LOCAL
        if is_open(scope["path"]):
            return NOBODY
        credential = bearer(scope["headers"])
        if credential.startswith(PREFIX):
            return self._holders.caller(credential)
        if self._tokens is not None:
            return await self._tokens.caller(credential)
        raise Unauthenticated(
            "This service takes no tokens but its own keys.",
            code="invalid_token",
            where="Authorization",
            expected="a key that begins with `pg_`",
            remedy="Send a key made by `portgrad keys create`, or set PORTGRAD_JWT_ISSUER.",
        )


def trusted(app: ASGIApp, caller: Caller = LOCAL) -> ASGIApp:
    """The application for this process's own requests, which need no credential."""

    async def as_caller(scope: Connection, receive: Receive, send: Send) -> None:
        await app({**scope, TRUSTED: caller}, receive, send)

    return as_caller


def _tokens(settings: Settings) -> Tokens | None:
    if not settings.jwt_issuer:
        return None
    return Tokens(settings, Issuer(settings.jwt_issuer, settings.jwt_jwks_url))
