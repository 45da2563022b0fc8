"""Counters and histograms of requests, in a registry of the application's own.

What is merely looked up, such as queue lengths and memory, is in `gauges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
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


class Metrics:
    """What has been served so far. For the event loop's thread, but `exposed`.

    Args:
        nets: how many nets have counts of their own.
    """

    def __init__(self, nets: int) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(namespace="portgrad", registry=self._registry)
        self.busy = BusyNets(nets)
        self.under_way = 0
        self._requests = self._counter(
            "requests", "Requests answered, by route, method and status.", "route method status"
        )
        self._problems = self._counter(
            "problems", "Answers that were problems, by code and status.", "code status"
        )
        self._durations = self._histogram(
            "request_duration_seconds", "From a request's headers to its whole answer.", "route"
        )
        stages = self._histogram(
            "stage_duration_seconds", "What requests spent in each stage.", "stage"
        )
        bodies = self._counter(
            "body_bytes", "Bytes of bodies that came in and went out.", "direction"
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._in, self._out = bodies.labels("in"), bodies.labels("out")
        self._codes: set[str] = set()
        # Looking up the child of labels takes longer than counting.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def add(self, record: Record, route: str) -> None:
        """Count a request that has ended."""
        counter, duration = self._of(route, record.method, record.status)
        counter.inc()
        duration.observe(record.total)
        for stage, seconds in record.stages.items():
            if stage in self._stages:
                self._stages[stage].observe(seconds)
        if record.bytes_in:
            self._in.inc(record.bytes_in)
        if record.bytes_out:
            self._out.inc(record.bytes_out)
        if record.code is not None:
            self._problems.labels(self._code(record.code), str(record.status)).inc()
        if record.net_id is not None and "compute" in record.stages:
            queued = record.stages.get("queue", 0.0)
            self.busy.add(record.net_id, max(0.0, record.stages["compute"] - queued))

    def _code(self, code: str) -> str:
        """The label of a code. Codes come from workers too, and one may have been taken over."""
        if len(self._codes) < _MOST_CODES:
            self._codes.add(code)
        return code if code in self._codes else "other"

    def exposed(self, accept: str, more: Iterable[Metric]) -> tuple[bytes, str]:
        """Everything in the format that a scraper likes best, and that format's name."""
        encode, media_type = choose_encoder(accept)
        return encode(_All(self._registry, more)), media_type

    def _of(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        key = (route, method, status)
        found = self._children.get(key)
        if found is None:
            counter = self._requests.labels(route, method, str(status))
            found = self._children[key] = (counter, self._durations.labels(route))
        return found

    def _counter(self, name: str, told: str, labels: str) -> Counter:
        return Counter(f"portgrad_{name}", told, labels.split(), registry=self._registry)

    def _histogram(self, name: str, told: str, labels: str) -> Histogram:
        return Histogram(
            f"portgrad_{name}", told, labels.split(), registry=self._registry, buckets=BUCKETS
        )


class _All:
    """A registry's metrics and more, without the time at which each series began."""

    def __init__(self, registry: CollectorRegistry, more: Iterable[Metric]) -> None:
        self._registry = registry
        self._more = more

    def collect(self) -> Iterator[Metric]:
        """As an encoder asks for them."""
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
            yield metric
        yield from self._more
