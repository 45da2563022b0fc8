"""An issuer of tokens on this machine: OpenID discovery, its keys, and tokens right and wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

AUDIENCE = "portgrad"
_MAKERS: dict[str, Any] = {
    "RS": lambda: rsa.generate_private_key(65537, 2048),
    "PS": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class SigningKey:
    """A private key, and how its issuer publishes it."""

    def __init__(self, algorithm: str, kid: str | None) -> None:
        self.algorithm, self.kid = algorithm, kid
        self.private = (_MAKERS.get(algorithm) or _MAKERS[algorithm[:2]])()

    def published(self) -> dict[str, Any]:
        made = get_default_algorithms()[self.algorithm].to_jwk(self.private.public_key())
        named = {} if self.kid is None else {"kid": self.kid}
        return {**json.loads(made), **named, "alg": self.algorithm, "use": "sig"}

    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )


class Issuer:
    """It publishes what `keys` and `documents` hold now; `asked` has each path asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys = [SigningKey("ES256", "first")]
        self.asked: list[str] = []
        self.down = False
        self.documents: dict[str, Any] = {}

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        documents: dict[str, Any] = {
            "/jwks": {"keys": [key.published() for key in self.keys]},
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
            },
            **self.documents,
        }
        if self.down or path not in documents:
            return 500 if self.down else 404, b"{}"
        found = documents[path]
        return 200, found if isinstance(found, bytes) else json.dumps(found).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ann",
            "iat": now,
            "exp": now + 600,
            "scope": "openid portgrad:read compute",
        }
        return {name: v for name, v in (claims | changed).items() if v is not None}

    def token(
        self, *, key: SigningKey | None = None, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        key = key or self.keys[0]
        named = {} if key.kid is None else {"kid": key.kid}
        return jwt.encode(
            self.claims(**claims), key.private, key.algorithm, headers=named | (headers or {})
        )

    def unsigned(self, **claims: Any) -> str:
        header = {"alg": "none", "typ": "JWT", "kid": self.keys[0].kid}
        return f"{part(header)}.{part(self.claims(**claims))}."

    def signed_with_what_is_public(self, **claims: Any) -> str:
        """HS256, with the public key as its secret: right for who verifies as the token says."""
        header = {"alg": "HS256", "typ": "JWT", "kid": self.keys[0].kid}
        said = f"{part(header)}.{part(self.claims(**claims))}"
        signature = hmac.new(self.keys[0].pem(), said.encode(), hashlib.sha256).digest()
        return f"{said}.{encoded(signature)}"

    def tampered(self, **claims: Any) -> str:
        """A good token whose claims were exchanged for these."""
        header, _, signature = self.token().split(".")
        return f"{header}.{part(self.claims(**claims))}.{signature}"


def part(content: dict[str, Any]) -> str:
    return encoded(json.dumps(content).encode())


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
