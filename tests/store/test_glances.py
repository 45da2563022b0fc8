"""What is looked up without a thread: what was a moment ago, on a file system of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portgrad.errors import NotFound
from portgrad.store import glances
from portgrad.store.glances import SECONDS, Glances, is_local
from support.stored_nets import opened, put


def mounted(kind: str, device: int) -> str:
    place = f"{os.major(device)}:{os.minor(device)}"
    return f"36 35 {place} / /data rw,relatime shared:1 - {kind} /dev/sda1 rw"


OTHER = "37 35 98:7 / /mnt rw - nfs4 server:/export rw"


@pytest.mark.parametrize(
    ("kinds", "local"),
    [
        (["ext4"], True),
        (["xfs", "xfs"], True),
        (["tmpfs"], True),
        (["nfs4"], False),
        (["ceph"], False),
        (["fuse.sshfs"], False),
        (["ext4", "nfs4"], False),
        ([], False),
    ],
)
def test_which_file_systems_are_of_this_machine(
    kinds: list[str], local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [OTHER, *(mounted(kind, tmp_path.stat().st_dev) for kind in kinds)]
    (tmp_path / "mounts").write_text("\n".join(lines))
    monkeypatch.setattr(glances, "_MOUNTS", tmp_path / "mounts")
    assert is_local(tmp_path) is local


def test_where_that_cannot_be_told_it_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glances, "_MOUNTS", tmp_path / "missing")
    assert is_local(tmp_path) is False


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "is_local", lambda _: True)


def test_it_is_quick_for_a_moment(tmp_path: Path, local: None) -> None:
    now = [5.0]
    some = Glances([tmp_path], lambda: now[0])
    some.note("a")
    assert some.quick("a")
    assert not some.quick("b")
    now[0] += SECONDS
    assert not some.quick("a")


def test_never_where_another_machine_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glances, "is_local", lambda _: False)
    some = Glances([tmp_path])
    some.note("a")
    assert not some.quick("a")


def test_it_is_bounded(tmp_path: Path, local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "_MOST", 3)
    some = Glances([tmp_path])
    for number in range(4):
        some.note(number)
    assert [some.quick(number) for number in range(4)] == [False, False, False, True]


def test_a_net_by_how_it_was_asked_for(tmp_path: Path, local: None) -> None:
    shelf = opened(tmp_path)
    net_id = put(shelf, b"one")
    shelf.bind("one", net_id)
    shelf.find("one")
    assert shelf.quick("one")
    assert not shelf.quick(net_id)
    opened(tmp_path).delete(net_id)  # by another process: the next look tells
    with pytest.raises(NotFound):
        shelf.find("one")
