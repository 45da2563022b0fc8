"""Answers of calls as servers write them on a connection."""

from __future__ import annotations

import json

import numpy as np

from support.formats import SAFETENSORS, to_safetensors

X = np.ones((1, 2), np.float32)
ANSWER = to_safetensors(
    {"grad/Input": X}, {"answer": json.dumps({"warnings": [], "targets": ["Input"]})}
)


def good(body: bytes = ANSWER, head: bytes = b"", status: bytes = b"200 OK") -> bytes:
    told = [b"HTTP/1.1 " + status, b"Content-Type: " + SAFETENSORS.encode(), head]
    told += [b"content-length: %d" % len(body)]
    return b"\r\n".join([line for line in told if line] + [b"", b""]) + body


def chunked(*pieces: bytes) -> bytes:
    parts = [b"%x;what=ever\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
    head = good().partition(b"content-length")[0] + b"Transfer-Encoding: Chunked\r\n\r\n"
    return head + b"".join(parts[:-1]) + b"0\r\nAfter: all\r\n\r\n"


WHOLE = [
    good(),
    b"HTTP/1.1 100 Continue\r\nLink: x\r\n\r\n" + good(),
    chunked(ANSWER),
    chunked(ANSWER[:1], ANSWER[1:50], ANSWER[50:]),
    good(head=b"X-Twice: 1\r\nx-twice: 2"),
    good(status=b"200"),
]
