"""Calls that cannot be served: status, code, and what the problem says. Nothing reaches compute."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.fake_compute import FakeCompute, fake_net
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, to_npz, to_safetensors
from support.http import AppClient

from .conftest import MAX_BODY

pytestmark = pytest.mark.usefixtures("way")

ONE = np.ones(1, np.float32)
BFLOAT = np.ones(1, ml_dtypes.bfloat16)


def data(value: Any) -> str:
    return json.dumps({"data": {"input": value}})


def with_option(**fields: Any) -> str:
    return json.dumps({"data": [1], **fields})


def tensor_file(header: Any, raw: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + raw


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode()


GOOD_NPZ = to_npz({"input": ONE})
GOOD_TENSORS = to_safetensors({"input": ONE})
BASE64 = {"dtype": "float32", "shape": [1], "data": "AACAPw=="}
F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

BODIES = [
    # The text of a JSON body.
    (JSON, "", 400, "invalid_json"),
    (JSON, "{", 400, "invalid_json"),
    (JSON, "[1, 2]", 400, "invalid_json"),
    (JSON, "3", 400, "invalid_json"),
    (JSON, b"\xff\xfe", 400, "invalid_json"),
    (JSON, '{"data": [NaN]}', 400, "invalid_json"),
    (JSON, '{"data": [1, -Infinity]}', 400, "invalid_json"),
    (JSON, '{"data": [1e999]}', 400, "invalid_json"),
    (JSON, '{"data": [1,]}', 400, "invalid_json"),
    (JSON, '{"data": ' + "[" * 5000 + "]" * 5000 + "}", 413, "json_too_deep"),
    (JSON, '{"data": [1], "data": [2]}', 400, "invalid_json"),
    (JSON, '{"data": {"a:b": [1], "a:b": [2]}}', 400, "invalid_json"),
    (JSON, r'{"data": {"\u0061": [1], "a": [2]}}', 400, "invalid_json"),
    (JSON, '{"data": [1], "output_gradients": {"output": [1], "output": [2]}}', 400,
     "invalid_json"),
    (JSON, GOOD_TENSORS, 400, "invalid_json"),
    (JSON, GOOD_NPZ, 400, "invalid_json"),
    # Its fields.
    (JSON, "{}", 422, "missing_field"),
    (JSON, with_option(wtr="inputs"), 422, "unknown_field"),
    (JSON, with_option(wrt=1), 422, "invalid_field"),
    (JSON, with_option(wrt=["a", 1]), 422, "invalid_field"),
    (JSON, with_option(wrt=[["a", 1]]), 422, "invalid_field"),
    (JSON, with_option(of={"output": 1}), 422, "invalid_field"),
    (JSON, with_option(outputs="output"), 422, "invalid_field"),
    (JSON, with_option(outputs=1), 422, "invalid_field"),
    (JSON, with_option(batch="all"), 422, "invalid_field"),
    (JSON, with_option(quantized=True), 422, "invalid_field"),
    (JSON, with_option(quantized="straight"), 422, "invalid_field"),
    (JSON, with_option(encoding="base32"), 422, "invalid_field"),
    (JSON, with_option(output_gradients=[1]), 422, "invalid_field"),
    (JSON, with_option(output_gradients=BASE64), 422, "invalid_field"),
    (JSON, with_option(parameters=[1]), 422, "invalid_field"),
    (JSON, with_option(parameters={"layer1.weight": None}), 400, "invalid_array"),
    (JSON, with_option(mode="training"), 422, "invalid_field"),
    (JSON, with_option(mode=True), 422, "invalid_field"),
    (JSON, with_option(random_seed=-1), 422, "invalid_field"),
    (JSON, with_option(random_seed=2**63), 422, "invalid_field"),
    (JSON, with_option(random_seed=2**70), 422, "invalid_field"),
    (JSON, with_option(random_seed=1.0), 422, "invalid_field"),
    (JSON, with_option(random_seed=True), 422, "invalid_field"),
    (JSON, with_option(random_seed="3"), 422, "invalid_field"),
    (JSON, with_option(precision="float32"), 422, "invalid_field"),
    (JSON, with_option(precision=64), 422, "invalid_field"),
    (JSON, with_option(reduction="none"), 422, "invalid_field"),
    (JSON, with_option(reduction=["sum"]), 422, "invalid_field"),
    (JSON, with_option(stacked=1), 422, "invalid_field"),
    (JSON, with_option(stacked="true"), 422, "invalid_field"),
    (JSON, with_option(diagnostics=1), 422, "invalid_field"),
    (JSON, with_option(tangents={"input": [1]}), 422, "unknown_field"),
    (JSON, with_option(direction="reverse"), 422, "unknown_field"),
    (JSON, with_option(directions=3), 422, "unknown_field"),
    (JSON, with_option(deadline=0), 422, "invalid_field"),
    # Its arrays.
    (JSON, data(None), 400, "invalid_array"),
    (JSON, '{"data": null}', 400, "invalid_array"),
    (JSON, data({}), 400, "invalid_array"),
    (JSON, data({"dtype": "float32", "data": ""}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"order": "C"}), 400, "invalid_array"),
    (JSON, data({"dtype": "float32", "shape": [2**40, 0], "data": ""}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"dtype": 1}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"data": [1]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"data": "AACAPw"}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"data": "AACA Pw=="}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"data": "é"}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": 1}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [-1]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [True]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [1.0]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [2]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [2**62, 2**62]}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [0, 2**62, 2**62], "data": ""}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"shape": [1] * 65}), 400, "invalid_array"),
    (JSON, data({"dtype": "bool", "shape": [1], "data": "Ag=="}), 400, "invalid_array"),
    (JSON, data(BASE64 | {"dtype": "float31"}), 422, "unknown_dtype"),
    (JSON, data(BASE64 | {"dtype": ">f4"}), 422, "unknown_dtype"),
    (JSON, data(BASE64 | {"dtype": "object"}), 422, "unknown_dtype"),
    # safetensors.
    (SAFETENSORS, b"", 400, "invalid_safetensors"),
    (SAFETENSORS, b"{}", 400, "invalid_safetensors"),
    (SAFETENSORS, GOOD_TENSORS[:-1], 400, "invalid_safetensors"),
    (SAFETENSORS, GOOD_TENSORS + b"\0", 400, "invalid_safetensors"),
    (SAFETENSORS, b"\xff" * 64, 400, "invalid_safetensors"),
    (SAFETENSORS, GOOD_NPZ, 400, "invalid_safetensors"),
    (SAFETENSORS, data([1]), 400, "invalid_safetensors"),
    (SAFETENSORS, tensor_file({"input": F32 | {"shape": [2]}}, b"\0" * 4), 400,
     "invalid_safetensors"),
    (SAFETENSORS, tensor_file({"input": F32 | {"shape": [2**40]}}, b"\0" * 4), 400,
     "invalid_safetensors"),
    (SAFETENSORS, tensor_file({"input": F32 | {"dtype": "F31"}}, b"\0" * 4), 400,
     "invalid_safetensors"),
    (SAFETENSORS, tensor_file(
        b'{"input":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"input":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4), 400,
     "invalid_json"),
    (SAFETENSORS, tensor_file(
        {"input": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}, b"\2"), 400,
     "invalid_array"),
    (SAFETENSORS, tensor_file(
        {"input": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"\0"), 422,
     "dtype_not_carried"),
    (SAFETENSORS, to_safetensors({"inputt": ONE}), 422, "unknown_port"),
    (SAFETENSORS, to_safetensors({"output": ONE}), 422, "unknown_port"),
    (SAFETENSORS, to_safetensors({"tangent/input": ONE}), 422, "unknown_port"),
    # npz.
    (NPZ, b"", 400, "invalid_npz"),
    (NPZ, GOOD_NPZ[:-30], 400, "invalid_npz"),
    (NPZ, GOOD_NPZ[:60] + b"\xff" + GOOD_NPZ[61:], 400, "invalid_npz"),
    (NPZ, GOOD_TENSORS, 400, "invalid_npz"),
    (NPZ, npy(ONE), 400, "invalid_npz"),
    (NPZ, zipped(("input.npy", b"")), 400, "invalid_npz"),
    (NPZ, zipped(("input.npy", b"\x93NUMPY\x09\x00")), 400, "invalid_npz"),
    (NPZ, zipped(("input.npy", npy_header("{'descr': 1}"))), 400, "invalid_npz"),
    (NPZ, zipped(("input.npy", npy_header("(" * 9000))), 400, "invalid_npz"),
    (NPZ, zipped(("input.npy", npy(ONE)), ("imput.npy", npy(ONE))).replace(b"imp", b"inp"), 400,
     "invalid_npz"),
    (NPZ, zipped(("input.npy", npy(ONE)[:-1])), 400, "invalid_array"),
    (NPZ, zipped(("input.npy", npy_header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}\n"))), 400,
     "invalid_array"),
    (NPZ, zipped(("input.npy", npy_header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}\n") + b"\0" * 4)), 400,
     "invalid_npz"),
    (NPZ, to_npz({"input": np.array([{}], object)}), 400, "pickled_objects"),
    (NPZ, to_npz({"input": BFLOAT}), 422, "dtype_not_carried"),
    (NPZ, to_npz({"input": np.array(["a"])}), 422, "dtype_not_carried"),
    (NPZ, to_npz({"input": np.array(["2020"], "M8[D]")}), 422, "dtype_not_carried"),
    (NPZ, to_npz({"input": ONE, "__meta__": ONE}), 422, "unknown_port"),
    (NPZ, zipped(("input.npy", npy(np.zeros(MAX_BODY, np.float32))), method=zipfile.ZIP_DEFLATED),
     413, "body_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("fmt", "body", "status", "code"), BODIES)
def test_bodies(
    *, http: AppClient, net: str, compute: FakeCompute, fmt: str, body: Any, status: int, code: str
) -> None:
    response = http.post("/nets/echo/gradient", content=body, headers={"Content-Type": fmt})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["remedy"]
    assert not compute.jobs


HEADERS = [
    ({"Content-Type": ""}, 415, "unsupported_content_type"),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_content_type"),
    ({"Content-Type": "application/octet-stream"}, 415, "unsupported_content_type"),
    ({"Content-Type": JSON, "Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
    ({"Content-Type": JSON, "Accept": "text/html"}, 406, "not_acceptable"),
    ({"Content-Type": JSON, "Accept": "application/json;q=0"}, 406, "not_acceptable"),
    ({"Content-Type": JSON, "Accept": "image/*, application/xml;q=0.5"}, 406, "not_acceptable"),
]


@pytest.mark.parametrize(("headers", "status", "code"), HEADERS)
def test_headers(
    *,
    http: AppClient,
    net: str,
    compute: FakeCompute,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    response = http.post("/nets/echo/evaluate", content=data([1]), headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not compute.jobs
    for fmt in FORMATS:
        assert fmt in response.json()["expected"] or code == "unsupported_encoding"


QUERIES = [
    ("{", 400, "invalid_json"),
    ("[]", 400, "invalid_json"),
    ('{"wrt": "inputs", "wrt": "all"}', 400, "invalid_json"),
    ('{"wrt": NaN}', 400, "invalid_json"),
    ('{"data": {"input": [1]}}', 422, "invalid_field"),
    ('{"output_gradients": {"output": [1]}}', 422, "invalid_field"),
    ('{"batches": "each"}', 422, "unknown_field"),
    ('{"parameters": {"layer1.weight": [1]}}', 422, "invalid_field"),
    ('{"tangents": {"input": [1]}}', 422, "unknown_field"),
    ('{"precision": "half"}', 422, "invalid_field"),
    ('{"deadline": -1}', 422, "invalid_field"),
]


@pytest.mark.parametrize("fmt", [SAFETENSORS, NPZ])
@pytest.mark.parametrize(("options", "status", "code"), QUERIES)
def test_the_query_parameter_options(
    *, http: AppClient, net: str, fmt: str, options: str, status: int, code: str
) -> None:
    body = GOOD_NPZ if fmt == NPZ else GOOD_TENSORS
    response = http.post(
        "/nets/echo/gradient",
        content=body,
        headers={"Content-Type": fmt},
        params={"options": options},
    )
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


@pytest.mark.parametrize(
    ("query", "code"),
    [("options={}", "invalid_field"), ("option={}", "unknown_field"), ("x=1", "unknown_field")],
)
def test_queries_of_json_calls(http: AppClient, net: str, query: str, code: str) -> None:
    response = http.post(f"/nets/echo/gradient?{query}", json={"data": [1]})
    assert (response.status_code, response.json()["code"]) == (422, code)


def test_fields_may_be_null(http: AppClient, net: str) -> None:
    fields = {"mode": "test", "parameters": None, "deadline": None, "wrt": None, "of": None}
    response = http.post("/nets/echo/gradient", json={"data": [1], **fields})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("field", ["wrt", "of", "output_gradients"])
def test_evaluate_has_no_gradient_fields(http: AppClient, net: str, field: str) -> None:
    response = http.post("/nets/echo/evaluate", json={"data": [1], field: "input"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown_field")
    response = http.post(
        "/nets/echo/evaluate",
        content=to_safetensors({"input": ONE, "seed/output": ONE}),
        headers={"Content-Type": SAFETENSORS},
    )
    assert (response.status_code, response.json()["code"]) == (422, "unknown_port")


def test_bare_nan_says_what_to_send(http: AppClient, net: str) -> None:
    headers = {"Content-Type": JSON}
    problem = http.post("/nets/echo/gradient", content='{"data": [NaN]}', headers=headers).json()
    assert problem["found"] == "NaN"
    assert '"NaN"' in problem["remedy"]


def test_a_misspelt_field_and_port_offer_the_nearest(http: AppClient, net: str) -> None:
    problem = http.post("/nets/echo/gradient", json={"data": [1], "output_gradient": {}}).json()
    assert problem["where"] == "output_gradient"
    assert problem["remedy"].startswith("Did you mean `output_gradients`")
    body = to_safetensors({"imput": ONE})
    headers = {"Content-Type": SAFETENSORS}
    problem = http.post("/nets/echo/gradient", content=body, headers=headers).json()
    assert problem["remedy"] == "Did you mean `input`?"


def test_seeds_may_name_what_the_description_does_not(
    http: AppClient, net: str, compute: FakeCompute
) -> None:
    body = to_safetensors({"input": ONE, "seed/inner": ONE})
    http.post("/nets/echo/gradient", content=body, headers={"Content-Type": SAFETENSORS})
    assert compute.jobs[-1].output_gradients.keys() == {"inner"}


@pytest.mark.parametrize("fmt", [SAFETENSORS, NPZ])
def test_two_readings_of_a_name(http: AppClient, compute: FakeCompute, fmt: str) -> None:
    http.post("/nets?name=both", content=fake_net("seed/output"))
    write = to_npz if fmt == NPZ else to_safetensors
    response = http.post(
        "/nets/both/gradient", content=write({"seed/output": ONE}), headers={"Content-Type": fmt}
    )
    assert (response.status_code, response.json()["code"]) == (422, "ambiguous_name")
    assert not compute.jobs


UNWRITABLE = [
    (SAFETENSORS, "grad/input", ONE, "ambiguous_name"),
    (NPZ, "grad/input", ONE, "ambiguous_name"),
    (SAFETENSORS, "__metadata__", ONE, "ambiguous_name"),
    (NPZ, "__meta__", ONE, "ambiguous_name"),
    (NPZ, "a\0b", ONE, "ambiguous_name"),
    (SAFETENSORS, "label", np.array(["a"], object), "dtype_not_carried"),
    (NPZ, "label", np.array(["a"], object), "dtype_not_carried"),
    (SAFETENSORS, "sequence", [[1.0]], "dtype_not_carried"),
    (NPZ, "output", BFLOAT, "dtype_not_carried"),
    (NPZ, "output", ONE.astype(ml_dtypes.float8_e5m2), "dtype_not_carried"),
    (SAFETENSORS, "output", ONE.astype(np.complex128), "dtype_not_carried"),
    (SAFETENSORS, "output", ONE.astype(ml_dtypes.int4), "dtype_not_carried"),
    (JSON, "output", ONE.astype(np.complex64), "dtype_not_carried"),
]


@pytest.mark.parametrize(("fmt", "name", "value", "code"), UNWRITABLE)
def test_answers_that_a_format_cannot_carry(
    *, http: AppClient, net: str, compute: FakeCompute, fmt: str, name: str, value: Any, code: str
) -> None:
    compute.outputs = {name: value}
    response = http.post(
        "/nets/echo/gradient", json={"data": [1], "outputs": True}, headers={"Accept": fmt}
    )
    assert (response.status_code, response.json()["code"]) == (422, code), response.text
    others = {*FORMATS, '"encoding": "base64"'} - {fmt}
    assert any(other in response.json()["remedy"] for other in others)


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_over_the_limit(
    http: AppClient, net: str, compute: FakeCompute, announced: bool
) -> None:
    body = b" " * (MAX_BODY + 1)

    async def pieces() -> Any:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    content = body if announced else pieces()
    response = http.post("/nets/echo/gradient", content=content, headers={"Content-Type": JSON})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert "PORTGRAD_MAX_BODY_BYTES" in response.json()["remedy"]
