"""What a body looks like, for those who sent it under the wrong Content-Type."""

from __future__ import annotations

from portgrad.codecs import json, npz, safetensors

_ZIP = b"PK\x03\x04"


def guess(body: bytes) -> str | None:
    """The media type of the format that a body begins like."""
    if body.startswith(_ZIP):
        return npz.MEDIA_TYPE
    if body[8:9] == b"{" and int.from_bytes(body[:8], "little") <= len(body) - 8:
        return safetensors.MEDIA_TYPE
    return json.MEDIA_TYPE if body[:64].lstrip().startswith(b"{") else None
