"""The gradient as a file, fetched from a service, is the one that the engine writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import portgrad
from support.engine import net_bytes, random
from support.http import AppClient

WIDE = "(float[N, 64] x) => (float[N, 64] y) { p = MatMul(x, w) y = Mul(p, p) }"
FROM_ELSEWHERE = """(float[N, 2, 2] x) => (float[N, 2, 2] y) {
  [cells] y = com.microsoft.Inverse(x) }"""


@pytest.fixture(scope="module")
def net(http: AppClient) -> portgrad.Net:
    content = net_bytes(WIDE, {"w": random(64, 64)})
    assert http.post("/nets?name=wide", content=content).status_code == 201
    return portgrad.load(content)


def test_it_is_the_file_of_the_engine(http: AppClient, net: portgrad.Net, tmp_path: Path) -> None:
    query = "wrt=x&wrt=w&of=y&outputs=true&seeds=true"
    answer = http.get(f"/nets/wide/gradient.onnx?{query}")
    assert answer.status_code == 200, answer.text
    options = {"wrt": ["x", "w"], "of": "y", "outputs": True, "seeds": True}
    assert answer.content == net.export_gradient(**options).to_bytes()
    (tmp_path / "gradient.onnx").write_bytes(answer.content)
    onnx.checker.check_model(tmp_path / "gradient.onnx", full_check=True)


def test_graph_and_weights_one_by_one(http: AppClient, net: portgrad.Net, tmp_path: Path) -> None:
    address = "/nets/wide/gradient.onnx?external=weights.bin"
    (tmp_path / "graph.onnx").write_bytes(http.get(address).content)
    (tmp_path / "weights.bin").write_bytes(http.get(f"{address}&location=weights.bin").content)
    assert (tmp_path / "graph.onnx").stat().st_size < 64 * 64 * 4
    session = ort.InferenceSession(tmp_path / "graph.onnx")
    x = random(3, 64)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], net.gradient(x)["x"], rtol=1e-5)


def test_weights_that_are_small_stay_in_the_graph(http: AppClient) -> None:
    small = net_bytes("(float[N] x) => (float[N] y) { y = Mul(x, x) }")
    assert http.post("/nets?name=small", content=small).status_code == 201
    answer = http.get("/nets/small/gradient.onnx?external=w&location=w")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_file")


@pytest.mark.parametrize(
    ("query", "code", "where"),
    [
        ("wrt=never", "unknown_name", "wrt"),
        ('wrt=x&wrt=["MatMul","never"]', "unknown_name", "wrt[1]"),
        ("of=x", "not_an_output", "of"),
        ("quantized=never", "invalid_field", "quantized"),
        ("wrt=[]", "invalid_field", "wrt[0]"),
    ],
)
def test_refusals_of_the_engine(
    http: AppClient, net: portgrad.Net, query: str, code: str, where: str
) -> None:
    answer = http.get(f"/nets/wide/gradient.onnx?{query}")
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["where"]) == (code, where)


def test_an_operator_that_is_none_of_the_standards(http: AppClient) -> None:
    model = onnx.load_from_string(net_bytes(FROM_ELSEWHERE))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert http.post("/nets?name=other", content=model.SerializeToString()).status_code == 201
    answer = http.get("/nets/other/gradient.onnx")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_standard")
    assert answer.json()["where"] == "cells"
