"""Where a credential stands: in the Authorization header, and never in an address."""

from __future__ import annotations

import re
from typing import Any

from portgrad.errors import Unauthenticated

# A key, or a JSON web token: what must not be in an address, and never in a log.
# Of a token whatever it is glued to is taken as well: each character is looked at once, where a
# search from every `eyJ` would take seconds for a header full of them.
SECRET = re.compile(
    r"pg_[0-9a-f]{16}_[0-9a-f]{16,}"
    r"|(?<![\w-])(?>[\w-]*?eyJ)[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+",
    re.ASCII,
)
_NAMED = re.compile(
    r"(?:^|&)(?:x-)?(?:(?:pg|api)[_-]?key|apikey|key|(?:access|id|bearer)[_-]?token|token"
    r"|authorization|auth|bearer|password|secret)=",
    re.IGNORECASE,
)
HIDDEN = "[hidden]"
_LONGEST = 16 * 1024


def redacted(text: str) -> str:
    """The text without what a key or token looks like."""
    return SECRET.sub(HIDDEN, text)


def refuse_in_address(scope: Any) -> None:
    """Refuse a request whose address bears a credential, and take it out of the address.

    Raises:
        Unauthenticated: `credential_in_url`.
    """
    path = scope["path"]
    if not scope["query_string"] and "pg_" not in path and "eyJ" not in path:
        return
    query = scope["query_string"].decode("latin-1")
    if not (_NAMED.search(query) or SECRET.search(query) or SECRET.search(path)):
        return
    # A server logs the address of the request once it is answered: this is the same scope.
    scope["query_string"] = b""
    scope["path"] = redacted(path)
    scope["raw_path"] = scope["path"].encode()
    raise Unauthenticated(
        "A key or token was sent in the address, where proxies and logs keep it.",
        code="credential_in_url",
        where="query",
        expected="the header `Authorization: Bearer …`",
        remedy="Send it in the header. Revoke this one, as others may have read it.",
    )


def bearer(headers: list[tuple[bytes, bytes]]) -> str:
    """The key or token of a request.

    Raises:
        Unauthenticated: `not_authenticated`, where there is none or more than one.
    """
    found = [value for name, value in headers if name == b"authorization"]
    if len(found) != 1 or len(found[0]) > _LONGEST:
        said = f"{len(found)} of them" if len(found) > 1 else "a longer one" if found else "none"
        raise _nobody(said)
    scheme, _, credential = found[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise _nobody("another scheme" if credential.strip() else "nothing after the scheme")
    return credential.strip()


def _nobody(found: str) -> Unauthenticated:
    return Unauthenticated(
        "This needs an API key or a bearer token.",
        code="not_authenticated",
        where="Authorization",
        expected="one header `Authorization: Bearer …`",
        found=found,
        remedy="Send a key made by `portgrad keys create`, or a token of the service's issuer.",
    )
