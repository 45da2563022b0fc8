"""Requests made from the OpenAPI document, by the ten thousand: each answered as documented."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import httpx

from portgrad.samples import samples
from torture.documented import NET, explore
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service

# For each operation; with what schemathesis tries in any case that makes more than 20,000.
EXAMPLES = 700
GOAL = "each answer as documented, no 500"


def run(plan: Plan) -> Iterator[Row]:
    """A row for each reading of the document."""
    if importlib.util.find_spec("schemathesis") is None:
        yield Row("schema: requests from the document", "schemathesis is not here", GOAL, None)
        return
    service = Service(plan.place("schema"), log_level="warning")
    try:
        service.start()
        examples = max(5, int(plan.share(EXAMPLES, of_minutes=15)))
        document = httpx.get(service.url + "/openapi.json").json()
        for net, name in ((True, f"calls of {NET}"), (False, "all of it")):
            _upload(service.url)
            clock = Clock()
            found = explore(
                service.url, document, plan.place("schema"), examples, plan.seed, net=net
            )
            figure = f"{found.requests} requests, {found.accepted} accepted"
            figure += f", {len(found.failures)} kinds of failures"
            if found.failures:
                print(*found.failures, found.output[-6000:], sep="\n")
            ok = not found.failures and service.alive and "Traceback" not in service.told()
            yield Row(f"schema: {name}", figure, GOAL, ok, clock())
    finally:
        service.stop()


def _upload(url: str) -> None:
    for name, model in samples().items():
        query = {"name": name, "replace": "true"}
        httpx.post(f"{url}/nets", params=query, content=model).raise_for_status()
