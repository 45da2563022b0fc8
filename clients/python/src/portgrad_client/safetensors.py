"""The safetensors format: a length, a JSON header, and the arrays' bytes.

u64, little-endian      length of the header
header                  {"NAME": {"dtype", "shape", "data_offsets": [begin, end]}, ...},
                        and texts under "__metadata__"; padded with spaces
buffer                  row-major little-endian bytes, without gaps, in the order of offsets
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from portgrad_client.dtypes import Array, dtype_named, from_bytes, little_endian, name_of
from portgrad_client.errors import InvalidAnswerError
from portgrad_client.exchange import Buffer

MEDIA_TYPE = "application/x-safetensors"
METADATA = "__metadata__"
_ALIGNMENT = 8
# So many headers are kept each way, of at most so many arrays, or bytes where they were read.
_KEPT, _MOST_ARRAYS, _MOST_BYTES = 64, 64, 4096
_written = json.JSONEncoder(separators=(",", ":")).encode

_NAMES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BOOL": "bool",
    "BF16": "bfloat16",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_CODES = {name: code for code, name in _NAMES.items()}


def carries(dtype: str) -> bool:
    """Whether the format has a code for the dtype of that name."""
    return dtype in _CODES


def encode(arrays: Mapping[str, Array]) -> bytes:
    """A file of the arrays. Their dtypes must be ones that the format carries."""
    return b"".join(pieces(arrays))


def pieces(arrays: Mapping[str, Array]) -> list[Buffer]:
    """The same, in pieces: the arrays' own bytes are not copied."""
    # Widest elements first: with the padded header, every array is aligned where it lies.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    told = tuple([(name, array.dtype, array.shape) for name, array in ordered])
    header = (_header if len(told) <= _MOST_ARRAYS else _header.__wrapped__)(told)
    return [header, *[little_endian(a).reshape(-1).view(np.uint8).data for _, a in ordered]]


@lru_cache(_KEPT)
def _header(arrays: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]) -> bytes:
    """The header of a file with its length in front. Calls that follow one another share theirs."""
    header: dict[str, Any] = {}
    end = 0
    for name, dtype, shape in arrays:
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        code = _CODES[name_of(dtype)]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": (begin, end)}
    text = _written(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def decode(body: Buffer) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file, and its metadata.

    Raises:
        InvalidAnswerError: the bytes are not a whole safetensors file.
        DtypeUnavailableError: an array has a dtype that needs ml_dtypes.
    """
    size = int.from_bytes(body[:8], "little")
    raw = memoryview(body)[8 + size :]
    try:
        read = _places if size <= _MOST_BYTES else _places.__wrapped__
        places, metadata = read(bytes(body[8 : 8 + size]), len(raw))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAnswerError(
            "The answer is not a whole safetensors file.",
            found=f"{len(body)} bytes: {error}",
            remedy="Send the request again; if that does not help, look at the proxies between.",
        ) from error
    return {name: _array(place, raw) for name, place in places}, dict(metadata)


class _Place(NamedTuple):
    """Where an array lies, and as what."""

    dtype: np.dtype[Any]
    shape: list[int]
    begin: int
    end: int


@lru_cache(_KEPT)
def _places(text: bytes, size: int) -> tuple[list[tuple[str, _Place]], dict[str, str]]:
    """What a header tells of so many bytes that follow it. Answers to like calls share theirs."""
    header = json.loads(text)
    metadata = dict(header.pop(METADATA, {}))
    return [(name, _place(entry, size)) for name, entry in header.items()], metadata


def _place(entry: Mapping[str, Any], size: int) -> _Place:
    dtype = dtype_named(_NAMES[entry["dtype"]])
    shape = entry["shape"]
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= size or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"offsets {begin} to {end} do not hold {dtype.name} of shape {shape}")
    return _Place(dtype, shape, begin, end)


def _array(place: _Place, raw: memoryview) -> Array:
    dtype, shape, begin, end = place
    # What is most of the answer may as well keep it; what is little of it would keep too much.
    shares = not raw.readonly and 2 * (end - begin) > len(raw)
    return from_bytes(raw[begin:end], dtype, shape, copy=not shares)
