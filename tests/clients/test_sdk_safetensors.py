"""The client's own codec, held against the safetensors library, bit for bit."""

from __future__ import annotations

import struct
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from portgrad_client import DtypeUnavailableError, InvalidAnswerError, dtypes
from portgrad_client import safetensors as codec
from support.formats import dtype_of, to_safetensors

CARRIED = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "bfloat16"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
]


def bits(name: str) -> np.ndarray:
    """Every kind of bit pattern, NaNs and signed zeros among them."""
    raw = np.random.default_rng(3).integers(0, 256, 64 * 16, np.uint8)
    raw = raw & 1 if name == "bool" else raw
    return raw.view(dtype_of(name))[:60].reshape(3, 4, 5)


def layouts(array: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "plain": array,
        "0-d": array[0, 0, 0].reshape(()),
        "empty": array[:, :0],
        "strided": array[::2, ::-1, 1::2],
        "fortran": np.asfortranarray(array),
        "transposed": array.T,
        "broadcast": np.broadcast_to(array[0], (2, 4, 5)),
        "odd": array.reshape(-1)[:7],
    }


def assert_same_bits(found: np.ndarray, sent: np.ndarray) -> None:
    assert found.dtype == sent.dtype.newbyteorder("=")
    assert found.shape == sent.shape
    assert found.tobytes() == sent.astype(found.dtype).tobytes()


@pytest.mark.parametrize("name", CARRIED)
def test_every_dtype_and_layout_comes_back(name: str) -> None:
    sent = layouts(bits(name))
    found, metadata = codec.decode(codec.encode(sent))
    assert found.keys() == sent.keys()
    assert metadata == {}
    for key, array in sent.items():
        assert_same_bits(found[key], array)


@pytest.mark.parametrize("name", CARRIED)
def test_the_library_writes_what_the_codec_reads(name: str) -> None:
    sent = layouts(bits(name))
    found, metadata = codec.decode(to_safetensors(sent, {"answer": "ü"}))
    assert metadata == {"answer": "ü"}
    for key, array in sent.items():
        assert_same_bits(found[key], array)


@pytest.mark.parametrize("name", CARRIED)
def test_the_library_reads_what_the_codec_writes(name: str) -> None:
    safetensors = pytest.importorskip("safetensors")
    sent = layouts(bits(name))
    entries = dict(safetensors.deserialize(codec.encode(sent)))
    assert {key: bytes(entry["data"]) for key, entry in entries.items()} == {
        key: array.tobytes() for key, array in sent.items()
    }


@pytest.mark.parametrize("name", ["int16", "uint64", "float16", "float32", "float64", "complex64"])
def test_big_endian_arrays_arrive_in_the_machines_order(name: str) -> None:
    native = bits(name)
    swapped = native.astype(native.dtype.newbyteorder(">"))
    assert codec.encode({"x": swapped}) == codec.encode({"x": native})


def test_arrays_are_aligned_and_writable() -> None:
    sent = {"a": np.ones(3, np.int8), "b": np.ones(3), "c": np.ones(1, np.float16)}
    body = codec.encode(sent)
    size = struct.unpack("<Q", body[:8])[0]
    assert (8 + size) % 8 == 0
    found, _ = codec.decode(body)
    assert list(found) == ["b", "c", "a"]
    assert all(array.flags.writeable and array.flags.owndata for array in found.values())


def test_what_is_most_of_an_answer_is_not_copied() -> None:
    sent = {"large": np.arange(100.0), "small": np.ones(3, np.float32)}
    body = bytearray(codec.encode(sent))
    found, _ = codec.decode(body)
    whole = np.frombuffer(body, np.uint8)
    assert np.shares_memory(found["large"], whole)
    assert not np.shares_memory(found["small"], whole)
    for name, array in found.items():
        np.testing.assert_array_equal(array, sent[name])
        assert array.flags.writeable
        assert array.flags.aligned


def header(text: str, buffer: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + buffer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x05",
        b"<html>Bad gateway</html>",
        header("[]"),
        header('{"x": 1}'),
        header('{"x": {"dtype": "F32", "shape": [1]}}'),
        header('{"x": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)),
        header('{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', bytes(3)),
        header('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', bytes(8)),
        header('{"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}', bytes(4)),
        header('{"x": {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]}}', bytes(4)),
        codec.encode({"x": np.ones(4)})[:-1],
    ],
)
def test_what_is_no_safetensors_file_is_an_invalid_answer(body: bytes) -> None:
    with pytest.raises(InvalidAnswerError):
        codec.decode(body)


WITHOUT_ML_DTYPES = """
import sys
sys.modules["ml_dtypes"] = None  # what an interpreter that lacks the package does on import
from portgrad_client import DtypeUnavailableError, safetensors
try:
    safetensors.decode(sys.stdin.buffer.read())
except DtypeUnavailableError as error:
    print(error.where, error.remedy)
"""


def test_bfloat16_without_ml_dtypes_says_what_to_install() -> None:
    # A process of its own: once ml_dtypes was imported anywhere, NumPy knows its names.
    body = codec.encode({"x": np.ones(1, ml_dtypes.bfloat16)})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ML_DTYPES], input=body, capture_output=True, check=True
    )
    assert done.stdout.decode().startswith("bfloat16 Install the package ml_dtypes")


def test_a_dtype_that_nobody_has_is_told() -> None:
    with pytest.raises(DtypeUnavailableError, match="Neither NumPy nor ml_dtypes"):
        dtypes.dtype_named("float7")


def test_long_headers_are_not_kept() -> None:
    """They would be much memory, and seldom come again."""
    kept = (codec._header, codec._places)
    before = [each.cache_info().currsize for each in kept]
    arrays = {f"a parameter with a name {i:04}": np.full(2, i) for i in range(65)}
    found, _ = codec.decode(codec.encode(arrays))
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert [each.cache_info().currsize for each in kept] == before
