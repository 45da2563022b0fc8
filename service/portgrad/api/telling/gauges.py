"""Metrics that are looked up when they are asked for: workers, queue, caches, memory, store.

Every label has few values: states, reasons, names of workers that are used again, and the nets
that `busy` shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import get_args

import psutil
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from portgrad.api.telling.busy import Counts
from portgrad.api.telling.readiness import Parts
from portgrad.compute.stats import PoolStats, WorkerState
from portgrad.store import Figures

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Watched:
    """A number that some part of the service has at hand.

    Args:
        name: the metric's, without `portgrad_`.
        told: what it is.
        value: the number now, or numbers by the values of a label. Called on the event loop.
        counted: of what is counted from the start on, the label.
    """

    name: str
    told: str
    value: Callable[[], float | Mapping[str, float]]
    counted: str | None = None


@dataclass(frozen=True)
class Now:
    """How the service is at one moment.

    Args:
        parts: what being ready depends on.
        pool: the workers.
        store: what the store holds, if that could be counted.
        busy: the busiest nets, and all others together.
        numbers: what parts of the service have at hand.
    """

    parts: Parts
    pool: PoolStats
    store: Figures | None
    busy: list[tuple[str, Counts]]
    numbers: list[tuple[Watched, float | Mapping[str, float]]]


def gauges(now: Now) -> Iterator[Metric]:
    """All of them. Asks the system for the memory of processes, so not on the event loop."""
    yield _gauge("build_info", "The version that runs.", {version("portgrad"): 1}, "version")
    yield _gauge("ready", "Whether /readyz says so.", now.parts.ready)
    yield _gauge("draining", "Whether the service was asked to stop.", now.parts.draining)
    for watched, value in now.numbers:
        made = _gauge if watched.counted is None else _counter
        yield made(watched.name, watched.told, value, watched.counted)
    yield from _pool(now.pool)
    yield from _events(now.pool)
    yield from _memory(now.pool)
    yield from _store(now)
    calls = {net: counts.calls for net, counts in now.busy}
    seconds = {net: counts.seconds for net, counts in now.busy}
    yield _counter("net_calls", "Calls of the busiest nets, and of all others.", calls, "net")
    yield _counter("net_seconds", "Seconds of workers that their calls took.", seconds, "net")


def _pool(pool: PoolStats) -> Iterator[Metric]:
    states = Counter(worker.state for worker in pool.workers)
    by_state = {state: states[state] for state in get_args(WorkerState)}
    spare = sum(worker.spare for worker in pool.workers)
    nets = {worker.name: worker.nets for worker in pool.workers}
    sessions = {worker.name: worker.sessions for worker in pool.workers}
    yield _gauge("workers", "Workers that live, by what they do.", by_state, "state")
    yield _gauge(
        "workers_wanted", "Workers that there ought to be, without spare ones.", pool.wanted
    )
    yield _gauge("spare_workers", "Workers that were started because calls waited.", spare)
    yield _gauge("queued_jobs", "Jobs that wait for a worker.", pool.queued)
    yield _gauge("queued_jobs_limit", "How many may wait.", pool.max_queued)
    yield _gauge("quarantined_nets", "Nets in quarantine.", pool.quarantined)
    yield _gauge("cached_nets", "Nets that are held open, by worker.", nets, "worker")
    yield _gauge("cached_sessions", "Compiled graphs that are held.", sessions, "worker")


def _events(pool: PoolStats) -> Iterator[Metric]:
    lookups = {
        ("nets", "hit"): pool.net_hits,
        ("nets", "miss"): pool.net_misses,
        ("sessions", "hit"): pool.session_hits,
        ("sessions", "miss"): pool.session_misses,
    }
    yield _counter("workers_started", "Workers that were started.", pool.started)
    yield _counter("worker_deaths", "Workers that ended unasked.", pool.deaths, "reason")
    yield _counter("deadline_stops", "Runs that were stopped at their deadline.", pool.stopped)
    yield _counter("deadline_kills", "Workers that were killed at a deadline.", pool.killed)
    yield _counter("retries", "Jobs given to another worker as theirs had died.", pool.retries)
    yield _sizes(pool.batched)
    caches = CounterMetricFamily(
        "portgrad_cache_lookups", "Lookups of caches of workers.", labels=["cache", "result"]
    )
    for labels, count in lookups.items():
        caches.add_metric(labels, count)
    yield caches


def _sizes(batched: Mapping[int, int]) -> Metric:
    told = "Calls on batchable nets that went to a worker together, by their number."
    within = [
        (str(float(size)), sum(count for found, count in batched.items() if found <= size))
        for size in _SIZES
    ]
    buckets = [*within, ("+Inf", sum(batched.values()))]
    total = sum(size * count for size, count in batched.items())
    return HistogramMetricFamily("portgrad_batched_calls", told, buckets=buckets, sum_value=total)


def _memory(pool: PoolStats) -> Iterator[Metric]:
    workers = {worker.name: _resident(worker.pid) for worker in pool.workers}
    others = {name: _resident(pid) for name, pid in pool.others.items()}
    told = "Resident memory by worker; what they share is counted for each."
    yield _gauge("worker_resident_memory_bytes", told, workers, "worker")
    yield _gauge("helper_resident_memory_bytes", "That of helpers of workers.", others, "process")
    if pool.worker_memory_bytes is not None:
        told = "What the nets and calls of one worker may take."
        yield _gauge("worker_memory_limit_bytes", told, pool.worker_memory_bytes)


def _resident(pid: int) -> int:
    with suppress(psutil.Error):  # it has ended meanwhile
        resident: int = psutil.Process(pid).memory_info().rss
        return resident
    return 0


def _store(now: Now) -> Iterator[Metric]:
    yield _gauge("store_readable", "Whether nets can be read.", _can(now, "ok", "read_only"))
    yield _gauge("store_writable", "Whether nets can be kept.", _can(now, "ok"))
    if now.store is not None:
        yield _gauge("store_nets", "Nets in the store.", now.store.nets)
        yield _gauge("store_bytes", "Their bytes.", now.store.bytes)
        yield _gauge("store_free_bytes", "What the store's disk has left.", now.store.free)


def _can(now: Now, *states: str) -> bool:
    return now.parts.store in states


def _gauge(
    name: str, told: str, value: float | Mapping[str, float], label: str | None = None
) -> Metric:
    return _fill(GaugeMetricFamily, name, told, value, label)


def _counter(
    name: str, told: str, value: float | Mapping[str, float], label: str | None = None
) -> Metric:
    return _fill(CounterMetricFamily, name, told, value, label)


def _fill(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    told: str,
    value: float | Mapping[str, float],
    label: str | None,
) -> Metric:
    metric = family(f"portgrad_{name}", told, labels=[label] if label else [])
    found = value if isinstance(value, Mapping) else {"": value}
    for key, number in found.items():
        metric.add_metric([key] if label else [], number)
    return metric
