"""Every format by its media type, and bodies read and answers written in any of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portgrad.codecs import json, npz, safetensors
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.model import Answer, Buffer, Call, Codec, Format, Kind, Known
from portgrad.errors import Malformed

CODECS: dict[str, Codec] = {
    codec.media_type: codec for codec in (json.CODEC, safetensors.CODEC, npz.CODEC)
}
_ZIP = b"PK\x03\x04"
# What is not an array is small, or text: both count as this.
_OTHER_BYTES = 64 * 1024
# Above this a format that can is written a piece at a time: what a format takes for a whole text
# may be twice the text.
_WHOLE_BYTES = 1024 * 1024


def read(
    codec: Codec, body: Buffer, *, query: str | None, kind: Kind, known: Known, bounds: Bounds
) -> Call:
    """The call that a body of this format holds, no larger than it may be.

    Raises:
        InvalidRequest, LimitExceeded: what is wrong with it.
    """
    try:
        call = codec.decode(body, query, kind, known, bounds)
    except Malformed as error:
        meant = guess(body)
        if meant not in {None, codec.media_type}:
            error.remedy = f"The body looks like {meant}: set the Content-Type that it has."
        raise
    bounds.check_call(call.data, call.arrays.values())
    return call


def guess(body: Buffer) -> str | None:
    """The media type of the format that a body begins like."""
    start = bytes(body[:64])
    if start.startswith(_ZIP):
        return npz.MEDIA_TYPE
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= len(body) - 8:
        return safetensors.MEDIA_TYPE
    return json.MEDIA_TYPE if start.lstrip().startswith(b"{") else None


def write(answer: Answer, kind: Kind, form: Format, size: int | None = None) -> list[Buffer]:
    """The body of an answer, in pieces that follow one another.

    Args:
        answer: what it says.
        kind: of what call.
        form: how it is to be written.
        size: about how many bytes its arrays have, where that is known.
    """
    codec = CODECS[form.media_type]
    size = size_of(answer) if size is None else size
    if codec.pieces is not None and size > _WHOLE_BYTES:
        return list(codec.pieces(answer, kind, form.encoding))
    return [codec.encode(answer, kind, form.encoding)]


def size_of(answer: Answer) -> int:
    """About how many bytes the arrays of an answer have."""
    return sum(map(_bytes, (*answer.derivatives.values(), *answer.outputs.values())))


def _bytes(value: Any) -> int:
    """Those of an array, or of all that are in a sequence."""
    if type(value) is np.ndarray:
        return value.nbytes
    if isinstance(value, list):
        return _OTHER_BYTES + sum(map(_bytes, value))
    return int(getattr(value, "nbytes", _OTHER_BYTES + 1))
