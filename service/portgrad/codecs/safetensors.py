"""safetensors, which carries every numeric dtype.

    u64, little-endian   length of the header
    header               {"NAME": {"dtype", "shape", "data_offsets": [begin, end]}, ...}, and texts
                         under "__metadata__"; padded with spaces
    buffer               row-major little-endian bytes, without gaps, in the order of offsets

Read and written here, as the format's own library copies every array, both ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import orjson

from portgrad.codecs import binary, text
from portgrad.codecs.arrays import (
    DTYPES,
    MOST_DIMENSIONS,
    Array,
    carried,
    from_bytes,
    little_endian,
    name_of,
    not_carried,
)
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.model import Buffer
from portgrad.errors import InvalidRequest, LimitExceeded, Malformed

MEDIA_TYPE = "application/x-safetensors"
_JSON = "application/json"
_RESERVED = "__metadata__"

_CODES = {
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
# Name, dtype, shape and place of an array, generously.
_HEADER_BYTES = 1024
_NAMES = {name: code for code, name in _CODES.items()}
# What is written as it lies in the memory of a machine that is little-endian itself.
_AS_THEY_ARE = {DTYPES[name] for name in _NAMES if DTYPES[name] == DTYPES[name].newbyteorder("<")}
# So many headers are kept that were read, and that were written, of at most so many bytes.
_KEPT, _MOST_KEPT = 64, 4096
# The format has these besides, of which several stand in one byte: no array of NumPy's does.
_PACKED = {"F4", "F6_E2M3", "F6_E3M2"}
Shape = tuple[str, tuple[int, ...]]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def read(body: Buffer, bounds: Bounds) -> dict[str, Array]:
    """The arrays of a file, as views of it."""
    size = int.from_bytes(body[:8], "little")
    header = bytes(body[8 : 8 + size])
    raw = memoryview(body)[8 + size :]
    layout = _layout if size <= _MOST_KEPT else _layout.__wrapped__
    places = layout(header, size, len(raw), bounds.arrays, bounds.depth)
    return {name: _array(name, place, raw) for name, place in places}


def shapes(body: Buffer, bounds: Bounds) -> Mapping[str, Shape] | None:
    """Dtype and shape of each array, by the header alone; None where it is long, or not right."""
    size = int.from_bytes(body[:8], "little")
    if size > _MOST_KEPT:
        return None
    header = bytes(body[8 : 8 + size])
    try:
        return _shapes(header, size, len(body) - 8 - size, bounds.arrays, bounds.depth)
    except (InvalidRequest, LimitExceeded):
        return None


@lru_cache(_KEPT)
def _shapes(header: bytes, size: int, buffer: int, arrays: int, depth: int) -> dict[str, Shape]:
    places = _layout(header, size, buffer, arrays, depth)
    return {name: (place.entry.dtype, tuple(place.entry.shape)) for name, place in places}


class _Place(NamedTuple):
    """Where an array lies: its dtype where its bytes are its elements, whatever they are."""

    entry: _Entry
    dtype: np.dtype[Any] | None
    elements: int


@lru_cache(_KEPT)
def _layout(
    header: bytes, size: int, buffer: int, arrays: int, depth: int
) -> tuple[tuple[str, _Place], ...]:
    """Where arrays lie, as a header tells it that is right. The same one comes again and again."""
    bounds = Bounds(0, depth, arrays, 0)
    _refuse_large(header, bounds)
    entries = _entries(header, size, buffer)
    text.loads(header, "safetensors header", bounds)
    bounds.check_arrays(len(entries))
    return tuple((name, _place(entry)) for name, entry in entries.items())


def _place(entry: _Entry) -> _Place:
    count = math.prod(entry.shape) if len(entry.shape) <= MOST_DIMENSIONS else 0
    plain = count > 0 and entry.dtype in _CODES and entry.dtype != "BOOL"
    dtype = little_endian(_CODES[entry.dtype], "") if plain else None
    return _Place(entry, dtype, count)


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[_Size]
    data_offsets: tuple[_Size, _Size]


_ENTRY = msgspec.json.Decoder(_Entry)
_TEXTS = msgspec.json.Decoder(dict[str, str] | None)
_HEADER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _entries(header: bytes, size: int, buffer: int) -> dict[str, _Entry]:
    """What the header tells of each array: together they fill the buffer, one after the other."""
    if len(header) < size:
        raise _invalid(f"{len(header)} of {size} bytes of its header")
    try:
        told = _HEADER.decode(header)
        _TEXTS.decode(told.pop(_RESERVED, b"{}"))
        entries = {name: _ENTRY.decode(entry) for name, entry in told.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _invalid(str(error)) from error
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        start, stop = entry.data_offsets
        if start != end or not _fits(entry, stop - start):
            raise _invalid(f"{name!r} has {entry.dtype} {entry.shape} from {start} to {stop}")
        end = stop
    if end != buffer:
        raise _invalid(f"arrays of {end} bytes in {buffer}")
    return entries


def _fits(entry: _Entry, size: int) -> bool:
    if entry.dtype in _PACKED or len(entry.shape) > MOST_DIMENSIONS:  # neither is read
        return size >= 0
    dtype = DTYPES.get(_CODES.get(entry.dtype, ""))
    return dtype is not None and math.prod(entry.shape) * dtype.itemsize == size


def _invalid(found: str) -> Malformed:
    return Malformed(
        "The body is not safetensors.",
        code="invalid_safetensors",
        where="body",
        found=found,
        remedy="Send the whole file, or set the Content-Type that the body has.",
    )


def _refuse_large(header: bytes, bounds: Bounds) -> None:
    """Refuse a header before it is parsed, which takes the longer the more it says."""
    bounds.check_arrays(header.count(b'"data_offsets"'))
    longest = bounds.arrays * _HEADER_BYTES
    if len(header) > longest:
        raise LimitExceeded(
            "The header of the safetensors file is longer than this service reads.",
            code="header_too_large",
            where="safetensors header",
            expected=f"at most {longest} bytes, {_HEADER_BYTES} for each array that there may be",
            found=f"{len(header)} bytes",
            remedy="Leave `__metadata__` out: nothing in it is read.",
        )


def _array(name: str, place: _Place, raw: memoryview) -> Array:
    entry = place.entry
    if place.dtype is not None:
        start, _ = entry.data_offsets
        return np.frombuffer(raw, place.dtype, place.elements, start).reshape(entry.shape)
    if entry.dtype not in _CODES:
        raise not_carried(name, entry.dtype, "This service's safetensors", _JSON)
    dtype = little_endian(_CODES[entry.dtype], name)
    start, stop = entry.data_offsets
    return from_bytes(raw[start:stop], dtype, entry.shape, name)


def write(arrays: Mapping[str, Any], answer: bytes) -> bytes:
    """A file of the arrays, with the rest of the answer in its metadata."""
    kept = _all_writable(arrays)
    header, names = _headed(kept, answer)
    return b"".join([header, *[kept[name].tobytes() for name in names]])


def write_pieces(arrays: Mapping[str, Any], answer: bytes) -> Iterator[Buffer]:
    """The same file, a piece for the header and one for each array, which is not copied."""
    kept = _all_writable(arrays)
    header, names = _headed(kept, answer)
    return _pieces(header, [kept[name] for name in names])


def _pieces(header: bytes, arrays: list[Array]) -> Iterator[Buffer]:
    yield header
    for array in arrays:
        yield array.reshape(-1).view(np.uint8).data


def _headed(arrays: Mapping[str, Array], answer: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The header of a file, its length in front, and the names of arrays as they follow it."""
    told = tuple([(name, array.dtype, array.shape) for name, array in arrays.items()])
    size = len(answer) + sum(map(len, arrays))
    return (_header if size <= _MOST_KEPT else _header.__wrapped__)(told, answer)


