"""What the engine can do reaches a client unchanged: through HTTP and the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client, UnprocessableError
from support.computing import computing
from support.engine import counted, net_bytes
from support.http import AppClient, serving
from support.sdk import ADDRESS, pool


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    data: Path = tmp_path_factory.mktemp("nets")
    with serving(create_app(LocalStore(data), computing(), Settings(data=data))) as served:
        yield served


@pytest.fixture(scope="module")
def client(app: AppClient) -> Client:
    return Client(ADDRESS, http_client=pool(app))


def _posted(app: AppClient, body: bytes, call: str, fields: dict[str, Any]) -> Any:
    net = app.post("/nets", content=body).json()["id"]
    return app.post(f"/nets/{net}/{call}", json=fields)


def test_no_examples_are_an_answer(client: Client) -> None:
    net = client.upload(
        net_bytes("(float[N,3] x) => (float[N,2] y) { y = MatMul(x, w) }", {"w": counted(3, 2)})
    )
    outputs, found = net.value_and_gradient(np.zeros((0, 3), np.float32), wrt="all")
    assert (outputs["y"].shape, found["x"].shape) == ((0, 2), (0, 3))
    np.testing.assert_array_equal(found["w"], np.zeros((3, 2)))


def test_sequences_travel_as_lists(app: AppClient) -> None:
    body = net_bytes("""(seq(float[K]) s, float[K] x) => (float[M] y, seq(float[K]) t) {
      y = ConcatFromSequence<axis = 0>(s)  t = SequenceInsert(s, x) }""")
    data = {"s": [[1, 2], [3]], "x": ["NaN"]}
    answer = _posted(app, body, "evaluate", {"data": data})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"] == {"y": [1, 2, 3], "t": [[1, 2], [3], ["NaN"]]}
    answer = _posted(app, body, "evaluate", {"data": {**data, "s": 3}})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_list")


def test_warnings_name_the_node(client: Client) -> None:
    net = client.upload(net_bytes("(float[3] x) => (float[3] y) { [steps] y = Round(x) }"))
    [warning] = net.gradient([1.2, 2.2, 3.2]).warnings
    assert "Round node 'steps'" in warning


_PAIR = """(float[N,3] x) => (float[N,3] y) <float s = {0.5}, int8 z = {0}> {
  [round] q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }"""
_CLAMPED = [[0.2, -3.1, 100.0]]


def test_quantised_nets_through_the_client(client: Client) -> None:
    net = client.upload(net_bytes(_PAIR))
    [foreseen] = net.describe()["warnings"]
    exact = net.gradient(_CLAMPED)
    assert (exact["x"].tolist(), exact.warnings) == ([[0.0, 0.0, 0.0]], (foreseen,))
    assert foreseen.startswith("QuantizeLinear node 'round'")
    estimate = net.gradient(_CLAMPED, wrt=["x", "s"], quantized="straight_through", outputs=True)
    assert estimate["x"].tolist() == [[1.0, 1.0, 0.0]]
    np.testing.assert_allclose(estimate["s"], (0 - 0.4) + (-6 + 6.2) + 127, rtol=1e-6)
    assert estimate.outputs["y"].tolist() == net.evaluate(_CLAMPED)["y"].tolist()
    assert estimate.warnings == ()


def test_quantised_nets_in_json(app: AppClient) -> None:
    body = net_bytes(_PAIR)
    for chosen, want in [("straight_through", [1, 1, 0]), ("exact", [0, 0, 0]), (None, [0, 0, 0])]:
        answer = _posted(app, body, "gradient", {"data": _CLAMPED, "quantized": chosen})
        assert answer.status_code == 200, answer.text
        assert answer.json()["gradients"] == {"x": [want]}
    answer = _posted(app, body, "gradient", {"data": _CLAMPED, "quantized": "straight"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["where"]) == (
        422,
        "invalid_field",
        "quantized",
    )
    assert problem["expected"] == '"exact" or "straight_through"'


def test_parameters_of_subgraphs_are_described_and_differentiated(client: Client) -> None:
    net = client.upload(
        net_bytes("""(float[N,3] x, bool c) => (float[N,3] y) { [gate] y = If(c) <
      then_branch = yes () => (float[N,3] t) <float[3] w = {1, 2, 3}> { t = Mul(x, w) },
      else_branch = no () => (float[N,3] e) <float[3] w = {4, 5, 6}> { e = Mul(x, w) }> }""")
    )
    assert [p.name for p in net.parameters] == ["gate/then_branch/w", "gate/else_branch/w"]
    found = net.gradient({"x": counted(2, 3), "c": False}, wrt=[["gate", "else_branch", "w"]])
    np.testing.assert_array_equal(found["gate/else_branch/w"], counted(2, 3).sum(0))


def test_a_failed_run_names_the_node_and_no_path(client: Client) -> None:
    net = client.upload(net_bytes(
        '(float[N,3] x) => (float[A,B] y) { ["/a/b/Reshape"] y = Reshape(x, s) }',
        {"s": np.array([-1, 4])},
    ))  # fmt: skip
    with pytest.raises(UnprocessableError) as caught:
        net.gradient(counted(1, 3))
    assert (caught.value.code, caught.value.where) == ("run_failed", "Reshape node '/a/b/Reshape'")
    assert "onnxruntime" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["lists", "base64"])
def test_batches_over_a_fixed_one(app: AppClient, encoding: str) -> None:
    body = net_bytes("(float[1,3] x, float[3] s) => (float[1,3] y) { y = Mul(x, s) }")
    data = {"x": [[1, 2, 3], [4, 5, 6]], "s": [1, 10, 100]}
    fields = {"data": data, "wrt": ["s"], "encoding": encoding, "outputs": True}
    answer = _posted(app, body, "gradient", fields).json()
    if encoding == "lists":
        assert answer["gradients"] == {"s": [5, 7, 9]}
        assert answer["outputs"] == {"y": [[1, 20, 300], [4, 50, 600]]}
    else:
        assert answer["outputs"]["y"]["shape"] == [2, 3]
