"""Everything that changes a store, call by call, and what can be seen of it after each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from portgrad.errors import NotFound
from portgrad.graph.files import NetFiles
from portgrad.store import Shelf
from support.stored_nets import every_id, opened, put

EXTERNAL = {"weights.bin": b"w" * 100, "sub/more.bin": b"m"}
OTHER = "https://issuer.example|other"  # no plain name
ONE = NetFiles(b"one", EXTERNAL).net_id()
TWO = NetFiles(b"two").net_id()

# Names, nets, nets of another owner, and what a third one sees.
Seen = tuple[dict[str, str], list[str], list[str], list[str]]
# Removing a net is the one call with states in between: its names go first, then it is shared no
# longer, so that whoever asks again removes the rest.
STATES: list[Seen] = [
    ({}, [], [], []),
    ({}, [ONE], [], []),
    ({"moves": ONE}, [ONE], [], []),
    ({"moves": ONE, "stays": ONE}, [ONE], [], []),
    ({"moves": ONE, "stays": ONE}, [ONE], [], [ONE]),
    ({"moves": ONE, "stays": ONE}, [ONE], [ONE], [ONE]),
    ({"moves": ONE, "stays": ONE}, [ONE, TWO], [ONE], [ONE]),
    ({"moves": TWO, "stays": ONE}, [ONE, TWO], [ONE], [ONE]),
    ({"moves": TWO}, [ONE, TWO], [ONE], [ONE]),
    ({"moves": TWO}, [ONE, TWO], [ONE], []),
    ({"moves": TWO}, [TWO], [ONE], []),
    ({}, [TWO], [ONE], []),
    ({}, [ONE, TWO], [ONE], []),
    ({}, [TWO], [ONE], []),
    ({}, [TWO], [ONE], [ONE]),
    ({}, [TWO], [ONE], []),
    ({}, [TWO], [], []),
]
# While this was acknowledged last, ONE is damaged.
DAMAGED = 11


def calls(root: Path) -> list[tuple[int, Callable[[], object]]]:
    """The calls, each with the number of states that it goes through."""
    store, other = opened(root), opened(root, OTHER)
    return [
        (1, lambda: put(store, b"one", EXTERNAL)),
        (1, lambda: store.bind("moves", ONE)),
        (1, lambda: store.bind("stays", ONE)),
        (1, lambda: store.share(ONE, True)),
        (1, lambda: put(other, b"one", EXTERNAL)),
        (1, lambda: put(store, b"two")),
        (1, lambda: store.bind("moves", TWO, replace=True)),
        (3, lambda: store.delete(ONE)),
        (1, lambda: store.unbind("moves")),
        (1, lambda: damage_and_put(root, store)),
        (1, lambda: store.delete(ONE)),
        (1, lambda: other.share(ONE, True)),
        (1, lambda: other.share(ONE, False)),
        (1, lambda: other.delete(ONE)),
    ]


def damage_and_put(root: Path, store: Shelf) -> None:
    """Who uploads what another owner has, and a disk has damaged, repairs it."""
    os.truncate(root / "nets" / ONE / "model.onnx", 2)
    put(store, b"one", EXTERNAL)


def seen(root: Path, *, damaged: bool = False) -> Seen:
    """What can be seen of a store. Every net of it is whole, unless one may be damaged."""
    store, other, stranger = (opened(root, owner) for owner in ("local", OTHER, "stranger"))
    ids, others = every_id(store), every_id(other)
    for shelf, net_id in (*((store, one) for one in ids), *((other, one) for one in others)):
        if not damaged:
            shelf.verify(net_id)
            assert isinstance(shelf.get(net_id).description, dict)
    visible = [net_id for net_id in (ONE, TWO) if resolved(stranger, net_id)]
    return names_of(store, ids), ids, others, visible


def expected(states: list[Seen]) -> list[Seen]:
    """States as `seen` tells them, ids in order."""
    return [(names, sorted(ids), sorted(others), shared) for names, ids, others, shared in states]


def resolved(shelf: Shelf, ref: str) -> str | None:
    """The id that an id or a name stands for, if there is one."""
    try:
        return shelf.resolve(ref)
    except NotFound:
        return None


def names_of(store: Shelf, ids: list[str]) -> dict[str, str]:
    """The names of nets, which point to them."""
    names = {name: net_id for net_id in ids for name in store.names(net_id)}
    for name in ("moves", "stays"):
        assert names.get(name) == resolved(store, name)
    return names
