"""How much memory a service holds, at most: looked at all the while by a process of its own.

    python -m benchmarks.serving.memory PID

reads lines; after each it tells, as JSON, the most bytes since the line before that the process
and its descendants held together, and forgets them.

Pages that several processes map are counted once, in shares (PSS). A memory file that travels
between them counts with all its pages as long as anybody has it open, whether mapped or not.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.serving.program import ROOT, Program

BETWEEN = 0.004


class Watch:
    """Looks at one server."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def most(self) -> int:
        """The most bytes that were held at once since this was asked last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline()))


@contextmanager
def watched(program: Program) -> Iterator[Watch]:
    """Look at a server's memory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving.memory", str(program.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    try:
        watch = Watch(process)
        watch.most()
        yield watch
    finally:
        process.stdin.close()
        process.wait(10)


def held(pids: list[int]) -> int:
    """Bytes that these processes hold together now."""
    fields = [_fields(pid) for pid in pids]
    own = sum(each.get("Pss_Anon", 0) + each.get("Pss_File", 0) for each in fields)
    files: dict[int, int] = {}
    for pid in pids:
        files.update(_memory_files(pid))
    shared = sum(each.get("Pss_Shmem", 0) for each in fields)
    return own + max(shared, sum(files.values()))


def private(pid: int) -> int:
    """Bytes that this process alone holds."""
    return _fields(pid).get("Private_Dirty", 0)


def _fields(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def _memory_files(pid: int) -> dict[int, int]:
    """Bytes of the memory files that a process has open, by inode."""
    found = {}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()).startswith("/memfd:"):
                    status = entry.stat()
                    found[status.st_ino] = status.st_blocks * 512
    return found


def _look(pid: int) -> None:
    most, turn = 0, 0
    pids = [pid]
    while True:
        if turn % 50 == 0:  # who descends from it changes seldom, and is costly to find out
            with suppress(psutil.NoSuchProcess):
                pids = [pid, *(c.pid for c in psutil.Process(pid).children(recursive=True))]
        turn += 1
        most = max(most, held(pids))
        if select.select([sys.stdin], [], [], BETWEEN)[0]:
            if not os.read(0, 1):
                return
            print(json.dumps(most), flush=True)
            most = 0


if __name__ == "__main__":
    _look(int(sys.argv[1]))