@lru_cache(_KEPT)
def _header(
    arrays: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...], answer: bytes
) -> tuple[bytes, tuple[str, ...]]:
    header: dict[str, Any] = {_RESERVED: {"answer": answer.decode()}}
    end = 0
    ordered = sorted(arrays, key=lambda array: (-array[1].itemsize, array[0]))  # each is aligned
    for name, dtype, shape in ordered:
        start, end = end, end + math.prod(shape) * dtype.itemsize
        code = _NAMES[name_of(dtype)]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = orjson.dumps(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, tuple(name for name, _, _ in ordered)


def _all_writable(arrays: Mapping[str, Any]) -> dict[str, Array]:
    if _RESERVED in arrays:
        raise InvalidRequest(
            f"safetensors keeps the name {_RESERVED!r} for itself.",
            code="ambiguous_name",
            where=_RESERVED,
            remedy=f"Accept {_JSON} instead.",
        )
    return {name: _writable(name, array) for name, array in arrays.items()}


def _writable(name: str, array: Any) -> Array:
    if type(array) is np.ndarray and array.dtype in _AS_THEY_ARE and array.flags.c_contiguous:
        return array
    checked = carried(array, name, "safetensors", _JSON)
    dtype = name_of(checked.dtype)
    if dtype not in _NAMES:
        raise not_carried(name, dtype, "safetensors", _JSON)
    return checked.astype(checked.dtype.newbyteorder("<"), copy=False)


CODEC = binary.codec(MEDIA_TYPE, read, write, write_pieces=write_pieces)
