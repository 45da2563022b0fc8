"""What an upload may hold, and in which order it may come."""

from __future__ import annotations

from pathlib import Path

import pytest

from portgrad.errors import InvalidRequest, LimitExceeded
from portgrad.store import Upload
from portgrad.store import upload as upload_module
from support.stored_nets import opened


@pytest.fixture
def upload(tmp_path: Path):
    with opened(tmp_path).begin() as upload:
        upload.write(None, b"model")
        yield upload


VALID = [
    "weights.bin",
    "model.onnx",
    "0",
    "a/b/c.bin",
    "./here.bin",
    "..weights",
    "with space",
    "é" * 400,
    "CON",
    "-rf",
    "~",
    "$HOME",
]
INVALID = {
    "empty": "",
    "the folder": ".",
    "the folder itself": "./",
    "a folder": "sub/",
    "a folder, dotted": "sub/.",
    "upwards": "../weights.bin",
    "upwards inside": "a/../../weights.bin",
    "upwards and back": "a/../weights.bin",
    "only upwards": "..",
    "absolute": "/etc/passwd",
    "absolute twice": "//etc/passwd",
    "a drive": "C:weights.bin",
    "a drive's root": "C:/weights.bin",
    "backslash": "a\\b.bin",
    "backslash upwards": "..\\weights.bin",
    "a share": "\\\\host\\share\\w",
    "NUL": "weights.bin\0.png",
    "a line break": "weights\n.bin",
    "an escape": "weights\x1b[2J",
    "a lone surrogate": "weights\udc80",
    "too long": "x" * 1025,
}


@pytest.mark.parametrize("location", VALID)
def test_locations_that_are_taken(upload: Upload, location, tmp_path):
    upload.write(location, b"content")
    upload.close()
    path = upload.files.external[location]
    assert path.read_bytes() == b"content"
    assert path.relative_to(upload.folder).as_posix() == "external/0"


@pytest.mark.parametrize("location", INVALID.values(), ids=INVALID)
def test_locations_that_are_refused(upload: Upload, location):
    with pytest.raises(InvalidRequest) as caught:
        upload.write(location, b"content")
    assert caught.value.code == "invalid_location"
    assert caught.value.remedy
    assert str(caught.value).isprintable()
    assert [path.name for path in upload.folder.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("again", ["w.bin", "./w.bin", ".//w.bin"])
def test_a_location_comes_once_however_it_is_spelt(upload: Upload, again):
    upload.write("w.bin", b"1")
    upload.write("v.bin", b"2")
    with pytest.raises(InvalidRequest, match="already") as caught:
        upload.write(again, b"3")
    assert caught.value.code == "invalid_location"


def test_the_model_comes_once(upload: Upload):
    upload.write("w.bin", b"1")
    with pytest.raises(InvalidRequest, match="two models"):
        upload.write(None, b"model")


def test_an_upload_needs_a_model(tmp_path):
    with opened(tmp_path).begin() as upload:
        upload.write("w.bin", b"1")
        with pytest.raises(InvalidRequest) as caught:
            upload.close()
    assert caught.value.code == "missing_model"


def test_an_empty_model_is_a_model(tmp_path):
    with opened(tmp_path).begin() as upload:
        upload.write(None, b"")
        upload.close()
        assert upload.files.model.read_bytes() == b""


def test_files_are_bounded_in_number(upload: Upload, monkeypatch):
    monkeypatch.setattr(upload_module, "MOST_FILES", 2)
    upload.write("a", b"")
    upload.write("b", b"")
    with pytest.raises(LimitExceeded) as caught:
        upload.write("c", b"")
    assert caught.value.code == "too_many_files"


def test_an_upload_is_used_in_order(upload: Upload):
    for early in ("files", "net_id"):
        with pytest.raises(RuntimeError, match="not closed"):
            getattr(upload, early)
    upload.close()
    with pytest.raises(RuntimeError, match="is closed"):
        upload.write(None, b"more")
