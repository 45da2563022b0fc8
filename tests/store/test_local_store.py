"""One store, one thread: nets in and out, pages, removal, what is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from portgrad.errors import NotFound, StoreFailed
from portgrad.graph.files import NetFiles
from portgrad.store import Shelf
from support.stored_nets import every_id, fill, leftovers, opened, put

EXTERNAL = {"weights.bin": b"w" * 10, "sub/more.bin": b"", "é/ü.bin": b"\0"}
ABSENT = "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


@pytest.fixture
def store(root: Path) -> Shelf:
    return opened(root)


def test_a_net_comes_back_as_it_was(store):
    description = {"opset": 21, "inputs": [{"name": "x", "shape": ["N", 3]}], "warnings": []}
    net_id = put(store, b"model", EXTERNAL, description)
    files = store.get(net_id).files
    assert net_id == NetFiles(b"model", EXTERNAL).net_id() == files.net_id()
    assert files.model.read_bytes() == b"model"
    assert {name: path.read_bytes() for name, path in files.external.items()} == EXTERNAL
    assert store.get(net_id).description == description
    assert store.has(net_id)
    store.verify(net_id)


def test_a_net_without_external_data(store):
    net_id = put(store, b"model")
    assert store.get(net_id).files.external == {}
    assert store.get(net_id).description == {}


def test_another_store_on_the_folder_sees_the_same(store, root):
    net_id = put(store, b"model", EXTERNAL)
    store.bind("net", net_id)
    other = opened(root)
    assert other.resolve("net") == net_id
    assert other.get(net_id).files == store.get(net_id).files


def test_the_same_bytes_are_kept_once_and_keep_their_first_description(store):
    with store.begin() as first, store.begin() as second:
        assert fill(first, b"model") == fill(second, b"model")
        assert store.commit(first, {"first": True}) is True
        assert store.commit(second, {"first": False}) is False
        assert store.commit(first, {}) is False
    assert every_id(store) == [first.net_id]
    assert store.get(first.net_id).description == {"first": True}


def test_the_same_bytes_cut_into_other_chunks_have_the_same_id(store):
    whole = put(store, b"model", {"w": b"abcdef"})
    with store.begin() as upload:
        upload.write("w", b"")
        upload.write("w", b"abc")
        upload.write("w", b"def")
        upload.write(None, b"mod")
        upload.write(None, b"el")
        upload.close()
        assert upload.net_id == whole


def test_an_upload_that_is_left_leaves_nothing(store, root):
    with store.begin() as upload:
        fill(upload, b"model", EXTERNAL)
        assert upload.files.model.read_bytes() == b"model"
        assert not store.has(upload.net_id)
    with store.begin() as upload:
        upload.write(None, b"half of a mod")
    assert leftovers(root) == []
    assert every_id(store) == []


def test_a_committed_upload_leaves_nothing_in_staging(store, root):
    put(store, b"model", EXTERNAL)
    assert leftovers(root) == []


def test_pages_are_in_order_and_say_when_there_is_more(store, root):
    ids = sorted(put(store, bytes([n])) for n in range(5))
    (root / "nets" / "lost+found").mkdir()
    assert store.page(None, 10) == (ids, None)
    assert store.page(None, 5) == (ids, None)
    assert store.page(None, 2) == (ids[:2], ids[1])
    assert store.page(ids[1], 2) == (ids[2:4], ids[3])
    assert store.page(ids[3], 2) == (ids[4:], None)
    assert store.page(ids[4], 2) == ([], None)
    assert every_id(store) == ids


def test_a_cursor_outlives_its_net(store):
    ids = sorted(put(store, bytes([n])) for n in range(3))
    _, after = store.page(None, 1)
    store.delete(ids[0])
    assert store.page(after, 5) == (ids[1:], None)


def test_delete_removes_the_net_and_its_names(store, root):
    kept, gone = put(store, b"kept"), put(store, b"gone", EXTERNAL)
    store.bind("kept", kept)
    store.bind("gone", gone)
    store.bind("gone-too", gone)
    store.delete(gone)
    assert every_id(store) == [kept]
    names = root / "owners" / "local" / "names"
    assert [path.name for path in names.iterdir() if path.stat().st_size] == ["kept"]
    assert leftovers(root) == []
    assert put(store, b"gone", EXTERNAL) == gone
    assert store.names(gone) == []


def test_open_files_outlive_their_net(store):
    net_id = put(store, b"model", {"w": bytes(range(200))})
    files = store.get(net_id).files
    mapped = np.memmap(files.external["w"], np.uint8, mode="r")
    with files.model.open("rb") as model:
        store.delete(net_id)
        assert model.read() == b"model"
    np.testing.assert_array_equal(mapped, np.arange(200, dtype=np.uint8))


@pytest.mark.parametrize("ref", [ABSENT, "../nets", "", "a/b", ".lock", "x" * 5000, "A" * 64])
@pytest.mark.parametrize(
    "method", ["get", "names", "delete", "verify", "resolve", "unbind", "is_shared"]
)
def test_what_is_not_here_is_not_found(store, method, ref):
    with pytest.raises(NotFound) as caught:
        getattr(store, method)(ref)
    assert caught.value.code == "net_not_found"
    assert caught.value.remedy
    assert not store.has(ref)


DAMAGE = {
    "description cut short": ("description.json", b'{"opset":', "get"),
    "description no object": ("description.json", b"[]", "get"),
    "description not UTF-8": ("description.json", b'{"\xff":1}', "get"),
    "description gone": ("description.json", None, "get"),
    "description of something else": ("description.json", b'{"opset": 22}', "get"),
    "manifest cut short": ("manifest.json", b"{", "get"),
    "manifest of something else": ("manifest.json", b"{}", "get"),
    "manifest gone": ("manifest.json", None, "get"),
    "manifest of another net": ("manifest.json", b'{"model":"0","external":[]}', "get"),
    "model changed": ("model.onnx", b"modeL", "verify"),
    "model gone": ("model.onnx", None, "verify"),
    "external data cut short": ("external/0", b"", "verify"),
    "external data gone": ("external/0", None, "verify"),
}


@pytest.mark.parametrize("removed", [False, True], ids=["mended", "removed"])
@pytest.mark.parametrize(("file", "content", "method"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_and_can_be_repaired(*, store, root, file, content, method, removed):
    net_id = put(store, b"model", EXTERNAL)
    path = root / "nets" / net_id / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(StoreFailed) as caught:
        getattr(store, method)(net_id)
    assert caught.value.code == "store_damaged"
    assert caught.value.where == net_id
    assert str(root) not in str(caught.value)
    assert not store.has(net_id)
    if removed:
        store.delete(net_id)
    # The remedy that the error names. Its files come in another order.
    external = dict(reversed(EXTERNAL.items()))
    with store.begin() as upload:
        fill(upload, b"model", external)
        assert store.commit(upload, {"again": True}) is removed
    store.verify(net_id)
    assert store.has(net_id)
    found = store.get(net_id)
    assert found.description == {"again": True}
    assert {name: path.read_bytes() for name, path in found.files.external.items()} == EXTERNAL


def test_a_net_removed_between_two_looks_is_not_found(store, root, monkeypatch):
    net_id = put(store, b"model")
    monkeypatch.setattr(store, "_owns", lambda _: True)
    shutil.rmtree(root / "nets" / net_id)
    for method in (store.get, store.verify):
        with pytest.raises(NotFound):
            method(net_id)


def test_a_relative_root_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = opened(Path("data"))
    net_id = put(store, b"model")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.get(net_id).files.model.read_bytes() == b"model"


def test_the_manifest_is_readable_without_portgrad(store, root):
    net_id = put(store, b"model", {"w": b"1"})
    manifest = json.loads((root / "nets" / net_id / "manifest.json").read_text())
    files = NetFiles(b"model", {"w": b"1"})
    assert manifest.keys() == {"model", "external", "description"}
    assert [location for location, _ in manifest["external"]] == list(files.external)
