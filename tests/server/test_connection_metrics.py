"""Connections, and what was refused before it was a request, are told of as everything else is."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.balanced import wait_until
from support.fake_compute import FakeCompute
from support.served import Wire, request, served


def scrape(wire: Wire) -> dict[tuple[str, ...], float]:
    text = wire.send(request("GET", "/metrics")).answer().body.decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_connections_and_refusals(tmp_path: Path) -> None:
    settings = Settings(max_connections=3)
    with served(create_app(LocalStore(tmp_path), FakeCompute(), settings), settings) as server:
        for head in (b"hello\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n"):
            wire = server.wire(head)
            assert wire.answer().status == 400
            wire.close()
        kept = server.wire(request("GET", "/healthz"))
        assert kept.answer().status == 200
        scraping = server.wire()
        wait_until(lambda: scrape(scraping)["portgrad_connections",] == 2, "the others are closed")
        found = scrape(scraping)
        assert found["portgrad_refused_total", "malformed_request"] == 2
        assert found["portgrad_connections_limit",] == 3
