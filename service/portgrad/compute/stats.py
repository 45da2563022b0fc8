"""What a Compute tells operators about itself: a snapshot in plain numbers, for metrics and probes.

It is taken on the event loop while nothing waits, so it holds what is at hand and measures nothing:
whoever wants the memory of a worker asks the system for that of its process id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

WorkerState = Literal["starting", "idle", "busy", "stopping"]


@dataclass(frozen=True)
class WorkerStats:
    """One worker as it is now.

    Args:
        name: what logs call it. Names are used again, so that there are as many as places.
        pid: its process id, as this process sees it.
        state: what it does.
        spare: whether it was started only while calls wait behind long ones.
        job: the kind of its job, where it has one.
        seconds: how long it has been in its state.
        nets: the nets that it holds open.
        sessions: the compiled graphs that it holds.
    """

    name: str
    pid: int
    state: WorkerState
    spare: bool = False
    job: str | None = None
    seconds: float = 0.0
    nets: int = 0
    sessions: int = 0


@dataclass(frozen=True)
class PoolStats:
    """All workers as they are now, and what has happened to them since the service started.

    Args:
        workers: those whose process lives.
        wanted: how many there ought to be, spare ones not counted.
        queued: the jobs that wait for a worker.
        max_queued: how many may.
        quarantined: the nets that are in quarantine.
        worker_memory_bytes: what the nets and calls of one worker may take, if that is bounded.
        others: process ids of helpers, such as the one that starts workers, by what they are.
        started: workers that were started.
        deaths: workers that ended unasked, by reason: a few words such as `crashed`,
            `out_of_memory`, `deadline`, `killed`. Each reason is there from the start, with 0: a
            series that begins at 1 has no increase.
        stopped: jobs whose run was stopped at their deadline, and whose worker lives on.
        killed: jobs whose worker had to be killed at their deadline.
        retries: jobs that were given to another worker because theirs had died.
        net_hits: jobs that came to a worker that had their net open.
        net_misses: jobs whose net had to be opened first.
        session_hits: runs of a graph that was compiled before.
        session_misses: runs whose graph had to be compiled first.
        batched: how often so many calls on a net that is declared batchable went to a worker
            together, by their number, from one on.
    """

    workers: tuple[WorkerStats, ...] = ()
    wanted: int = 0
    queued: int = 0
    max_queued: int = 0
    quarantined: int = 0
    worker_memory_bytes: int | None = None
    others: Mapping[str, int] = field(default_factory=dict)
    started: int = 0
    deaths: Mapping[str, int] = field(default_factory=dict)
    stopped: int = 0
    killed: int = 0
    retries: int = 0
    net_hits: int = 0
    net_misses: int = 0
    session_hits: int = 0
    session_misses: int = 0
    batched: Mapping[int, int] = field(default_factory=dict)

    @property
    def serving(self) -> bool:
        """Whether a worker lives that takes work, now or when it has done what it does."""
        return any(worker.state in {"idle", "busy"} for worker in self.workers)
