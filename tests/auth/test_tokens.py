"""Bearer tokens: what is verified, how long it is remembered, and when the issuer is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from portgrad.api.auth import issuer as issuers
from portgrad.api.auth import tokens as module
from portgrad.api.auth.callers import Caller
from portgrad.api.auth.issuer import Issuer, Unreachable, fetched
from portgrad.api.auth.tokens import ALGORITHMS, Tokens
from portgrad.errors import Busy, PortgradError, Unauthenticated
from portgrad.settings import Settings
from support import issuer as support
from support.issuer import AUDIENCE, SigningKey, issuing, part


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Rig:
    """An issuer in this process, and a service's view of it, with a clock for both."""

    def __init__(self) -> None:
        self.issuer = support.Issuer("http://127.0.0.1:1")
        self.clock = Clock()
        self.slow: asyncio.Event | None = None
        seen = Issuer(self.issuer.url, None, self.fetch, self.clock)
        settings = Settings(auth="required", jwt_issuer=self.issuer.url, jwt_audience=AUDIENCE)
        self.seen, self.tokens = seen, Tokens(settings, seen, self.clock)

    async def fetch(self, url: str) -> dict[str, Any]:
        status, body = self.issuer.answer(url.removeprefix(self.issuer.url))
        if self.slow is not None:
            await self.slow.wait()
        if status != 200:
            raise Unreachable(f"{url} answered {status}")
        return json.loads(body)

    @property
    def fetches(self) -> int:
        return self.issuer.asked.count("/jwks")

    async def code(self, token: str) -> str | None:
        """The code of what is told, None where the token is taken."""
        try:
            await self.tokens.caller(token)
        except PortgradError as error:
            return error.code
        return None


def running(work: Callable[[Rig], Awaitable[None]]) -> Callable[[], None]:
    """A test that runs in an event loop, with a rig of its own."""

    def test() -> None:
        async def run() -> None:
            await work(Rig())

        asyncio.run(run())

    test.__name__ = work.__name__
    return test


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_is_taken(algorithm: str) -> None:
    rig = Rig()
    rig.issuer.keys = [SigningKey(algorithm, "only")]
    assert asyncio.run(rig.tokens.caller(rig.issuer.token())) == Caller(
        "http://127.0.0.1:1#ann", frozenset({"read", "compute"})
    )


@running
async def test_a_key_verifies_its_own_algorithm_alone(rig: Rig) -> None:
    rig.issuer.keys = [SigningKey("RS256", "only")]
    other = SigningKey("PS256", "only")
    other.private = rig.issuer.keys[0].private
    assert await rig.code(rig.issuer.token()) is None
    assert await rig.code(rig.issuer.token(key=other)) == "invalid_token"
    confused = part({"alg": "ES256", "kid": "only"})
    claims = rig.issuer.token().partition(".")[2]
    assert await rig.code(f"{confused}.{claims}") == "invalid_token"


@running
async def test_a_published_key_that_is_no_public_one_for_signatures_verifies_nothing(
    rig: Rig,
) -> None:
    key = rig.issuer.keys[0]
    for change in ({"use": "enc"}, {"key_ops": ["sign"]}, {"d": "AA"}, {"kty": "oct", "k": "AA"}):
        other = Rig()
        other.issuer.documents["/jwks"] = {"keys": [{**key.published(), **change}]}
        assert await other.code(rig.issuer.token()) == "invalid_token", change


@running
async def test_a_short_rsa_key_verifies_nothing(rig: Rig) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = SigningKey("RS256", "short")
    key.private = rsa.generate_private_key(65537, 1024)
    rig.issuer.keys = [key]
    with pytest.warns(Warning, match="bits"):
        token = rig.issuer.token()
    assert await rig.code(token) == "invalid_token"


