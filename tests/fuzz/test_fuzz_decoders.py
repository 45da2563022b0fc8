"""Whatever comes as a body: it is read, or refused by an error of ours with a status of 400 to 499.

Each decoder gets bytes at random, good files with some of their bytes changed, and files that are
well formed and mean nonsense. `PORTGRAD_FUZZ_EXAMPLES` says how many of each.
"""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from portgrad.api import uploads
from portgrad.api.bounds import bounds
from portgrad.api.problems import Problem
from portgrad.codecs import json as json_codec
from portgrad.codecs import npz, safetensors
from portgrad.codecs.model import Codec, Known
from portgrad.errors import PortgradError
from portgrad.settings import Settings
from portgrad.store import LocalStore, Shelf
from support.formats import as_object, to_npz, to_safetensors

EXAMPLES = int(os.environ.get("PORTGRAD_FUZZ_EXAMPLES", "100"))
# A body of a few kilobytes that takes as long as this has set off something that it should not.
SECONDS = 2.0
BOUNDS = bounds(
    Settings(max_body_bytes=2**22, max_arrays=50, max_elements=2**16), lambda size: None
)
KNOWN = Known({"x", "seed/y"}, {"y"}, {"w"})
ARRAYS = {
    "x": np.arange(6, dtype=np.float32).reshape(2, 3),
    "w": np.zeros((0, 2), np.int64),
    "tangent/x": np.ones((2, 3), np.float32),
}

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def check(work: Callable[[], object]) -> None:
    """The work is done or refused, in little time."""
    start, error = time.process_time(), None
    try:
        work()
    except PortgradError as refused:
        error = refused
    assert time.process_time() - start < SECONDS
    if error is not None:
        answer = Problem(error, "id")
        assert 400 <= answer.status_code < 500, error
        assert len(answer.body) < 12_000


def decode(codec: Codec, body: bytes, query: str | None = None) -> None:
    """Read a body, and all that came of it: or be refused."""

    def read() -> None:
        call = codec.decode(body, query, "jvp", KNOWN, BOUNDS)
        BOUNDS.check_call(call.data, call.arrays.values())

    check(read)


