"""Nets for tests of stores: any bytes will do, as a store never looks inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portgrad.store import LocalStore, Shelf, Upload


def opened(root: Path, owner: str = "local") -> Shelf:
    """A store on a folder, opened anew, as one owner sees it."""
    return LocalStore(root).of(owner)


def fill(upload: Upload, model: bytes, external: Mapping[str, bytes] | None = None) -> str:
    """Write a net to an upload and close it; the net's id."""
    upload.write(None, model)
    for location, content in (external or {}).items():
        upload.write(location, content)
    upload.close()
    return upload.net_id


def put(
    store: Shelf,
    model: bytes,
    external: Mapping[str, bytes] | None = None,
    description: Mapping[str, Any] | None = None,
) -> str:
    """Keep a net; its id."""
    with store.begin() as upload:
        net_id = fill(upload, model, external)
        store.commit(upload, description or {})
    return net_id


def every_id(store: Shelf) -> list[str]:
    """All ids of a store, read by pages."""
    ids, after = store.page(None, 2)
    while after is not None:
        more, after = store.page(after, 2)
        ids += more
    return ids


def leftovers(root: Path) -> list[str]:
    """What lies in the store's staging folder."""
    return sorted(path.name for path in (root / "staging").iterdir())
