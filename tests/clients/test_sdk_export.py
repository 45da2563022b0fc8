"""The gradient as a file through the client: what it asks, what it writes, what it tries again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest

import portgrad
from portgrad_client import Client, InvalidRequestError, NotFoundError, PortgradError
from portgrad_client.download import query_of
from support.engine import net_bytes, random
from support.sdk import Scripted

BODY = "(float[N, 32] x) => (float[N, 32] y) { p = MatMul(x, w) y = Mul(p, p) }"
LARGE = net_bytes(BODY, {"w": random(32, 32)})
PLAIN = {"wrt": "inputs", "of": None, "outputs": None, "seeds": False, "quantized": None}
TOO_LARGE = httpx.Response(422, json={"code": "file_too_large", "detail": "Too large."})


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ({}, [("wrt", "inputs")]),
        ({"wrt": ["x", ("layer1", "w")]}, [("wrt", "x"), ("wrt", '["layer1", "w"]')]),
        ({"wrt": ["x"], "of": "y"}, [("wrt", "x"), ("of", "y")]),
        ({"wrt": ["all"]}, [("wrt", "all"), ("wrt", "all")]),  # a port of that name
        ({"wrt": ["[0]"]}, [("wrt", '["[0]"]')]),
        ({"outputs": True}, [("wrt", "inputs"), ("outputs", "true")]),
        ({"outputs": []}, [("wrt", "inputs")]),
        ({"outputs": ["true"]}, [("wrt", "inputs"), ("outputs", "true"), ("outputs", "true")]),
        (
            {"seeds": True, "quantized": "exact"},
            [("wrt", "inputs"), ("seeds", "true"), ("quantized", "exact")],
        ),
    ],
)
def test_the_query(asked: dict[str, Any], query: list[tuple[str, str]]) -> None:
    assert query_of(**{**PLAIN, **asked}) == query


@pytest.mark.parametrize("asked", [{"wrt": []}, {"of": []}, {"wrt": 3}, {"outputs": "y"}])
def test_what_is_no_query(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        query_of(**{**PLAIN, **asked})
    assert raised.value.code == "invalid_field"


def test_the_file_is_that_of_the_engine(client: Client, tmp_path: Path) -> None:
    options: dict[str, Any] = {"wrt": ["x", "w"], "of": "y", "outputs": True, "seeds": True}
    files = client.upload(LARGE).export_gradient(tmp_path / "grad.onnx", **options)
    assert files == (tmp_path / "grad.onnx",)
    assert files[0].read_bytes() == portgrad.load(LARGE).export_gradient(**options).to_bytes()


def test_weights_in_a_file_of_their_own(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "my grad.onnx"
    assert client.upload(LARGE).export_gradient(str(path), external=True) == (
        path,
        tmp_path / "my grad.onnx.data",
    )
    onnx.checker.check_model(path, full_check=True)  # it reads both
    small = client.upload(net_bytes("(float[N] x) => (float[N] y) { y = Mul(x, x) }"))
    assert small.export_gradient(path, external=True) == (path,)


def test_what_is_too_large_for_one_file_comes_in_two(tmp_path: Path) -> None:
    parts = (httpx.Response(200, content=b"graph"), httpx.Response(200, content=b"weights"))
    service = Scripted(TOO_LARGE, *parts)
    files = service.client().net("mine").export_gradient(tmp_path / "grad.onnx")
    assert [file.read_bytes() for file in files] == [b"graph", b"weights"]
    assert [dict(request.url.params).get("location") for request in service.requests] == [
        None, None, "grad.onnx.data",
    ]  # fmt: skip
    refusing = Scripted(TOO_LARGE).client().net("mine")
    with pytest.raises(PortgradError) as raised:
        refusing.export_gradient(tmp_path / "other.onnx", external=False)
    assert raised.value.code == "file_too_large"


class _Broken(httpx.SyncByteStream):
    """A body whose connection breaks off."""

    def __iter__(self) -> Any:
        yield b"half of a long file"
        raise httpx.ReadError("reset")


def test_a_body_that_breaks_off_is_fetched_again(tmp_path: Path, pauses: list[float]) -> None:
    service = Scripted(
        httpx.Response(200, stream=_Broken()),
        httpx.Response(503, json={"code": "store_unavailable", "detail": "Busy."}),
        httpx.Response(200, content=b"graph"),
    )
    files = service.client().net("mine").export_gradient(tmp_path / "grad.onnx")
    assert files[0].read_bytes() == b"graph"
    assert len(pauses) == 2


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    (tmp_path / "grad.onnx").write_bytes(b"before")
    service = Scripted(httpx.Response(404, json={"code": "net_not_found", "detail": "Gone."}))
    with pytest.raises(NotFoundError):
        service.client().net("mine").export_gradient(tmp_path / "grad.onnx")
    [kept] = tmp_path.iterdir()
    assert kept.read_bytes() == b"before"
