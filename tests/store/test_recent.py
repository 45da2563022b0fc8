"""What was found a moment ago is answered from memory; what was changed here since, is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portgrad.errors import NotFound
from portgrad.store import LocalStore, Shelf
from portgrad.store.recent import SECONDS, Recent
from support.stored_nets import opened, put


@pytest.fixture
def store(tmp_path: Path) -> Shelf:
    return opened(tmp_path)


@pytest.fixture
def known(store: Shelf) -> str:
    """A net with the name `one`, found whole a moment ago by either."""
    net_id = put(store, b"one")
    store.bind("one", net_id)
    store.verify(net_id)
    for ref in (net_id, "one"):
        store.find(ref)
    return net_id


def test_it_is_the_same_net_and_the_disk_is_not_asked(
    store: Shelf, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = store.find("one")[0]
    for name in ("get", "_sees", "_resolve"):
        monkeypatch.delattr(type(store), name)
    assert store.at_hand(known) is store.at_hand("one") is found


def test_what_was_not_read_is_not_at_hand(store: Shelf) -> None:
    net_id = put(store, b"one")
    assert store.find(net_id)[1] is False
    assert store.at_hand(net_id) is None


CHANGES: dict[str, Callable[[Shelf, str], Any]] = {
    "removed": lambda store, net_id: store.delete(net_id),
    "unbound": lambda store, _: store.unbind("one"),
    "bound": lambda store, net_id: store.bind("two", net_id),
    "shared": lambda store, net_id: store.share(net_id, True),
    "uploaded": lambda store, _: put(store, b"two"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_here_ends_it(store: Shelf, known: str, change: Callable[..., Any]) -> None:
    change(store, known)
    assert store.at_hand(known) is store.at_hand("one") is None


def test_a_change_that_fails_ends_it_too(store: Shelf, known: str) -> None:
    with pytest.raises(NotFound):
        store.unbind("two")
    assert store.at_hand(known) is None


def test_it_belongs_to_who_found_it(tmp_path: Path, store: Shelf, known: str) -> None:
    here = LocalStore(tmp_path)
    here.of("local").verify(known)
    here.of("local").find(known)
    assert here.of("local").at_hand(known) is not None
    assert here.of("ann").at_hand(known) is None
    assert here.of("local", everything=True).at_hand(known) is None


def test_a_change_elsewhere_shows_a_moment_later(tmp_path: Path, store: Shelf, known: str) -> None:
    now = [0.0]
    store.recent = store._shared.recent = Recent(lambda: now[0])  # type: ignore[attr-defined]
    store.find(known)
    opened(tmp_path).delete(known)
    now[0] = SECONDS * 0.99
    assert store.at_hand(known) is not None
    now[0] = SECONDS
    assert store.at_hand(known) is None
    with pytest.raises(NotFound):
        store.find(known)


def test_what_changed_while_it_was_looked_for_is_not_kept(store: Shelf, known: str) -> None:
    recent = Recent()
    net = store.find(known)[0]
    begun = recent.begin()
    recent.forget()
    recent.keep("asked", net, begun)
    assert recent.get("asked") is None
    recent.keep("asked", net, recent.begin())
    assert recent.get("asked") is net


def test_it_is_bounded(store: Shelf, known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portgrad.store.recent._MOST", 3)
    recent, net = Recent(), store.find(known)[0]
    for number in range(4):
        recent.keep(number, net, recent.begin())
    assert [recent.get(number) is net for number in range(4)] == [False, False, False, True]
