"""Nodes that share a name, which ONNX allows: they are served, and called by their first output."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from support.http import AppClient

HEADER = '<ir_version: 8, opset_import: ["": {opset}]> net '
BODY = """(float[N, 3] x, bool c) => (float[N, 3] y) <float[3] w = {{1, 2, 3}}> {{
  [same] h = Mul(x, w)
  [same] s = Softmax<axis = 1>(h)
  [s] t = Neg(s)
  [same] y = If(c) <
    then_branch = yes () => (float[N, 3] p) {{ [same] p = {op}(t) }},
    else_branch = no () => (float[N, 3] q) {{ [same] q = Identity(t) }}
  >
}}"""


@pytest.mark.parametrize("opset", [9, 12, 21])
def test_an_upload_works(http: AppClient, opset: int) -> None:
    model = onnx.parser.parse_model((HEADER + BODY).format(opset=opset, op="Identity"))
    uploaded = http.post("/nets", content=model.SerializeToString())
    assert uploaded.status_code == 201, uploaded.text
    [w] = uploaded.json()["parameters"]
    assert w["paths"] == [["h", "B"]]
    body = {"data": {"x": [[1, 0, 0]], "c": True}, "wrt": [["h", "B"], ["s", "input"], "w"]}
    answer = http.post(f"/nets/{uploaded.json()['id']}/gradient", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["targets"] == ["w", "h", "w"]
    # A softmax's outputs sum to 1 whatever comes in; their sum's rounding in float32.
    np.testing.assert_allclose(answer.json()["gradients"]["h"], [[0, 0, 0]], atol=1e-7)


def test_an_error_says_which_of_them(http: AppClient) -> None:
    text = HEADER + "(float[N, 3] x) => (float[N, 3] y) {{ [n] h = Relu(x) [n] y = Bad(h) }}"
    model = onnx.parser.parse_model(text.format(opset=21))
    problem = http.post("/nets", content=model.SerializeToString())
    assert problem.status_code == 422
    assert problem.json()["code"] == "unknown_operator"
