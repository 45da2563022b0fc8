"""Counters and histograms of requests, in a registry of the application's own.

What is merely looked up, such as queue lengths and memory, is in `gauges`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from portgrad.api.telling.busy import BusyNets
from portgrad.api.telling.record import Record

# Half a millisecond to minutes: a tiny net's call, and one that its deadline ends.
BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
)  # fmt: skip
_MOST_CODES = 300  # problems have about half as many
STAGES = ("decode", "queue", "compile", "run", "encode")


_BOUNDS = [*map(str, BUCKETS), "+Inf"]


class _Durations:
    """A histogram of seconds."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_BOUNDS)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """How many are within each bound, and their sum."""
        within = zip(_BOUNDS, map(float, accumulate(self._counts)), strict=True)
        return list(within), self._sum


class Metrics:
    """What has been served so far. For the event loop's thread, but `exposed`.

    Plain numbers: of prometheus_client's own each has a lock, and those that one request needs
    would cost as much as to parse it.

    Args:
        nets: how many nets have counts of their own.
    """

    def __init__(self, nets: int) -> None:
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(namespace="portgrad", registry=self._process)
        self.busy = BusyNets(nets)
        self.under_way = 0
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._problems: Counter[tuple[str, int]] = Counter()
        self._routes: defaultdict[str, _Durations] = defaultdict(_Durations)
        self._stages = {stage: _Durations() for stage in STAGES}
        self._in = self._out = 0
        self._codes: set[str] = set()

    def add(self, record: Record, route: str) -> None:
        """Count a request that has ended."""
        self._requests[route, record.method, record.status] += 1
        self._routes[route].add(record.total)
        stages = record.stages
        for stage, seconds in stages.items():
            if stage in self._stages:
                self._stages[stage].add(seconds)
        self._in += record.bytes_in
        self._out += record.bytes_out
        if record.code is not None:
            self._problems[self._code(record.code), record.status] += 1
        if record.net_id is not None and "compute" in stages:
            self.busy.add(record.net_id, max(0.0, stages["compute"] - stages.get("queue", 0.0)))

    def _code(self, code: str) -> str:
        """The label of a code. Codes come from workers too, and one may have been taken over."""
        if len(self._codes) < _MOST_CODES:
            self._codes.add(code)
        return code if code in self._codes else "other"

    def families(self) -> list[Metric]:
        """All that was counted, as it is now."""
        requests = "Requests answered, by route, method and status."
        problems = "Answers that were problems, by code and status."
        bodies = {("in",): self._in, ("out",): self._out}
        return [
            _counter("requests", requests, "route method status", self._requests),
            _counter("problems", problems, "code status", self._problems),
            _histogram(
                "request_duration_seconds",
                "From a request's headers to its whole answer.",
                "route",
                self._routes,
            ),
            _histogram(
                "stage_duration_seconds",
                "What requests spent in each stage.",
                "stage",
                self._stages,
            ),
            _counter(
                "body_bytes", "Bytes of bodies that came in and went out.", "direction", bodies
            ),
        ]

    def exposed(self, accept: str, more: Iterable[Metric]) -> tuple[bytes, str]:
        """The process and more in the format that a scraper likes best, and that format's name."""
        encode, media_type = choose_encoder(accept)
        return encode(_All(self._process, more)), media_type


def _counter(name: str, told: str, labels: str, counts: Mapping[Any, float]) -> Metric:
    """What was counted by tuples of the labels' values."""
    family = CounterMetricFamily(f"portgrad_{name}", told, labels=labels.split())
    for key, count in counts.items():
        family.add_metric([str(value) for value in key], float(count))
    return family


def _histogram(name: str, told: str, label: str, found: Mapping[str, _Durations]) -> Metric:
    family = HistogramMetricFamily(f"portgrad_{name}", told, labels=[label])
    for value, durations in found.items():
        family.add_metric([value], *durations.told())
    return family


class _All:
    """A registry's metrics, and more."""

    def __init__(self, registry: CollectorRegistry, more: Iterable[Metric]) -> None:
        self._registry = registry
        self._more = more

    def collect(self) -> Iterator[Metric]:
        """As an encoder asks for them."""
        yield from self._registry.collect()
        yield from self._more