ODD = [
    "a.b.c",
    "....",
    "é.é.é",
    f"{part({'alg': 'ES256'})}.{part({})}.",
    f"{part({'alg': ['ES256']})}.{part({})}.AA",
    f"{part({'alg': 'ES256', 'kid': 7})}.{part({})}.AA",
    f"{part({'alg': 'ES256', 'kid': 'first', 'crit': ['x']})}.{part({})}.AA",
    f"{support.encoded(b'[' * 6000)}.{part({})}.AA",
    f"{support.encoded(b'[]')}.{part({})}.AA",
]


@pytest.mark.parametrize("token", ODD)
def test_what_is_no_token(token: str) -> None:
    assert asyncio.run(Rig().code(token)) == "invalid_token"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": "soon"}, "invalid_token"),
        ({"exp": float("inf")}, "invalid_token"),
        ({"exp": [1]}, "invalid_token"),
        ({"sub": 7}, "invalid_token"),
        ({"sub": ""}, "invalid_token"),
        ({"sub": "a\nb"}, "invalid_token"),
        ({"sub": "x" * 256}, "invalid_token"),
        ({"scope": 7}, None),
        ({"scope": {"read": 1}}, None),
        ({"scope": [7, None]}, None),
    ],
)
def test_odd_claims_that_an_issuer_signed(claims: dict[str, Any], code: str | None) -> None:
    rig = Rig()
    assert asyncio.run(rig.code(rig.issuer.token(**claims))) == code


def test_clocks_may_differ_a_little() -> None:
    rig, now = Rig(), int(time.time())
    for claims, code in [
        ({"exp": now - 5}, None),
        ({"exp": now - 60}, "token_expired"),
        ({"nbf": now + 5}, None),
        ({"nbf": now + 60}, "invalid_token"),
    ]:
        assert asyncio.run(rig.code(rig.issuer.token(**claims))) == code, claims


@running
async def test_what_was_verified_is_remembered_until_it_expires(rig: Rig) -> None:
    token = rig.issuer.token(exp=int(rig.clock.now) + 100)
    caller = await rig.tokens.caller(token)
    assert await rig.tokens.caller(token) is caller
    rig.clock.now += 100 + module.LEEWAY
    assert await rig.code(token) == "token_expired"


