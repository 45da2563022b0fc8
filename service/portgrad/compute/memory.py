"""How much memory there is for workers, and whether the kernel has killed any for it.

A control group's limit counts as much as the machine's memory. Containers see their own group at
the root of /sys/fs/cgroup, other processes find theirs by the path that /proc/self/cgroup tells;
the limits of the groups above hold too. Both versions of the interface are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
# What a worker can do something with: opening a net of a few MB and its first gradient took 10 MiB.
WORKABLE = 256 * MIB

_ROOT = Path("/")
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of version 2, of version 1
_EVENTS = ("memory.events", "memory.oom_control")


def memory_share(workers: int, root: Path = _ROOT) -> int:
    """The bytes that each of some workers may take for its nets and calls.

    A quarter of what there is stays with the process that answers requests, the bodies that it
    holds and the engine itself, which all workers share. The rest is divided, but no worker gets
    less than it can work with: where many have to share little, all together could take too much.
    """
    room = available(root) * 3 // 4
    return min(max(room // workers, WORKABLE), room)


def available(root: Path = _ROOT) -> int:
    """The bytes of memory that this process and its like may use, at most."""
    limits = [_number(folder / name) for folder in _groups(root) for name in _LIMITS]
    return min([_machine(root), *(limit for limit in limits if limit is not None)])


def killed_for_memory(root: Path = _ROOT) -> int | None:
    """How many processes of this group were killed for want of memory; None where nobody counts.

    Where no control group counts, all of the machine's are.
    """
    files = [folder / name for folder in _groups(root) for name in _EVENTS]
    counts = (_field(file, "oom_kill") for file in (*files, root / "proc/vmstat"))
    return next((count for count in counts if count is not None), None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the memory control groups that this process is in, its own first."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in _mounts(root / "sys/fs/cgroup", controllers):
            own = mount / path.lstrip("/")
            outside = ".." in own.parts  # as a group above the container's root is shown
            inner = [] if outside else [p for p in (own, *own.parents) if mount in p.parents]
            yield from (*inner, mount)


def _mounts(base: Path, controllers: str) -> list[Path]:
    if not controllers:
        return [base, base / "unified"]
    return [base / "memory"] if "memory" in controllers.split(",") else []


def _machine(root: Path) -> int:
    total = _field(root / "proc/meminfo", "MemTotal:")
    if total is None:
        raise OSError(f"{root / 'proc/meminfo'} does not tell the machine's memory")
    return total * 1024


def _field(path: Path, name: str) -> int | None:
    """The number behind a name in a file of such lines."""
    lines = (line.split() for line in _text(path).splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [name]), None)


def _number(path: Path) -> int | None:
    """The file's one number; None for `max`, or where there is none."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
