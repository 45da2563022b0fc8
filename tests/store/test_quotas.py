"""How much one owner may keep, and have under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from portgrad.errors import LimitExceeded
from portgrad.store import LocalStore, Quota, Shelf
from support.stored_nets import every_id, fill, leftovers, put


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def shelf(store: LocalStore) -> Shelf:
    return store.of("ann", quota=Quota(nets=3, bytes=100))


def refused(shelf: Shelf, model: bytes) -> LimitExceeded:
    """Both before it is inspected and when it is kept."""
    found = []
    with shelf.begin() as upload:
        net_id = fill(upload, model)
        for attempt in (shelf.afford, lambda upload: shelf.commit(upload, {})):
            with pytest.raises(LimitExceeded) as caught:
                attempt(upload)
            found.append(caught.value)
    assert found[0].fields() == found[1].fields()
    assert not shelf.has(net_id)
    return found[0]


def test_nets_are_bounded_in_number(shelf):
    ids = [put(shelf, bytes([number])) for number in range(3)]
    error = refused(shelf, b"four")
    assert (error.code, error.expected, error.found) == (
        "too_many_nets", "at most 3 nets of one owner", "3 nets",
    )  # fmt: skip
    # What one has already may be uploaded again, and what was removed makes room.
    put(shelf, bytes([0]))
    shelf.delete(ids[0])
    put(shelf, b"four")
    assert len(every_id(shelf)) == 3


def test_nets_are_bounded_in_bytes(shelf):
    big = put(shelf, b"1" * 60, {"w": b"2" * 20})
    put(shelf, b"3" * 20)
    error = refused(shelf, b"4")
    assert (error.code, error.expected, error.found) == (
        "quota_exceeded",
        "at most 100 bytes of all nets of one owner",
        "100 bytes, and 1 more in this net",
    )
    shelf.delete(big)
    put(shelf, b"4" * 80)


def test_each_owner_has_a_quota_of_their_own(store, shelf):
    put(shelf, b"1" * 100)
    other = store.of("bob", quota=Quota(bytes=100))
    put(other, b"1" * 100)  # the same folder counts for both
    refused(other, b"2")
    shelf.delete(every_id(shelf)[0])
    refused(other, b"2")


def test_what_replicas_add_counts(shelf, tmp_path):
    other = LocalStore(tmp_path).of("ann", quota=Quota(nets=3))
    for number in range(3):
        put((shelf, other)[number % 2], bytes([number]))
    for replica in (shelf, other):
        refused(replica, b"four")
    other.delete(every_id(other)[0])
    put(shelf, b"four")
    refused(other, b"five")


def test_what_a_death_left_on_the_list_is_not_held_against_anyone(shelf, tmp_path):
    put(shelf, b"one")
    listed = tmp_path / "owners" / "ann" / "nets"
    for number in range(2):
        (listed / f"{number:064x}.90").touch()
    shelf.delete(every_id(shelf)[0])
    for number in range(3):
        put(shelf, bytes([number]))
    assert len(list(listed.iterdir())) == 3
    assert len(every_id(shelf)) == 3


def test_uploads_under_way_are_bounded_together(store, shelf, tmp_path):
    with shelf.begin() as first, shelf.begin() as second:
        first.write(None, b"1" * 60)
        second.write(None, b"2" * 40)
        with pytest.raises(LimitExceeded) as caught:
            second.write(None, b"2")
        assert caught.value.code == "quota_exceeded"
        with store.of("bob", quota=Quota(bytes=100)).begin() as other:
            other.write(None, b"3" * 100)
    with shelf.begin() as third:
        third.write(None, b"4" * 100)
    assert leftovers(tmp_path) == []


def test_without_a_quota_there_is_no_limit(store):
    put(store.of("ann"), b"1" * 1000)
