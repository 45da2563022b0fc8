"""What is wrong with the head of a request that the parser took, if anything."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.api.problems import HeadTooLarge
from portgrad.api.server.edge import MOST_HEAD_BYTES, MOST_HEADERS
from portgrad.errors import Malformed, PortgradError


def wrong(url: bytes, headers: Sequence[tuple[bytes, bytes]], version: str) -> PortgradError | None:
    """The error of a head that is too large, or whose meaning servers do not agree on."""
    size, hosts = len(url), 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return malformed("its Transfer-Encoding is another than chunked")
    if size > MOST_HEAD_BYTES or len(headers) > MOST_HEADERS:
        return too_large(f"{size} bytes and {len(headers)} headers")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return malformed("it has no header Host, or several")
    return None


def malformed(what: str) -> Malformed:
    """The error of a request that breaks HTTP's own rules."""
    return Malformed(
        f"The request breaks HTTP's own rules: {what}.",
        code="malformed_request",
        remedy="Send it with an HTTP client, or mend the one that sent it.",
    )


def too_large(found: str) -> HeadTooLarge:
    """The error of a head that is longer than is read."""
    return HeadTooLarge(
        "The request line and the headers are larger than they may be.",
        where="headers",
        expected=f"at most {MOST_HEAD_BYTES} bytes, in at most {MOST_HEADERS} headers",
        found=found,
        remedy="Send less in headers and query; arrays belong into the body.",
    )
