"""Headers of safetensors that came before are known; what follows them is read each time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from portgrad.codecs import safetensors
from portgrad.codecs.bounds import Bounds
from portgrad.errors import PortgradError

BOUNDS = Bounds(1 << 20, 8, 4, 1 << 20)


def _body(header: bytes, buffer: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + buffer


def _header(**arrays: tuple[str, list[int], int, int]) -> bytes:
    told = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        for name, (dtype, shape, start, end) in arrays.items()
    }
    return json.dumps(told).encode()


TWO = _header(b=("BOOL", [3], 0, 3), x=("F32", [2, 1], 3, 11))
NUMBERS = np.array([[1.5], [2.5]], np.float32)


def _read(header: bytes, buffer: bytes, bounds: Bounds = BOUNDS) -> dict[str, Any]:
    return safetensors.read(_body(header, buffer), bounds)


def test_what_follows_a_known_header_is_read_anew() -> None:
    for flags in (b"\1\0\1", b"\0\0\1", b"\1\0\1"):
        for numbers in (NUMBERS, -NUMBERS):
            found = _read(TWO, flags + numbers.tobytes())
            np.testing.assert_array_equal(found["b"], np.frombuffer(flags, np.bool_))
            np.testing.assert_array_equal(found["x"], numbers)
            assert found["x"].dtype == np.float32
            assert not found["x"].flags.writeable


@pytest.mark.parametrize(
    ("header", "buffer", "bounds"),
    [
        (TWO, b"\1\2\1" + NUMBERS.tobytes(), BOUNDS),  # no boolean
        (TWO, b"\1\0\1" + NUMBERS.tobytes() + b"\0", BOUNDS),
        (TWO, b"\1\0\1" + NUMBERS.tobytes()[:-1], BOUNDS),
        (TWO, b"\1\0\1" + NUMBERS.tobytes(), BOUNDS._replace(arrays=1)),
        (TWO, b"\1\0\1" + NUMBERS.tobytes(), BOUNDS._replace(depth=1)),
        (_header(x=("F4", [2], 0, 1)), b"\0", BOUNDS),
        (_header(x=("F32", [0, 2**40], 0, 0)), b"", BOUNDS),
    ],
)
def test_what_is_refused_is_refused_as_before_it_was_known(
    header: bytes, buffer: bytes, bounds: Bounds
) -> None:
    safetensors._layout.cache_clear()
    with pytest.raises(PortgradError) as first:
        _read(header, buffer, bounds)
    for _ in range(2):
        _read(TWO, b"\1\0\1" + NUMBERS.tobytes())
        with pytest.raises(PortgradError) as again:
            _read(header, buffer, bounds)
        assert vars(again.value) == vars(first.value)


def test_a_header_of_an_answer_tells_its_arrays() -> None:
    asked = [
        ({"y": NUMBERS, "a": np.arange(3)}, b'{"warnings":[]}'),
        ({"y": -NUMBERS, "a": np.arange(3)}, b'{"warnings":["x"]}'),
        ({"y": NUMBERS.T, "a": np.arange(3)}, b'{"warnings":[]}'),
        ({"y": NUMBERS.astype(">f4"), "a": np.arange(3, dtype=np.int32)}, b"{}"),
        ({"a": np.arange(6).reshape(3, 2)[:, 0], "y": NUMBERS}, b"{}"),
    ]
    for arrays, about in asked * 2:
        written = safetensors.write(arrays, about)
        assert written == b"".join(safetensors.write_pieces(arrays, about))
        size = int.from_bytes(written[:8], "little")
        assert json.loads(written[8 : 8 + size])["__metadata__"]["answer"] == about.decode()
        found = safetensors.read(written, BOUNDS)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found[name], array)


def test_little_is_kept() -> None:
    for kept in (safetensors._layout, safetensors._header):
        kept.cache_clear()
    long = "x" * 5000
    for name in (*map(str, range(100)), long):
        written = safetensors.write({name: NUMBERS}, b"{}")
        np.testing.assert_array_equal(
            safetensors.read(written, BOUNDS._replace(arrays=9))[name], NUMBERS
        )
    assert [k.cache_info().currsize for k in (safetensors._layout, safetensors._header)] == [64, 64]
    misses = safetensors._header.cache_info().misses
    safetensors.write({long: NUMBERS}, b"{}")
    assert safetensors._header.cache_info().misses == misses
