"""Data folders from before nets had owners: everything in them becomes the owner `local`'s.

    names/<name>          becomes owners/local/names/<name>
    nets/<id>/names/      hints, becomes nets/<id>/owners/local/

Every step may be done again, and the old folder of names goes last, so whoever opens the store
after a death goes on. Replicas that open it at once take turns. A replica of an older release that
still runs would see no nets any more: stop those first.
"""

from __future__ import annotations

import os
from pathlib import Path

from portgrad.store.disk import exists, names_in, sync
from portgrad.store.nets import is_id, is_name
from portgrad.store.owners import LOCAL, OwnerFolder, Ownership, key_of


def take_over(root: Path) -> None:
    """Give what has no owner to `local`, if the store is an old one."""
    old, owner, ownership = root / "names", OwnerFolder(root, key_of(LOCAL)), Ownership(root)
    if not exists(old):
        return
    with owner.turn(), ownership.turn():
        if not exists(old):
            return
        for net_id in names_in(root / "nets"):
            if is_id(net_id) and not ownership.of(net_id):
                _own(root / "nets" / net_id, owner)
        _move_names(old, owner.names)
        os.sync()  # one for all of them: nets may be many
        old.rmdir()
        sync(root)


def _own(net: Path, owner: OwnerFolder) -> None:
    owner.enter(net.name, _size(net))
    (net / "owners").mkdir(exist_ok=True)
    hints, mine = net / "names", net / "owners" / owner.key
    if exists(hints):
        hints.rename(mine)
    else:
        mine.mkdir()


def _size(net: Path) -> int:
    external = net / "external"
    files = [net / "model.onnx", *(external.iterdir() if exists(external) else ())]
    return sum(file.stat().st_size for file in files if exists(file))


def _move_names(old: Path, names: Path) -> None:
    for name in names_in(old):
        if is_name(name) and not exists(names / name):
            (old / name).rename(names / name)
        else:
            (old / name).unlink()
