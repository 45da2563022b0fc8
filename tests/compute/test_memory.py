"""How much memory workers get, read from trees like those of /sys and /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from portgrad.compute.memory import WORKABLE, available, killed_for_memory, memory_share

GIB = 1024**3
MACHINE = {"proc/meminfo": f"MemTotal:       {8 * GIB // 1024} kB\nMemFree:        1 kB\n"}
NO_LIMIT = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}
V1, V2 = "4:memory:/svc/one\n1:cpu:/svc\n", "0::/svc/one\n"
GROUP1, GROUP2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"

LIMITS: dict[str, tuple[dict[str, str], int]] = {
    "no control group": ({}, 8 * GIB),
    "version 2": (
        {"proc/self/cgroup": V2, f"{GROUP2}/svc/one/memory.max": f"{2 * GIB}\n"},
        2 * GIB,
    ),
    "version 2, without a limit": (
        {"proc/self/cgroup": V2, f"{GROUP2}/svc/one/memory.max": "max\n"},
        8 * GIB,
    ),
    "version 2, a limit above": (
        {
            "proc/self/cgroup": V2,
            f"{GROUP2}/svc/one/memory.max": f"{4 * GIB}\n",
            f"{GROUP2}/svc/memory.max": f"{3 * GIB}\n",
        },
        3 * GIB,
    ),
    "version 2, in a container": (
        {"proc/self/cgroup": "0::/\n", f"{GROUP2}/memory.max": f"{2 * GIB}\n"},
        2 * GIB,
    ),
    "version 2, a container that sees the host's path": (
        {"proc/self/cgroup": "0::/docker/12ab\n", f"{GROUP2}/memory.max": f"{2 * GIB}\n"},
        2 * GIB,
    ),
    "version 2, above the container's root": (
        {"proc/self/cgroup": "0::/../other\n", f"{GROUP2}/memory.max": f"{2 * GIB}\n"},
        2 * GIB,
    ),
    "version 1": (
        {"proc/self/cgroup": V1, f"{GROUP1}/svc/one/memory.limit_in_bytes": f"{GIB}\n", **NO_LIMIT},
        GIB,
    ),
    "version 1, without a limit": ({"proc/self/cgroup": V1, **NO_LIMIT}, 8 * GIB),
    "version 1, a container that sees the host's path": (
        {"proc/self/cgroup": V1, f"{GROUP1}/memory.limit_in_bytes": f"{GIB}\n"},
        GIB,
    ),
    "both, with memory in version 1": (
        {
            "proc/self/cgroup": V1 + "0::/\n",
            f"{GROUP1}/svc/memory.limit_in_bytes": f"{GIB}\n",
            f"{GROUP2}/unified/cgroup.procs": "1\n",
        },
        GIB,
    ),
    "a limit above the machine's memory": (
        {"proc/self/cgroup": V2, f"{GROUP2}/svc/one/memory.max": f"{64 * GIB}\n"},
        8 * GIB,
    ),
}

EVENTS = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"
KILLED: dict[str, tuple[dict[str, str], int | None]] = {
    "nobody counts": ({}, None),
    "version 2": (
        {
            "proc/self/cgroup": V2,
            f"{GROUP2}/svc/one/memory.events": EVENTS,
            f"{GROUP2}/svc/memory.events": CONTROL,
            "proc/vmstat": "oom_kill 9\n",
        },
        2,
    ),
    "version 2, in a container": (
        {"proc/self/cgroup": "0::/\n", f"{GROUP2}/memory.events": EVENTS},
        2,
    ),
    "version 1": ({"proc/self/cgroup": V1, f"{GROUP1}/svc/one/memory.oom_control": CONTROL}, 5),
    "an older version 1": (
        {"proc/self/cgroup": V1, f"{GROUP1}/svc/one/memory.oom_control": "under_oom 0\n"},
        None,
    ),
    "only the machine": ({"proc/self/cgroup": "0::/\n", "proc/vmstat": "oom_kill 9\n"}, 9),
}

# Workers, all of the memory, the share of each.
SHARES = [
    (1, 8 * GIB, 6 * GIB),
    (2, 8 * GIB, 3 * GIB),
    (8, 8 * GIB, 6 * GIB // 8),
    (4, GIB, WORKABLE),  # more than a fourth of 768 MiB
    (2, GIB // 4, GIB // 4 * 3 // 4),  # what there is, though it is less than they can work with
]


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in (MACHINE | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("where", LIMITS)
def test_what_there_is(where: str, tmp_path: Path) -> None:
    files, expected = LIMITS[where]
    assert available(_tree(tmp_path, files)) == expected


@pytest.mark.parametrize(("workers", "whole", "share"), SHARES)
def test_the_share_of_a_worker(workers: int, whole: int, share: int, tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", f"{GROUP2}/memory.max": f"{whole}\n"}
    assert memory_share(workers, _tree(tmp_path, files)) == share


@pytest.mark.parametrize("where", KILLED)
def test_how_many_were_killed(where: str, tmp_path: Path) -> None:
    files, expected = KILLED[where]
    assert killed_for_memory(_tree(tmp_path, files)) == expected


def test_this_machine_tells() -> None:
    assert WORKABLE <= memory_share(1) < available()


def test_a_machine_that_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not tell"):
        available(tmp_path)
