"""Names: what they may be, and what they point to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portgrad.errors import Conflict, InvalidRequest, NotFound, StoreFailed
from portgrad.store import Shelf, check_name, is_id
from support.stored_nets import opened, put


@pytest.fixture
def store(tmp_path: Path) -> Shelf:
    return opened(tmp_path)


@pytest.fixture
def nets(store: Shelf) -> tuple[str, str]:
    return put(store, b"one"), put(store, b"two")


VALID = ["a", "0", "A9", "acasxu", "resnet-50_v1.5", "gradient", "a.gradients", "x" * 63, "f" * 63]
INVALID = {
    "empty": "",
    "too long": "x" * 64,
    "an id": "f" * 64,
    "an id in capitals": "F" * 64,
    "derived": "net.gradient",
    "hidden": ".net",
    "an option": "-net",
    "a leading underscore": "_net",
    "a space": "a b",
    "a slash": "a/b",
    "upwards": "..",
    "a line break at the end": "net\n",
    "NUL": "a\0b",
    "not ASCII": "né",
    "digits that are not ASCII": "٣",
}


@pytest.mark.parametrize("name", VALID)
def test_names_that_can_be_given(store, nets, name):
    assert store.bind(name, nets[0]) is True
    assert store.resolve(name) == nets[0]
    assert store.names(nets[0]) == [name]


@pytest.mark.parametrize("name", INVALID.values(), ids=INVALID)
def test_names_that_cannot(store, nets, name):
    for refuse in (check_name, lambda name: store.bind(name, nets[0])):
        with pytest.raises(InvalidRequest) as caught:
            refuse(name)
        assert caught.value.code == "invalid_name"
        assert "1 to 63 letters" in caught.value.expected


@pytest.mark.parametrize(
    ("ref", "expected"),
    [("f" * 64, True), ("0123456789abcdef" * 4, True), ("F" * 64, False), ("f" * 63, False)],
)
def test_an_id_is_told_from_a_name(ref, expected):
    assert is_id(ref) is expected


def test_an_id_resolves_to_itself(store, nets):
    assert store.resolve(nets[0]) == nets[0]


def test_a_name_given_again_is_fine(store, nets):
    assert store.bind("net", nets[0]) is True
    assert store.bind("net", nets[0]) is False
    assert store.bind("net", nets[0], replace=True) is False


def test_a_name_taken_by_another_net_is_a_conflict(store, nets):
    one, two = nets
    store.bind("net", one)
    with pytest.raises(Conflict) as caught:
        store.bind("net", two)
    assert caught.value.code == "name_taken"
    assert one in caught.value.found
    assert store.resolve("net") == one
    assert store.names(two) == []


def test_a_name_moves_when_asked_to(store, nets):
    one, two = nets
    store.bind("net", one)
    store.bind("stays", one)
    assert store.bind("net", two, replace=True) is True
    assert store.resolve("net") == two
    assert (store.names(one), store.names(two)) == (["stays"], ["net"])


def test_case_counts(store, nets):
    one, two = nets
    store.bind("net", one)
    store.bind("Net", two)
    assert (store.resolve("net"), store.resolve("Net")) == (one, two)


def test_names_come_in_order(store, nets):
    for name in ("b", "a", "C"):
        store.bind(name, nets[0])
    assert store.names(nets[0]) == ["C", "a", "b"]


def test_unbind_leaves_the_net(store, nets):
    store.bind("net", nets[0])
    store.unbind("net")
    assert store.has(nets[0])
    assert store.names(nets[0]) == []
    with pytest.raises(NotFound):
        store.resolve("net")
    with pytest.raises(NotFound):
        store.unbind("net")


def test_a_name_for_no_net_is_not_found(store):
    with pytest.raises(NotFound):
        store.bind("net", "0" * 64)
    with pytest.raises(NotFound):
        store.resolve("net")


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("acasxv", "Did you mean `acasxu`?"),
        ("ACASXU", "Did you mean `acasxu`?"),
        ("resnet", "Did you mean `resnet-50`?"),
        ("zzz", "List the nets that are here, or upload this one."),
    ],
)
def test_the_nearest_names_are_offered(store, nets, asked, offered):
    store.bind("acasxu", nets[0])
    store.bind("resnet-50", nets[1])
    with pytest.raises(NotFound) as caught:
        store.resolve(asked)
    assert caught.value.remedy == offered


def test_a_name_whose_net_is_gone_is_not_found_and_free(store, nets, tmp_path):
    one, two = nets
    store.bind("net", one)
    shutil.rmtree(tmp_path / "nets" / one)
    with pytest.raises(NotFound) as caught:
        store.resolve("net")
    assert "Did you mean" not in caught.value.remedy
    assert store.bind("net", two) is True
    assert store.resolve("net") == two


def test_a_name_whose_net_is_gone_can_be_removed(store, nets, tmp_path):
    store.bind("net", nets[0])
    shutil.rmtree(tmp_path / "nets" / nets[0])
    store.unbind("net")
    with pytest.raises(NotFound):
        store.unbind("net")


@pytest.mark.parametrize("content", [b"", b"\xff\0", b"f" * 63])
def test_a_name_that_cannot_be_read_is_told_and_can_be_repaired(store, nets, tmp_path, content):
    store.bind("net", nets[0])
    (tmp_path / "owners" / "local" / "names" / "net").write_bytes(content)
    with pytest.raises(StoreFailed) as caught:
        store.resolve("net")
    assert caught.value.code == "store_damaged"
    assert store.names(nets[0]) == []
    # The remedy that the error names.
    store.unbind("net")
    assert store.bind("net", nets[0]) is True
    assert store.resolve("net") == nets[0]
