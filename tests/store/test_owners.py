"""Several owners of one store: what each of them sees, and that nobody is told of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portgrad.errors import Forbidden, NotFound, PortgradError
from portgrad.graph.files import NetFiles
from portgrad.store import LocalStore, Shelf
from portgrad.store.owners import key_of
from support.store_life import resolved
from support.store_replicas import an_old_folder
from support.stored_nets import every_id, fill, leftovers, opened, put

NET = NetFiles(b"model").net_id()
ABSENT = NetFiles(b"absent").net_id()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def ann(store: LocalStore) -> Shelf:
    """An owner with a net."""
    ann = store.of("ann")
    put(ann, b"model", description={"of": "ann"})
    ann.bind("net", NET)
    return ann


@pytest.fixture
def bob(store: LocalStore) -> Shelf:
    return store.of("bob")


ASKED: dict[str, Callable[[Shelf, str], object]] = {
    "get": lambda shelf, ref: shelf.get(ref),
    "verify": lambda shelf, ref: shelf.verify(ref),
    "resolve": lambda shelf, ref: shelf.resolve(ref),
    "names": lambda shelf, ref: shelf.names(ref),
    "is_shared": lambda shelf, ref: shelf.is_shared(ref),
    "delete": lambda shelf, ref: shelf.delete(ref),
    "delete for everyone": lambda shelf, ref: shelf.delete(ref, everyone=True),
    "share": lambda shelf, ref: shelf.share(ref, True),
    "declare": lambda shelf, ref: shelf.declare(ref, True),
    "unshare": lambda shelf, ref: shelf.share(ref, False),
    "bind": lambda shelf, ref: shelf.bind("mine", ref),
    "unbind": lambda shelf, ref: shelf.unbind(ref),
}


def refusal(call: Callable[[Shelf, str], object], shelf: Shelf, ref: str) -> dict[str, str]:
    with pytest.raises(PortgradError) as caught:
        call(shelf, ref)
    assert type(caught.value) is NotFound
    return {key: text.replace(ref, "REF") for key, text in caught.value.fields().items()}


@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_what_is_not_yours_is_refused_as_what_does_not_exist(ann, bob, call):
    assert refusal(call, bob, NET) == refusal(call, bob, ABSENT)
    ann.bind("anns", NET)
    assert refusal(call, bob, "anns") == refusal(call, bob, "nobodys")
    assert ann.names(NET) == ["anns", "net"]


@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_what_is_not_yours_takes_the_same_system_calls(ann, bob, call, monkeypatch):
    put(bob, b"something")
    log: list[Any] = []
    for name in ("stat", "scandir", "mkdir", "rename", "unlink", "open"):
        monkeypatch.setattr(os, name, logged(name, getattr(os, name), log))
    logs = []
    for ref in (NET, ABSENT):
        log.clear()
        refusal(call, bob, ref)
        logs.append([(name, path.replace(ref, "REF"), error) for name, path, error in log])
    assert logs[0] == logs[1]
    assert logs[0]


def logged(name: str, call: Callable[..., Any], log: list[Any]) -> Callable[..., Any]:
    def run(path: Any, *args: Any, **options: Any) -> Any:
        try:
            found = call(path, *args, **options)
        except OSError as error:
            log.append((name, str(path), error.errno))
            raise
        log.append((name, str(path), 0))
        return found

    return run


def test_each_owner_has_their_own_list_and_names(ann, bob):
    assert every_id(bob) == []
    other = put(bob, b"other")
    assert bob.bind("net", other) is True
    assert (bob.resolve("net"), ann.resolve("net")) == (other, NET)
    assert (every_id(ann), every_id(bob)) == ([NET], [other])
    # Only one's own names are offered.
    ann.bind("acasxu", NET)
    with pytest.raises(NotFound) as caught:
        bob.resolve("acasxv")
    assert "acasxu" not in caught.value.remedy


def test_the_same_bytes_are_new_to_each_owner_and_kept_once(ann, bob, tmp_path):
    with bob.begin() as upload:
        fill(upload, b"model")
        assert not bob.has(NET)
        assert bob.commit(upload, {"of": "bob"}) is True
    assert bob.get(NET).description == {"of": "ann"}
    assert bob.names(NET) == []
    assert len(list((tmp_path / "nets").glob("[!.]*"))) == 1


def test_a_net_goes_with_its_last_owner(ann, bob, tmp_path):
    put(bob, b"model")
    assert ann.delete(NET) is False
    assert every_id(ann) == []
    assert resolved(ann, NET) is resolved(ann, "net") is None
    bob.verify(NET)
    assert bob.delete(NET) is True
    assert list((tmp_path / "nets").glob("[!.]*")) == leftovers(tmp_path) == []


def test_a_shared_net_is_seen_by_its_id_until_it_is_shared_no_longer(ann, bob):
    for _ in range(2):  # twice is as good as once
        ann.share(NET, True)
    assert bob.get(NET) == ann.get(NET)
    assert bob.is_shared(NET)
    assert ann.is_shared(NET)
    bob.verify(NET)
    assert bob.names(NET) == []
    assert resolved(bob, "net") is None
    assert every_id(bob) == []
    for _ in range(2):
        ann.share(NET, False)
    assert resolved(bob, NET) is None
    assert not ann.is_shared(NET)


def test_a_net_is_batchable_to_who_declares_it(ann, bob, store):
    put(bob, b"model")
    ann.declare(NET, True)
    assert (ann.get(NET).batchable, bob.get(NET).batchable) == (True, False)
    assert ann.names(NET) == ["net"]
    # Who uses it because others share it takes it as they have it.
    bob.share(NET, True)
    carl = store.of("carl")
    assert not carl.get(NET).batchable
    ann.share(NET, True)
    assert carl.get(NET).batchable
    ann.declare(NET, False)
    ann.declare(NET, False)  # twice is as good as once
    assert not carl.get(NET).batchable
    ann.declare(NET, True)
    ann.delete(NET)
    put(ann, b"model")
    assert not ann.get(NET).batchable


def test_a_shared_net_is_shared_until_its_last_owner_who_shares_it_stops(ann, bob, store):
    put(bob, b"model")
    ann.share(NET, True)
    assert not bob.is_shared(NET)
    bob.share(NET, True)
    ann.share(NET, False)
    assert resolved(store.of("eve"), NET) == NET
    bob.share(NET, False)
    assert resolved(store.of("eve"), NET) is None


def test_a_net_is_shared_no_longer_once_who_shared_it_removed_it(ann, bob, store):
    put(bob, b"model")
    ann.share(NET, True)
    ann.delete(NET)
    assert resolved(store.of("eve"), NET) is None
    assert not bob.is_shared(NET)
    put(ann, b"model")
    assert not ann.is_shared(NET)


@pytest.mark.parametrize(
    "call", ["delete", "delete for everyone", "share", "unshare", "declare", "bind"]
)
@pytest.mark.parametrize("everything", [False, True], ids=["shared", "admin"])
def test_a_net_that_is_seen_and_not_yours_cannot_be_changed(ann, store, call, everything):
    ann.share(NET, not everything)
    shelf = store.of("eve", everything=everything)
    if everything and call == "delete for everyone":
        return
    with pytest.raises(Forbidden) as caught:
        ASKED[call](shelf, NET)
    assert caught.value.code == "not_owner"
    assert ann.names(NET) == ["net"]


def test_who_sees_everything_sees_it_by_its_id(ann, store):
    admin = store.of("admin", everything=True)
    assert admin.get(NET) == ann.get(NET)
    assert resolved(admin, "net") is None
    assert every_id(admin) == []
    assert resolved(admin, ABSENT) is None


@pytest.mark.parametrize("owners", [("ann",), ("ann", "bob"), ("bob|x", "ü")])
def test_a_net_is_taken_away_from_everyone(store, owners, tmp_path):
    shelves = [store.of(owner) for owner in owners]
    for shelf in shelves:
        put(shelf, b"model")
        shelf.bind("net", NET)
        shelf.share(NET, True)
    assert store.of("admin", everything=True).delete(NET, everyone=True) is True
    for shelf in shelves:
        assert every_id(shelf) == []
        assert resolved(shelf, "net") is None
    assert list((tmp_path / "shared").iterdir()) == leftovers(tmp_path) == []


ODD = ["", ".", "..", "../ann", "a/b", "auth0|123", "ann@example.com", "a b", "ü", "\udc80", "\0",
       ".lock", "x" * 64, "f" * 64, "x" * 5000, key_of("auth0|123")]  # fmt: skip


@pytest.mark.parametrize("owner", ODD, ids=range(len(ODD)))
def test_an_owner_may_be_called_anything(ann, store, owner, tmp_path):
    odd = store.of(owner)
    put(odd, b"model")
    odd.bind("net", NET)
    assert opened(tmp_path, owner).names(NET) == ["net"]
    ann.delete(NET)
    assert every_id(store.of("ann")) == []
    assert odd.resolve("net") == NET
    assert {path.name for path in (tmp_path / "owners").iterdir()} == {"ann", key_of(owner)}


def test_owners_with_one_key_are_one_owner():
    plain = ["ann", "Ann", "a.b", "0"]
    assert [key_of(owner) for owner in plain] == plain
    assert len({key_of(owner) for owner in (*plain, *ODD)}) == len(plain) + len(ODD)


def test_who_an_owner_is_can_be_read_where_the_key_does_not_say_it(store, tmp_path):
    put(store.of("auth0|123"), b"model")
    told = tmp_path / "owners" / key_of("auth0|123") / "owner"
    assert told.read_text() == '"auth0|123"'
    told.write_text("")  # as a death may leave it
    put(store.of("auth0|123"), b"other")
    assert told.read_text() == '"auth0|123"'


def test_a_folder_without_owners_becomes_the_owner_locals(tmp_path):
    an_old_folder(tmp_path)
    one, two = NetFiles(b"one").net_id(), NetFiles(b"two").net_id()
    for _ in range(2):
        local = opened(tmp_path)
        assert every_id(local) == sorted([one, two])
        assert local.names(one) == ["first", "second"]
        assert local.get(two).description == {"opset": 21}
    assert every_id(opened(tmp_path, "ann")) == []
    assert not (tmp_path / "names").exists()


def test_an_old_release_that_ran_once_more_loses_nothing(tmp_path):
    """It makes the folder of names anew, and nets without an owner."""
    local = opened(tmp_path)
    mine = put(local, b"mine")
    local.bind("first", mine)
    an_old_folder(tmp_path)
    local = opened(tmp_path)
    one, two = NetFiles(b"one").net_id(), NetFiles(b"two").net_id()
    assert every_id(local) == sorted([mine, one, two])
    assert local.resolve("first") == mine
    assert local.resolve("second") == one
