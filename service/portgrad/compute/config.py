"""What workers are made with, as plain data that crosses to their process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

# Fewer where they do not fit into the worker's memory.
NETS, SESSIONS = 128, 512


@dataclass(frozen=True)
class WorkerConfig:
    """How one worker works.

    Args:
        threads: threads of each run; 0 for one per core.
        nets: how many loaded nets it keeps.
        sessions: how many compiled graphs it keeps, over all nets.
        limits: the fields of `engine.limits.Limits` that are not as by default.
        readable: the folders that it may read, beside those of the interpreter; None where it need
            not be held to any.
        memory_bytes: what its nets and calls may take; None for no bound.
    """

    threads: int = 0
    nets: int = NETS
    sessions: int = SESSIONS
    limits: Mapping[str, int | None] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    memory_bytes: int | None = None


@dataclass(frozen=True)
class PoolConfig:
    """How the workers are kept.

    Args:
        workers: how many there are; None for one per core.
        spare: how many more there may be while jobs wait behind long ones.
        deadline: seconds that a call may take, unless it asks for less.
        compile_seconds: seconds that opening a net and compiling a graph may take.
        max_queued: how many jobs may wait.
        max_batch: how many examples calls on a batchable net may have that are run as one.
        quarantine_after: workers that a net may crash before it is quarantined.
        quarantine_seconds: how long that lasts.
    """

    workers: int | None = None
    spare: int = 2
    deadline: float = 60.0
    compile_seconds: float = 120.0
    max_queued: int = 256
    max_batch: int = 64
    quarantine_after: int = 3
    quarantine_seconds: float = 3600.0

    @cached_property
    def wanted(self) -> int:
        """How many workers there are while nothing waits for long."""
        return self.workers or len(os.sched_getaffinity(0))
