"""Uploads: streamed, counted, with external data under the locations that the model writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest
from onnx import external_data_helper, numpy_helper

from portgrad_client import Client, InvalidNetError
from support.sdk import Scripted, description, layers

CREATED = httpx.Response(201, json=description())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").write_bytes(b"model")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a b.bin").write_bytes(b"inner")
    (tmp_path / "ü.bin").write_bytes(b"beside")
    return tmp_path


@pytest.mark.parametrize("kind", ["bytes", "path", "text"])
def test_a_model_alone_is_sent_raw(kind: str, folder: Path) -> None:
    path = folder / "net.onnx"
    service = Scripted(CREATED)
    service.client().upload({"bytes": b"model", "path": path, "text": str(path)}[kind])
    assert service.request.content == b"model"
    assert service.request.headers["content-type"] == "application/octet-stream"
    assert service.request.headers["content-length"] == "5"
    assert service.request.url.query == b""


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"name": "acas"}, "name=acas"),
        ({"name": "acas", "replace": True}, "name=acas&replace=true"),
        ({"name": "a b&c"}, "name=a+b%26c"),
    ],
)
def test_name_and_replace(options: dict[str, Any], query: str) -> None:
    service = Scripted(CREATED)
    service.client().upload(b"model", **options)
    assert service.request.url.query.decode() == query


def parts(request: httpx.Request) -> list[tuple[str, bytes]]:
    """The disposition and the content of each part."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    found = []
    for part in request.content.split(b"--" + boundary)[1:-1]:
        head, _, body = part.strip(b"\r\n").partition(b"\r\n\r\n")
        found.append((head.split(b"\r\n")[0].decode(), body))
    return found


@pytest.mark.parametrize(
    ("external", "locations"),
    [
        (["weights/a b.bin", "ü.bin"], ["weights/a b.bin", "ü.bin"]),
        ("ü.bin", ["ü.bin"]),
        ({"elsewhere/w.bin": "ü.bin"}, ["elsewhere/w.bin"]),
    ],
)
def test_external_data_goes_under_its_location(
    external: Any, locations: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    service = Scripted(CREATED)
    service.client().upload("net.onnx", external=external)
    model, *others = parts(service.request)
    assert model == (
        'Content-Disposition: form-data; name="model"; filename="model.onnx"',
        b"model",
    )
    assert [head for head, _ in others] == [
        f'Content-Disposition: form-data; name="external"; filename="{location}"'
        for location in locations
    ]
    assert others[-1][1] == b"beside"


def test_external_bytes_beside_a_model_in_memory(folder: Path) -> None:
    service = Scripted(CREATED)
    service.client().upload(b"model", external={"w.bin": b"123", "v.bin": folder / "ü.bin"})
    assert [body for _, body in parts(service.request)] == [b"model", b"123", b"beside"]


def test_a_file_outside_the_models_folder_goes_under_its_name(folder: Path) -> None:
    service = Scripted(CREATED)
    service.client().upload(b"model", external=[folder / "ü.bin"])
    assert 'filename="ü.bin"' in parts(service.request)[1][0]


@pytest.mark.parametrize("external", [None, {"w.bin": bytes(150_000)}])
def test_progress_tells_what_was_sent_of_what(external: Any) -> None:
    told: list[tuple[int, int]] = []
    service = Scripted(CREATED)
    service.client().upload(bytes(200_000), external=external, progress=lambda *at: told.append(at))
    total = int(service.request.headers["content-length"])
    assert total == len(service.request.content)
    sent = [at for at, _ in told]
    assert sent == sorted(sent)
    assert sent[-1] == total
    assert len(sent) >= 4
    assert {of for _, of in told} == {total}


@pytest.mark.parametrize("external", [None, {"w.bin": b"123"}])
def test_a_retry_starts_over(external: Any) -> None:
    told: list[int] = []
    service = Scripted(httpx.Response(503), CREATED)
    service.client().upload(bytes(9), external=external, progress=lambda at, _: told.append(at))
    first, second = service.requests
    assert int(first.headers["content-length"]) == len(first.content)
    assert int(second.headers["content-length"]) == len(second.content)
    assert len(told) % 2 == 0
    assert told[: len(told) // 2] == told[len(told) // 2 :]


def test_a_missing_file_is_pythons_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scripted(CREATED).client().upload(tmp_path / "no.onnx")


def test_external_data_reaches_the_service(client: Client, tmp_path: Path) -> None:
    model = onnx.load_from_string(layers())
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    onnx.save_model(model, tmp_path / "net.onnx")
    with pytest.raises(InvalidNetError, match=r"weights\.bin"):
        client.upload(tmp_path / "net.onnx")
    net = client.upload(tmp_path / "net.onnx", external=[tmp_path / "weights.bin"])
    assert net.describe()["external"] == ["weights.bin"]
    assert net.evaluate([[1.0, 1.0]])["Output"].tolist() == [[13.0]]