@running
async def test_no_more_is_remembered_than_may_be(rig: Rig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEPT", 3)
        for number in range(6):
            await rig.tokens.caller(rig.issuer.token(sub=str(number)))
        assert len(rig.tokens._verified) == 3


@running
async def test_a_new_key_is_found_and_an_old_one_opens_nothing_more(rig: Rig) -> None:
    old = rig.issuer.token()
    assert await rig.code(old) is None
    rig.issuer.keys = [SigningKey("ES256", "second")]
    new = rig.issuer.token()
    assert await rig.code(new) == "invalid_token"  # asked too recently
    rig.clock.now += issuers.PAUSE
    assert await rig.code(new) is None
    assert await rig.code(old) == "invalid_token"  # though it was remembered
    assert rig.fetches == 2


@running
async def test_forged_kids_do_not_make_us_hammer_the_issuer(rig: Rig) -> None:
    good = rig.issuer.token()
    for number in range(100):
        forged = rig.issuer.token(key=SigningKey("ES256", f"forged {number}"))
        assert await rig.code(forged) == "invalid_token"
        rig.clock.now += 0.5
    assert await rig.code(good) is None
    assert rig.fetches == 1 + int(50 / issuers.PAUSE)


@running
async def test_an_issuer_that_is_down_is_told_and_asked_again_later(rig: Rig) -> None:
    token = rig.issuer.token()
    rig.issuer.down = True
    with pytest.raises(Busy) as caught:
        await rig.tokens.caller(token)
    assert caught.value.code == "issuer_unavailable"
    assert 1 <= caught.value.retry_after <= issuers.PAUSE_AFTER_FAILURE
    rig.issuer.down = False
    assert await rig.code(token) == "issuer_unavailable"
    rig.clock.now += issuers.PAUSE_AFTER_FAILURE
    assert await rig.code(token) is None


@running
async def test_known_keys_outlive_an_issuer_but_not_for_ever(rig: Rig) -> None:
    long = rig.issuer.token(exp=int(rig.clock.now + 3 * issuers.STALE))
    assert await rig.code(long) is None
    rig.issuer.down = True
    rig.clock.now += issuers.FRESH + 1
    assert await rig.code(long) is None
    await asyncio.sleep(0)
    assert "jwks" in rig.issuer.asked[-1]  # in the background
    assert await rig.code(rig.issuer.token(exp=int(rig.clock.now + 60))) is None
    rig.clock.now += issuers.STALE
    assert await rig.code(long) == "issuer_unavailable"


@running
async def test_one_slow_fetch_holds_up_nobody_with_a_known_key(rig: Rig) -> None:
    good = rig.issuer.token()
    assert await rig.code(good) is None
    rig.clock.now += issuers.PAUSE
    rig.slow = asyncio.Event()
    unknown = [rig.issuer.token(key=SigningKey("ES256", f"new {n}")) for n in range(3)]
    waiting = [asyncio.create_task(rig.code(token)) for token in unknown]
    await asyncio.sleep(0)
    assert await rig.code(rig.issuer.token(sub="bob")) is None
    rig.slow.set()
    assert await asyncio.gather(*waiting) == ["invalid_token"] * 3
    assert rig.fetches == 2


@pytest.mark.parametrize(
    "documents",
    [
        {"/.well-known/openid-configuration": {"issuer": "https://evil", "jwks_uri": "https://e"}},
        {"/.well-known/openid-configuration": {"issuer": "http://127.0.0.1:1"}},
        {
            "/.well-known/openid-configuration": {
                "issuer": "http://127.0.0.1:1",
                "jwks_uri": "http://evil.example/jwks",
            }
        },
        {"/.well-known/openid-configuration": {"issuer": "http://127.0.0.1:1", "jwks_uri": 7}},
        {"/jwks": {}},
        {"/jwks": {"keys": 7}},
    ],
)
def test_an_issuer_that_answers_as_none_does(documents: dict[str, Any]) -> None:
    rig = Rig()
    rig.issuer.documents = documents
    assert asyncio.run(rig.code(rig.issuer.token())) == "issuer_unavailable"


@running
async def test_a_token_need_not_say_which_of_one_key(rig: Rig) -> None:
    rig.issuer.keys = [SigningKey("ES256", None)]
    assert await rig.code(rig.issuer.token()) is None
    rig.issuer.keys.append(SigningKey("ES256", "second"))
    rig.clock.now += issuers.FRESH + 1
    rig.seen.keep_fresh()
    await asyncio.sleep(0)
    assert await rig.code(rig.issuer.token()) == "invalid_token"


@pytest.fixture
def listening() -> Iterator[support.Issuer]:
    with issuing() as found:
        yield found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSONDecodeError"),
        (b"[]", "no JSON object"),
        (b" " * (1024 * 1024 + 1), "longer than"),
    ],
)
def test_what_is_fetched_is_bounded(listening: support.Issuer, body: bytes, said: str) -> None:
    listening.documents["/jwks"] = body
    with pytest.raises(Unreachable, match=said):
        asyncio.run(fetched(f"{listening.url}/jwks"))


def test_nobody_who_answers_slowly_is_waited_for(
    listening: support.Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "_SECONDS", 0.2)
    monkeypatch.setattr(listening, "answer", lambda path: (time.sleep(0.4), (200, b"{}"))[1])
    start = time.monotonic()
    with pytest.raises(Unreachable, match="Timeout"):
        asyncio.run(fetched(f"{listening.url}/jwks"))
    assert time.monotonic() - start < 5
    with pytest.raises(Unreachable, match="ConnectError"):
        asyncio.run(fetched("http://127.0.0.1:1/jwks"))


def test_errors_say_no_part_of_a_token() -> None:
    rig = Rig()
    token = rig.issuer.tampered(sub="other")
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(rig.tokens.caller(token))
    assert not any(piece in str(caught.value) for piece in token.split("."))
