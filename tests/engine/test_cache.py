"""The cache: made once, bounded, failures not kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from portgrad.engine.cache import Cache


def test_an_entry_is_made_once() -> None:
    cache: Cache[str, object] = Cache(2)
    made = cache.get("a", object)
    assert cache.get("a", object) is made


def test_many_who_ask_at_once_wait_for_the_first() -> None:
    cache: Cache[str, int] = Cache(2)
    calls, started, go = [], threading.Event(), threading.Event()

    def make() -> int:
        calls.append(1)
        started.set()
        assert go.wait(10)
        return 7

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cache.get, "a", make) for _ in range(8)]
        assert started.wait(10)
        go.set()
        assert [answer.result(10) for answer in answers] == [7] * 8
    assert len(calls) == 1


def test_the_least_recently_used_goes_first() -> None:
    cache: Cache[str, int] = Cache(2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda: 1)
    assert len(cache) == 2
    remade = []
    for key in ("a", "c", "b"):
        cache.get(key, lambda key=key: remade.append(key) or 2)  # type: ignore[misc]
    assert remade == ["b"]


def test_a_failure_is_told_and_not_kept() -> None:
    cache: Cache[str, int] = Cache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert len(cache) == 0
    assert cache.get("a", lambda: 3) == 3


def test_dropping_forgets_what_belongs_even_while_it_is_made() -> None:
    cache: Cache[tuple[str, int], int] = Cache(9)
    for key in (("a", 1), ("a", 2), ("b", 1)):
        cache.get(key, lambda: 1)
    cache.drop(lambda key: key[0] == "a")
    assert len(cache) == 1

    def make() -> int:
        cache.drop(lambda _: True)
        return 5

    assert cache.get(("a", 3), make) == 5
    assert len(cache) == 0


def test_half_of_it_is_forgotten() -> None:
    cache: Cache[str, int] = Cache(4)
    for key in ("a", "b", "c", "a"):
        cache.get(key, lambda: 1)
    cache.halve()
    assert len(cache) == 2
    assert [cache.get(key, lambda: 2) for key in ("c", "a", "b")] == [1, 1, 2]
