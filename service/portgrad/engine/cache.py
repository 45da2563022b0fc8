"""A bounded cache whose entries are made once, even when many ask at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Cache(Generic[Key, Made]):
    """The least recently used entries go first.

    Args:
        capacity: how many entries are kept.

    Attributes:
        hits, misses: how often an entry was there, and how often it had to be made.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, Future[Made]] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, make: Callable[[], Made]) -> Made:
        """The entry of a key, made by the first who asks; a failure is not kept."""
        with self._lock:
            entry = self._entries.get(key)
            mine = entry is None
            self.hits, self.misses = self.hits + (not mine), self.misses + mine
            if entry is None:
                entry = self._entries[key] = Future()
            self._entries.move_to_end(key)
        if mine:
            self._fill(key, entry, make)
        return entry.result()

    def halve(self) -> None:
        """Forget half of the entries, those that were not asked for lately."""
        with self._lock:
            for _ in range(len(self._entries) // 2):
                self._entries.popitem(last=False)

    def drop(self, belongs: Callable[[Key], bool]) -> None:
        """Forget the entries whose key belongs."""
        with self._lock:
            for key in [key for key in self._entries if belongs(key)]:
                del self._entries[key]

    def _fill(self, key: Key, entry: Future[Made], make: Callable[[], Made]) -> None:
        try:
            entry.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            entry.set_exception(error)
            return
        with self._lock:
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
