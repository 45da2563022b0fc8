"""Replicas and threads that do the same thing at the same time."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from portgrad.errors import Conflict, LimitExceeded, NotFound
from portgrad.graph.files import NetFiles
from portgrad.store import LocalStore, Quota
from support.store_replicas import REPLICAS, ROUNDS, run
from support.stored_nets import every_id, fill, leftovers, opened, put

THREADS = 8


def test_replicas_on_one_folder(tmp_path):
    told = json.loads(run("race", tmp_path))
    store = opened(tmp_path)
    by_turn = [[one for one in told["outcomes"] if one["turn"] == turn] for turn in range(ROUNDS)]
    # One replica is told that the net is new, and one that the name is its own.
    assert [sum(one["new"] for one in outcomes) for outcomes in by_turn] == [1] * ROUNDS
    assert [sum(one["bound"] for one in outcomes) for outcomes in by_turn] == [1] * ROUNDS
    assert all(isinstance(one["moved"], bool) for one in told["outcomes"])
    # The name that moved all the time was never missing.
    assert told["watched"]["missing"] == 0
    assert told["watched"]["seen"] > 0
    ids = every_id(store)
    assert len(ids) == 1 + REPLICAS + ROUNDS
    for net_id in ids:
        store.verify(net_id)
    assert sorted(name for net_id in ids for name in store.names(net_id)) == sorted(
        ["moved", *(f"first-{turn}" for turn in range(ROUNDS))]
    )
    assert leftovers(tmp_path) == []


def at_once(work) -> list:
    barrier = threading.Barrier(THREADS)

    def waiting(number: int):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(waiting, range(THREADS)))


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path)


def test_threads_that_commit_the_same_net(store):
    def commit(number):
        with store.begin() as upload:
            fill(upload, b"model", {"w": b"1"})
            return store.commit(upload, {"by": number})

    news = at_once(commit)
    (net_id,) = every_id(store)
    assert sorted(news) == [False] * (THREADS - 1) + [True]
    assert store.get(net_id).description == {"by": news.index(True)}


def test_threads_that_bind_the_same_name(store):
    nets = [put(store, bytes([number])) for number in range(THREADS)]

    def bind(number):
        try:
            return store.bind("net", nets[number])
        except Conflict:
            return False

    bound = at_once(bind)
    assert bound.count(True) == 1
    assert store.resolve("net") == nets[bound.index(True)]


def test_threads_that_remove_the_same_net(store, tmp_path):
    net_id = put(store, b"model")
    store.bind("net", net_id)

    def delete(number):
        try:
            store.delete(net_id)
        except NotFound:
            return False
        return True

    assert sorted(at_once(delete)) == [False] * (THREADS - 1) + [True]
    assert every_id(store) == leftovers(tmp_path) == []


def test_a_net_bound_and_removed_at_once_leaves_no_name_behind(store, tmp_path):
    net_id = NetFiles(b"model").net_id()

    def work(number):
        put(store, b"model")
        try:
            store.bind(f"net-{number}", net_id)
            store.delete(net_id)
        except NotFound:
            pass

    at_once(work)
    left = {path.name for path in (tmp_path / "owners" / "local" / "names").iterdir()} - {".next"}
    assert left == set(store.names(net_id) if store.has(net_id) else [])
    assert leftovers(tmp_path) == []


def test_owners_that_remove_and_upload_the_same_net(tmp_path):
    """Whoever was told that a net is kept has it, whatever others do."""
    store = LocalStore(tmp_path)
    shelves = [store.of(f"owner-{number}") for number in range(THREADS)]

    def work(number):
        shelf, net_id = shelves[number], NetFiles(b"model").net_id()
        for _ in range(6):
            put(shelf, b"model")
            shelf.verify(net_id)
            shelf.share(net_id, True)
            shelf.bind("net", net_id)
            assert shelf.resolve("net") == net_id
            if number % 2:
                shelf.delete(net_id)
                assert not shelf.has(net_id)

    at_once(work)
    kept = [bool(every_id(shelf)) for shelf in shelves]
    assert kept == [number % 2 == 0 for number in range(THREADS)]
    for shelf in shelves[::2]:
        assert shelf.delete(NetFiles(b"model").net_id()) is (shelf is shelves[-2])
    assert list((tmp_path / "nets").glob("[!.]*")) == leftovers(tmp_path) == []


def test_a_quota_holds_for_uploads_at_once(tmp_path):
    shelf = LocalStore(tmp_path).of("ann", quota=Quota(nets=3))

    def commit(number):
        try:
            put(shelf, bytes([number]))
        except LimitExceeded:
            return False
        return True

    assert sum(at_once(commit)) == len(every_id(shelf)) == 3
