"""Bodies that unfold to far more than they are."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np

MIB = 1024 * 1024


def npz_bomb(mebibytes: int) -> bytes:
    """An npz of zeros, about a thousandth of what it holds."""
    header = io.BytesIO()
    shape = (mebibytes * MIB // 4,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    body = io.BytesIO()
    with (
        zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(mebibytes):
            member.write(bytes(MIB))
    return body.getvalue()


def lying_npz(mebibytes: int) -> bytes:
    """The same, with a directory that says it holds a hundred bytes."""
    body = bytearray(npz_bomb(mebibytes))
    directory = body.rindex(b"PK\x01\x02")
    struct.pack_into("<I", body, directory + 24, 100)
    return bytes(body)


def many_members(count: int) -> bytes:
    """An npz with more arrays than any net has ports."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for number in range(count):
            file.writestr(f"a{number}.npy", b"")
    return body.getvalue()


def gzip_bomb(mebibytes: int) -> bytes:
    """Zeros, compressed."""
    body = io.BytesIO()
    with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=1) as file:
        for _ in range(mebibytes):
            file.write(bytes(MIB))
    return body.getvalue()


def deep_json(depth: int) -> bytes:
    """Lists within lists."""
    return b'{"data": ' + b"[" * depth + b"1" + b"]" * depth + b"}"


def long_json(count: int) -> bytes:
    """Very many numbers."""
    return b'{"data": [' + b"1," * count + b"1]}"


def many_keys(count: int) -> bytes:
    """Very many fields."""
    fields = ",".join(f'"k{number}":1' for number in range(count))
    return b'{"data": {' + fields.encode() + b"}}"
