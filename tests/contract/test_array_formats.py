"""Every array comes back bit for bit, in every combination of request and answer format."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from support.fake_compute import FakeCompute, fake_net
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, answer, as_object, dtype_of, request
from support.http import AppClient

pytestmark = pytest.mark.usefixtures("way")

EVERYWHERE = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64",
)  # fmt: skip
NOT_IN_NPZ = (
    "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e8m0fnu",
)  # fmt: skip
NOT_IN_SAFETENSORS = ("complex128",)
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (3, 0), (2, 3), (1, 1, 1, 1, 4))

ROUND_TRIPS = [
    (dtype, sent, wanted)
    for dtypes, formats in (
        (EVERYWHERE, FORMATS),
        (NOT_IN_NPZ, (JSON, SAFETENSORS)),
        (NOT_IN_SAFETENSORS, (JSON, NPZ)),
    )
    for dtype, sent, wanted in itertools.product(dtypes, formats, formats)
]


def bits(dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Every byte pattern a dtype may meet: for floats NaNs with payloads, -0 and subnormals."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.random.default_rng(7).integers(0, 256, size, dtype=np.uint8)
    if dtype == np.bool_:
        raw &= 1
    array = np.frombuffer(raw.tobytes(), dtype).reshape(shape).copy()
    if dtype.name in PAYLOADS and array.size:
        array.reshape(-1).view(f"u{dtype.itemsize}")[:3] = PAYLOADS[dtype.name][: array.size]
    return array


# A signalling NaN with a payload, a negative quiet one, and minus zero.
PAYLOADS = {
    "float16": [0x7D55, 0xFE01, 0x8000],
    "bfloat16": [0x7F95, 0xFFC1, 0x8000],
    "float32": [0x7FA12345, 0xFFC00001, 0x80000000],
    "float64": [0x7FF4123456789ABC, 0xFFF8000000000001, 0x8000000000000000],
}


def same(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


@pytest.mark.parametrize(("dtype", "sent", "wanted"), ROUND_TRIPS)
def test_arrays_round_trip(
    *, http: AppClient, net: str, compute: FakeCompute, dtype: str, sent: str, wanted: str
) -> None:
    for shape in SHAPES:
        array = bits(dtype_of(dtype), shape)
        arrays = {"input": array, "seed/output": array}
        call = request(sent, arrays, outputs=True, encoding="base64")
        call["headers"]["Accept"] = wanted
        response = http.post(f"/nets/{net}/gradient", **call)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == wanted
        found, rest = answer(wanted, response.content)
        assert found.keys() == {"grad/input", "output"}
        assert all(same(value, array) for value in found.values()), (shape, found)
        assert same(compute.jobs[-1].output_gradients["output"], array)
        assert rest == {
            "targets": ["input"],
            "none": [{"name": "ids", "reason": "It is an integer."}],
            "warnings": ["Mind the trees."],
        }


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("sent", FORMATS)
def test_evaluate_in_every_format(http: AppClient, net: str, sent: str, wanted: str) -> None:
    array = np.array([1, -2.5], np.float32)
    call = request(sent, {"input": array}, encoding="base64")
    call["headers"]["Accept"] = wanted
    response = http.post("/nets/echo/evaluate", **call)
    found, rest = answer(wanted, response.content)
    assert found.keys() == {"output"}
    assert same(found["output"], array)
    assert rest == {"warnings": []}


@pytest.mark.parametrize("sent", FORMATS)
@pytest.mark.parametrize("accept", [None, "*/*", "application/*", "text/html, */*;q=0.1"])
def test_the_answer_is_in_the_requests_format(
    http: AppClient, net: str, sent: str, accept: str | None
) -> None:
    call = request(sent, {"input": np.zeros(2, np.float32)})
    # httpx sends Accept: */* by itself; an empty one stands for none at all.
    call["headers"]["Accept"] = accept or ""
    response = http.post("/nets/echo/gradient", **call)
    assert response.status_code == 200
    assert response.headers["content-type"] == sent


LISTS = [
    ("float32", 0.1, 0.1),
    ("float32", [], []),
    ("float32", [[], []], [[], []]),
    ("float32", [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
    ("float32", [0.1, 1e-45, 3.4028235e38, -0.0], [0.1, 1e-45, 3.4028235e38, -0.0]),
    ("float64", [0.1, 5e-324, 1.7976931348623157e308], [0.1, 5e-324, 1.7976931348623157e308]),
    ("float16", [0.1], [0.099975586]),
    ("bfloat16", [0.1, 1], [0.100097656, 1.0]),
    ("float8_e4m3fn", [0.1, "NaN"], [0.1015625, "NaN"]),
    ("float32", ["NaN", "Infinity", "-Infinity", 1], ["NaN", "Infinity", "-Infinity", 1.0]),
    ("float64", "-Infinity", "-Infinity"),
    ("int64", [9223372036854775807, -9223372036854775808],
     [9223372036854775807, -9223372036854775808]),
    ("uint64", [18446744073709551615], [18446744073709551615]),
    ("int4", [-8, 7], [-8, 7]),
    ("bool", [True, False], [True, False]),
    ("str", ["yes", "", "NaN"], ["yes", "", "NaN"]),
    ("str", "one", "one"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "sent", "expected"), LISTS)
def test_lists(http: AppClient, dtype: str, sent: Any, expected: Any) -> None:
    http.post("/nets?name=typed", content=fake_net(dtype=dtype))
    response = http.post("/nets/typed/gradient", json={"data": {"input": sent}})
    assert response.status_code == 200, response.text
    assert response.json()["gradients"] == {"input": expected}
    # Lists tell -0.0 from 0.0 and 1.0 from 1, which == does not.
    assert json.dumps(response.json()["gradients"]["input"]) == json.dumps(expected)


def test_a_bare_array_goes_to_the_only_port(
    http: AppClient, net: str, compute: FakeCompute
) -> None:
    array = np.arange(3, dtype=np.float32)
    for data in ([0, 1, 2], as_object(array)):
        response = http.post("/nets/echo/gradient", json={"data": data})
        assert response.json()["gradients"] == {"input": [0.0, 1.0, 2.0]}
    assert compute.jobs[0].data == [0, 1, 2]


def test_ports_may_be_called_like_the_keys_of_an_array(
    http: AppClient, compute: FakeCompute
) -> None:
    http.post("/nets?name=odd", content=fake_net("dtype", "shape", "data"))
    response = http.post(
        "/nets/odd/gradient", json={"data": {"dtype": [1], "shape": [2], "data": [3]}}
    )
    assert response.json()["gradients"] == {"dtype": [1.0], "shape": [2.0], "data": [3.0]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("serving:0", '{"data": {"serving:0": [1]}}'),
        ("a:b", r'{"data": {"a\u003ab": [1]}}'),
        ('say "x": y', r'{"data": {"say \"x\": y": [1]}}'),
        ("x", '{"data": {"x": [1]}, "wrt": ["x:0", "x:0"], "of": "x:y:z"}'),
        ("data", '{"data": {"data": [1]}}'),
    ],
)
def test_colons_and_escapes_are_no_keys_twice(http: AppClient, name: str, text: str) -> None:
    http.post("/nets?name=odd", content=fake_net(name))
    response = http.post("/nets/odd/gradient", content=text, headers={"Content-Type": JSON})
    assert response.json()["gradients"] == {name: [1.0]}


@pytest.mark.parametrize("sent", [SAFETENSORS, NPZ])
@pytest.mark.parametrize("name", ["/conv/Relu:0", "a.npy", "seed/x", "ü", "grad/y"])
def test_odd_names_travel(http: AppClient, sent: str, name: str) -> None:
    http.post("/nets?name=odd", content=fake_net(name))
    response = http.post("/nets/odd/gradient", **request(sent, {name: np.ones(1, np.float32)}))
    assert response.status_code == 200, response.text
    found, rest = answer(sent, response.content)
    assert list(found) == [f"grad/{name}"]
    assert rest["targets"] == [name]


def test_an_array_named_file_in_npz(http: AppClient, net: str, compute: FakeCompute) -> None:
    compute.outputs = {"file": np.ones(1, np.float32)}
    response = http.post("/nets/echo/evaluate", json={"data": [1]}, headers={"Accept": NPZ})
    assert answer(NPZ, response.content)[0].keys() == {"file"}


def test_npz_in_other_orders(http: AppClient, net: str, compute: FakeCompute) -> None:
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    for array in (np.asfortranarray(plain), plain.astype(">f4"), plain[::-1, ::-1]):
        http.post("/nets/echo/gradient", **request(NPZ, {"input": array}))
        came = compute.jobs[-1].data["input"]  # type: ignore[call-overload,index]
        assert came.dtype == np.float32
        assert came.dtype.isnative
        assert np.array_equal(came, array)


def test_equal_answers_are_equal_bytes(http: AppClient, net: str) -> None:
    call = request(NPZ, {"input": np.ones(1, np.float32)})
    first, second = (http.post("/nets/echo/gradient", **call).content for _ in range(2))
    assert first == second


def test_strings_beside_bytes(http: AppClient, net: str, compute: FakeCompute) -> None:
    compute.outputs = {"label": np.array(["cat"], object), "p": np.ones(1, np.float32)}
    response = http.post("/nets/echo/evaluate", json={"data": [1], "encoding": "base64"})
    assert response.json()["outputs"] == {
        "label": ["cat"],
        "p": {"dtype": "float32", "shape": [1], "data": "AACAPw=="},
    }
