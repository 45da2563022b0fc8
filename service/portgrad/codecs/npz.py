"""NumPy's .npz, read and written member by member.

`np.load` would trust the sizes that a header claims and `np.savez` cannot write an array named
`file`; NumPy's own functions for one .npy header have neither fault.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy

from portgrad.codecs import binary
from portgrad.codecs.arrays import DTYPES, Array, carried, from_bytes, is_extension, not_carried
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.model import Buffer
from portgrad.errors import InvalidRequest, LimitExceeded, Malformed

MEDIA_TYPE = "application/x-npz"
META = "__meta__"
_SAFETENSORS = "application/x-safetensors"
_JSON = "application/json"
_SUFFIX = ".npy"
_LISTED = b"PK\x01\x02"  # what each member's line in the list of members begins with
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What zipfile and its decompressors raise on bytes that are no zip, truncated or encrypted.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError
)  # fmt: skip


def read(given: Buffer, bounds: Bounds) -> dict[str, Array]:
    """The arrays of a file whose members are not too many and unfold to no more than they may."""
    body = bytes(given)  # no copy where it is that already
    bounds.check_arrays(_members(body))
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as file:
            members = file.infolist()
            _refuse_foreign(members)
            unfolded = sum(member.file_size for member in members)
            _refuse_large(unfolded, bounds.size)
            bounds.hold(unfolded)
            raw = {one.filename.removesuffix(_SUFFIX): _unfolded(file, one) for one in members}
    except _BROKEN as error:
        raise _invalid("The body is not an npz file", "body", str(error)) from error
    return {name: _array(name, member) for name, member in raw.items()}


def weigh(body: Buffer, bounds: Bounds) -> Iterator[int]:
    """What the members of a file say that they unfold to; what is no such file is refused later."""
    bounds.check_arrays(_members(bytes(body)))
    with contextlib.suppress(*_BROKEN), zipfile.ZipFile(io.BytesIO(body)) as file:
        unfolded = sum(member.file_size for member in file.infolist())
        _refuse_large(unfolded, bounds.size)
        yield unfolded


def _unfolded(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, and no more of them than the list says: read whole, all would unfold."""
    with file.open(member) as packed:
        return packed.read(max(member.file_size, 1))


def _members(body: bytes) -> int:
    """How many members zipfile can find at most: it makes an object of each before we see any."""
    step = 8 * 1024 * 1024
    ends = (min(start + step + len(_LISTED) - 1, len(body)) for start in range(0, len(body), step))
    return sum(body.count(_LISTED, i * step, end) for i, end in enumerate(ends))


def _refuse_foreign(members: list[zipfile.ZipInfo]) -> None:
    """Refuse what numpy.savez writes none of: members twice, and packed in other ways."""
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise _invalid("An npz member stands twice", "body", ", ".join(names)[:80])
    for member in members:
        # bz2 and lzma unfold without a bound, and nothing is read of what is encrypted.
        if member.compress_type not in _PACKED or member.flag_bits & _ENCRYPTED:
            found = f"method {member.compress_type}, flags {member.flag_bits:#x}"
            raise _invalid("A member is neither stored nor deflated", member.filename[:80], found)


def _array(name: str, member: bytes) -> Array:
    file = io.BytesIO(member)
    try:
        shape, fortran, dtype = _HEADERS[npy.read_magic(file)](file)
    except Exception as error:
        # NumPy evaluates the header's text as a literal: whatever that raises, the text is wrong.
        raise _invalid("A member is not an npy file", name, str(error)) from error
    if dtype.hasobject:
        raise Malformed(
            "The npz holds pickled Python objects, which are never unpickled here.",
            code="pickled_objects",
            where=name,
            remedy="Convert the array to a numeric dtype before saving it.",
        )
    if dtype.kind == "V":
        # This is what NumPy makes of bfloat16 and float8: their bytes without their names.
        raise not_carried(name, "bfloat16, float8 or raw bytes", "npz", _SAFETENSORS)
    if dtype.name not in DTYPES:
        raise not_carried(name, dtype.name, "npz", _JSON)
    if any(size < 0 for size in shape):
        raise _invalid("A member has a negative size", name, str(shape))
    raw = memoryview(member)[file.tell() :]
    array = from_bytes(raw, dtype, shape[::-1] if fortran else shape, name)
    return (array.T if fortran else array).astype(DTYPES[dtype.name], copy=False)


def _refuse_large(size: int, limit: int) -> None:
    if size > limit:
        raise LimitExceeded(
            "The npz unfolds to more than this service takes.",
            code="body_too_large",
            where="body",
            expected=f"at most {limit} bytes",
            found=f"{size} bytes",
            remedy="Send less in one request, or raise PORTGRAD_MAX_BODY_BYTES.",
        )


def _invalid(detail: str, where: str, found: str) -> Malformed:
    return Malformed(
        f"{detail}.",
        code="invalid_npz",
        where=where,
        found=found,
        remedy="Send what numpy.savez wrote, or set the Content-Type that the body has.",
    )


def write(arrays: Mapping[str, Any], answer: bytes) -> bytes:
    """A file of the arrays, with the rest of the answer in `__meta__` as UTF-8 bytes."""
    for name in arrays:
        if name == META or "\0" in name:
            raise InvalidRequest(
                f"npz cannot hold an array named {name!r}.",
                code="ambiguous_name",
                where=name,
                remedy=f"Accept {_JSON} instead.",
            )
    try:
        return _written(arrays, answer)
    except ValueError as error:
        # A buffer that cannot grow closes itself, which is what zipfile then fails on.
        if _began_with(error, MemoryError):
            raise MemoryError from error
        raise


def _began_with(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__context__
    return error is not None


def _written(arrays: Mapping[str, Any], answer: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        _write(file, META, np.frombuffer(answer, np.uint8))
        for name, array in arrays.items():
            checked = carried(array, name, "npz", _JSON)
            if is_extension(checked.dtype):
                raise not_carried(name, checked.dtype.name, "npz", _SAFETENSORS)
            _write(file, name, checked)
    return buffer.getvalue()


def _write(file: zipfile.ZipFile, name: str, array: Array) -> None:
    # A ZipInfo made by hand bears no time of day: equal answers are equal bytes.
    with file.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as member:
        npy.write_array(member, array, allow_pickle=False)


CODEC = binary.codec(MEDIA_TYPE, read, write, weigh=weigh)
