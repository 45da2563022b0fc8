"""safetensors, which carries every numeric dtype. The library reads and writes; we map names.

It can only write a whole file, which large answers would be in memory three times: those we write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from portgrad.codecs import binary, text
from portgrad.codecs.arrays import (
    Array,
    carried,
    from_bytes,
    little_endian,
    name_of,
    not_carried,
)
from portgrad.codecs.bounds import Bounds
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
_PIECE_BYTES = 2**20


def read(body: bytes, bounds: Bounds) -> dict[str, Array]:
    """The arrays of a file. The library holds every size in the header against the body's."""
    header = body[8 : 8 + int.from_bytes(body[:8], "little")]
    _refuse_large(header, bounds)
    try:
        entries = deserialize(body)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Malformed(
            "The body is not safetensors.",
            code="invalid_safetensors",
            where="body",
            found=str(error),
            remedy="Send the whole file, or set the Content-Type that the body has.",
        ) from error
    text.loads(header, "safetensors header", bounds)
    bounds.check_arrays(len(entries))
    return {name: _array(name, entry) for name, entry in entries}


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


def _array(name: str, entry: Mapping[str, Any]) -> Array:
    if entry["dtype"] not in _CODES:
        raise not_carried(name, entry["dtype"], "This service's safetensors", _JSON)
    dtype = little_endian(_CODES[entry["dtype"]], name)
    return from_bytes(entry["data"], dtype, entry["shape"], name)


def write(arrays: Mapping[str, Any], answer: bytes) -> bytes:
    """A file of the arrays, with the rest of the answer in its metadata."""
    # The library reads the memory by address: `kept` holds the arrays until it has.
    kept = _all_writable(arrays)
    specs = {
        name: TensorSpec(
            dtype=name_of(array.dtype),
            shape=array.shape,
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in kept.items()
    }
    return bytes(serialize(specs, {"answer": answer.decode()}))


def write_pieces(arrays: Mapping[str, Any], answer: bytes) -> Iterator[bytes]:
    """The same file, a piece at a time."""
    kept = _all_writable(arrays)
    names = sorted(kept, key=lambda name: (-kept[name].itemsize, name))  # so each is aligned
    header: dict[str, Any] = {_RESERVED: {"answer": answer.decode()}}
    end = 0
    for name in names:
        start, end = end, end + kept[name].nbytes
        dtype, shape = _NAMES[name_of(kept[name].dtype)], list(kept[name].shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    return _pieces(orjson.dumps(header), [kept[name] for name in names])


def _pieces(header: bytes, arrays: list[Array]) -> Iterator[bytes]:
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    for array in arrays:
        raw = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(raw), _PIECE_BYTES):
            yield bytes(raw[start : start + _PIECE_BYTES])


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
    checked = carried(array, name, "safetensors", _JSON)
    dtype = name_of(checked.dtype)
    if dtype not in _NAMES:
        raise not_carried(name, dtype, "safetensors", _JSON)
    return checked.astype(checked.dtype.newbyteorder("<"), copy=False)


CODEC = binary.codec(MEDIA_TYPE, read, write, write_pieces=write_pieces)
