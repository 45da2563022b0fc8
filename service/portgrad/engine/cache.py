"""What is kept, and bounded: a cache whose entries are made once, even when many ask at the same
time; and a memo of what is soon made again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")
Found = TypeVar("Found")


class _Entry(Generic[Made]):
    """What is made, once it is; who asks before waits for it."""

    __slots__ = ("coming", "made", "whole")
    made: Made

    def __init__(self) -> None:
        self.coming: Future[Made] = Future()
        self.whole = False

    def result(self) -> Made:
        return self.made if self.whole else self.coming.result()

    def set(self, made: Made) -> None:
        self.made, self.whole = made, True
        self.coming.set_result(made)


class Cache(Generic[Key, Made]):
    """The least recently used entries go first.

    Args:
        capacity: how many entries are kept.

    Attributes:
        hits, misses: how often an entry was there, and how often it had to be made.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, _Entry[Made]] = OrderedDict()
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
                entry = self._entries[key] = _Entry()
            self._entries.move_to_end(key)
        if mine:
            self._fill(key, entry, make)
        return entry.result()

    def peek(self, key: Key, look: Callable[[Made], Found | None]) -> Found | None:
        """What a look at the entry of a key finds, where it is there and made; it then counts as
        asked for.
        """
        with self._lock:
            entry = self._entries.get(key)
            found = look(entry.made) if entry is not None and entry.whole else None
            if found is not None:
                self.hits += 1
                self._entries.move_to_end(key)
            return found

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

    def _fill(self, key: Key, entry: _Entry[Made], make: Callable[[], Made]) -> None:
        try:
            entry.set(make())
        except BaseException as error:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            entry.coming.set_exception(error)
            return
        with self._lock:
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)


class Memo(Generic[Key, Made]):
    """What calls that are alike need not work out again; the oldest goes first.

    Who finds nothing makes it and may keep it. Reading takes no lock.

    Args:
        capacity: how many entries are kept.

    Attributes:
        get: the entry of a key, None where there is none; there is none of None.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[Key | None, Made] = {}
        self._lock = threading.Lock()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keep(self, key: Key, made: Made) -> None:
        """Keep an entry, in the place of the oldest where there are too many."""
        with self._lock:
            self._entries[key] = made
            if len(self._entries) > self._capacity:
                del self._entries[next(iter(self._entries))]
