"""Content-Type and Accept: what a body is, and what the client wants back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from portgrad.api.problems import NotAcceptable, UnsupportedMedia

_WEIGHT = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)")


def header(request: Request, name: bytes) -> str | None:
    """The first header of this name, which is in lower case; sooner than by starlette's mapping."""
    for known, value in request.scope["headers"]:
        if known == name:
            return str(value, "latin-1")
    return None


def content_type(request: Request) -> str | None:
    """The media type of the body, in lower case and without parameters."""
    told = header(request, b"content-type")
    return told.partition(";")[0].strip().lower() if told else None


def refuse_encoding(request: Request) -> None:
    """Refuse a compressed body: no route inflates one."""
    told = header(request, b"content-encoding")
    encoding = "identity" if told is None else told.strip().lower()
    if encoding != "identity":
        raise UnsupportedMedia(
            "Compressed bodies are not read here.",
            code="unsupported_encoding",
            where="Content-Encoding",
            expected="identity",
            found=encoding,
            remedy="Send the body as it is; safetensors is small without compression.",
        )


def negotiate(accept: str | None, offers: Sequence[str]) -> str:
    """The offer that the client likes best; among equals the first.

    Raises:
        NotAcceptable: the client takes none of them.
    """
    if accept is None or accept == offers[0] or not accept.strip(" ,"):
        return offers[0]
    wanted: dict[str, float] = {}
    for part in filter(str.strip, accept.split(",")):
        name, weight = _media_range(part)
        wanted[name] = max(weight, wanted.get(name, 0.0))
    likes = [_quality(offer, wanted) for offer in offers]
    best = max(likes)
    if best > 0:
        return offers[likes.index(best)]
    raise NotAcceptable(
        "The answer cannot be written in any format that the request accepts.",
        where="Accept",
        expected=", ".join(offers),
        found=accept,
        remedy="Accept one of the formats expected, or leave the header out.",
    )


def _media_range(part: str) -> tuple[str, float]:
    media_range, *parameters = [piece.strip().lower() for piece in part.split(";")]
    for parameter in parameters:
        if parameter.startswith("q="):
            weight = parameter[2:]
            return media_range, float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return media_range, 1.0


def _quality(offer: str, wanted: Mapping[str, float]) -> float:
    """The weight of the most specific range that the offer falls in."""
    ranges = (offer, f"{offer.partition('/')[0]}/*", "*/*")
    return next((wanted[name] for name in ranges if name in wanted), 0.0)