@st.composite
def changed(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file with bytes changed, cut out, put in, or moved."""
    body = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        until = min(len(body), at + draw(st.integers(0, 12)))
        piece = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\0" * 8, b"\xff" * 8, b"\xff\xff\xff\x7f", b"PK\x01\x02", b'"']),
                st.just(bytes(body[at : at + draw(st.integers(0, 60))])),
            )
        )
        body[at:until] = piece
    return bytes(body)


SIZES = st.one_of(
    st.integers(0, 7), st.sampled_from([-1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64, 10**30])
)
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=12),
        st.sampled_from(["NaN", "Infinity", ":", "\\", '"', "float32", "AAAA", "base64", "all"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.fixed_dictionaries(
            {"dtype": inner, "shape": st.lists(SIZES, max_size=4), "data": inner}
        ),
        st.fixed_dictionaries({"index": inner}),
    ),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    "data parameters tangents output_gradients outputs of wrt batch mode random_seed precision "
    "encoding quantized stacked deadline nonsense".split()
)
CALLS = st.dictionaries(FIELDS, JSON_VALUES, max_size=6)
GOOD_JSON = json.dumps(
    {
        "data": {"x": [[1, -2.5e3], ["NaN", 4]], "w": as_object(ARRAYS["x"])},
        "tangents": {"x": [[0.1] * 3] * 2},
        "outputs": ['a\\b:"c"'],
    }
).encode()


@seed(1)
@fuzzed
@given(st.one_of(st.binary(max_size=200), changed(GOOD_JSON)))
def test_bytes_as_json(body: bytes) -> None:
    decode(json_codec.CODEC, body)


@seed(2)
@fuzzed
@given(CALLS)
def test_values_as_json(call: dict[str, Any]) -> None:
    decode(json_codec.CODEC, json.dumps(call, ensure_ascii=False).encode("utf-8", "replace"))


@seed(3)
@fuzzed
@given(
    st.sampled_from(["float32", "int8", "bool", "bfloat16", "complex128", "float31"]),
    st.lists(SIZES, max_size=70),
    st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda raw: raw.hex())),
)
def test_base64(dtype: str, shape: list[int], data: str) -> None:
    array = {"dtype": dtype, "shape": shape, "data": data}
    body = {"data": {"x": array}, "tangents": {"x": array}}
    decode(json_codec.CODEC, json.dumps(body).encode("utf-8", "replace"))


@seed(4)
@fuzzed
@given(CALLS)
def test_options_of_queries(call: dict[str, Any]) -> None:
    decode(npz.CODEC, to_npz(ARRAYS), json.dumps(call))


def with_header(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "BOOL", "F8_E4M3", "F4", "F31", 1, None]),
        "shape": st.one_of(st.lists(SIZES, max_size=70), st.none()),
        "data_offsets": st.lists(st.one_of(SIZES, st.integers(0, 64)), max_size=3),
    }
)
NAMES = st.sampled_from(["x", "w", "seed/y", "tangent/x", "__metadata__", "", "nonsense"])


@seed(5)
@fuzzed
@given(st.one_of(st.binary(max_size=200), changed(to_safetensors(ARRAYS))))
def test_bytes_as_safetensors(body: bytes) -> None:
    decode(safetensors.CODEC, body)


@seed(6)
@fuzzed
@given(st.dictionaries(NAMES, st.one_of(ENTRIES, JSON_VALUES), max_size=4), st.binary(max_size=64))
def test_headers_of_safetensors(entries: dict[str, Any], data: bytes) -> None:
    header = json.dumps(entries).encode("utf-8", "replace")
    decode(safetensors.CODEC, with_header(header, data))


def zipped(members: list[tuple[str, bytes]], method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
SHAPES = st.one_of(st.lists(SIZES, max_size=70).map(tuple), st.sampled_from(["(", "1", "None"]))
NPY = st.builds(
    lambda version, descr, fortran, shape, data: npy(
        version, f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}", data
    ),
    st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
    st.sampled_from(["'<f4'", "'>f8'", "'|O'", "'|V2'", "'<U4'", "'m8[s]'", "[('a', '<f4')]", "1"]),
    st.sampled_from(["True", "False", "2", "[]"]),
    SHAPES,
    st.binary(max_size=64),
)


def npy(version: tuple[int, int], header: str, data: bytes) -> bytes:
    size = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + header.encode() + data


@seed(7)
@fuzzed
@given(st.one_of(st.binary(max_size=200), changed(to_npz(ARRAYS))))
def test_bytes_as_npz(body: bytes) -> None:
    decode(npz.CODEC, body)


@seed(8)
@fuzzed
@given(
    st.lists(
        st.tuples(NAMES.map(lambda name: name + ".npy"), st.one_of(NPY, st.binary(max_size=80))),
        max_size=4,
        unique_by=lambda member: member[0],
    ),
    METHODS,
)
def test_members_of_npz(members: list[tuple[str, bytes]], method: int) -> None:
    decode(npz.CODEC, zipped(members, method))


@seed(9)
@fuzzed
@given(changed(zlib.compress(bytes(40_000))), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_streams_of_npz(stream: bytes, size: int, crc: int) -> None:
    """Members whose sizes and sums are not what they are said to be."""
    name = b"x.npy"
    facts = b"\x14\0\0\0\x08\0\0\0\0\0" + b"".join(
        number.to_bytes(4, "little") for number in (crc, len(stream), size)
    ) + len(name).to_bytes(2, "little")  # fmt: skip
    local = b"PK\x03\x04" + facts + b"\0\0" + name + stream
    listed = b"PK\x01\x02\x14\0" + facts + bytes(16) + name
    end = b"PK\x05\x06\0\0\0\0\1\0\1\0" + len(listed).to_bytes(4, "little")
    decode(npz.CODEC, local + listed + end + len(local).to_bytes(4, "little") + b"\0\0")


FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="model"; filename="m.onnx"\r\n\r\nmodel\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="external"; filename="w/a.bin"\r\n'
    b"Content-Type: text/plain\r\n\r\n\r\n--edg\r\n\r\n--edge--\r\n"
)
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [
                *(b"\r\n", b"--edge", b"--edge--", b"\r\n--edge\r\n", b":", b'"', b"\xff\xff"),
                *(b'name="model"', b'name="external"', b"Content-Disposition: form-data; "),
                *(b'filename="../a"', b"; filename*=utf-8''%00", b"a" * 5000),
            ]
        ),
    ),
    max_size=20,
).map(b"".join)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return LocalStore(tmp_path_factory.mktemp("nets")).of("local")


@seed(10)
@fuzzed
@given(body=st.one_of(PIECES, changed(FORM)), cut=st.integers(1, 40))
def test_forms(store: Shelf, body: bytes, cut: int) -> None:
    def take() -> None:
        with store.begin() as upload:
            form = uploads.Form("multipart/form-data; boundary=edge", upload)
            for at in range(0, len(body), cut):
                form.write(body[at : at + cut])
            form.finish()
            upload.close()

    check(take)


@seed(11)
@fuzzed
@given(header=st.text(max_size=80) | st.just("boundary=" + "a" * 300))
def test_content_types_of_forms(store: Shelf, header: str) -> None:
    sent = f"multipart/form-data; {header}".encode("latin-1", "replace").decode("latin-1")
    with store.begin() as upload:
        check(lambda: uploads.Form(sent, upload))
