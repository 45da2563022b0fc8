"""Spans of requests, as OpenTelemetry's SDK sees them; and what is said where it is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portgrad.api.app import create_app
from portgrad.api.telling.traces import Traces
from portgrad.errors import InvalidRequest, PortgradError
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import Boom, FakeCompute, fake_net
from support.http import AppClient, serving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def test_without_the_packages_the_service_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    settings = Settings(otlp_endpoint="http://127.0.0.1:4318")
    with pytest.raises(PortgradError) as caught:
        create_app(LocalStore(tmp_path), FakeCompute(), settings)
    assert caught.value.code == "otel_not_installed"
    assert "pip install 'portgrad[otel]'" in str(caught.value)


@pytest.fixture
def exporter() -> Any:
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    return memory.InMemorySpanExporter()


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def http(tmp_path: Path, exporter: Any, compute: FakeCompute) -> Iterator[AppClient]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    app = create_app(LocalStore(tmp_path), compute, Settings())
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app.state.service.teller.traces = Traces(provider)
    with serving(app) as client:
        client.post("/nets?name=echo", content=fake_net())
        exporter.clear()
        yield client


def call(http: AppClient, **headers: str) -> Any:
    return http.post("/nets/echo/gradient", json={"data": [1]}, headers=headers)


def test_a_call_is_a_span_in_the_callers_trace_with_its_stages(
    http: AppClient, exporter: Any
) -> None:
    answer = call(http, traceparent=f"00-{TRACE}-{PARENT}-01")
    *stages, span = exporter.get_finished_spans()
    assert span.name == "POST /nets/{net}/gradient"
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.kind.name == "SERVER"
    told = dict(span.attributes)
    assert len(told.pop("portgrad.net")) == 64
    assert told == {
        "http.request.method": "POST",
        "http.route": "/nets/{net}/gradient",
        "http.response.status_code": 200,
        "http.request.body.size": len(answer.request.content),
        "http.response.body.size": len(answer.content),
        "client.address": "127.0.0.1",
        "portgrad.request_id": answer.headers["x-request-id"],
        "portgrad.owner": "local",
    }
    assert [stage.name for stage in stages] == ["decode", "queue", "compile", "run", "encode"]
    assert {stage.parent.span_id for stage in stages} == {span.context.span_id}
    for stage in stages:
        assert span.start_time <= stage.start_time <= stage.end_time
    # What the echoing compute says: 1 ms in the queue, then 2 ms in the run.
    lasted = {stage.name: stage.end_time - stage.start_time for stage in stages}
    assert lasted["queue"] == pytest.approx(1e6, abs=2e5)
    assert lasted["run"] == pytest.approx(2e6, abs=2e5)


def test_a_trace_begins_here_where_the_caller_has_none(http: AppClient, exporter: Any) -> None:
    call(http)
    call(http, traceparent="nonsense")
    spans = [span for span in exporter.get_finished_spans() if span.kind.name == "SERVER"]
    assert [span.parent for span in spans] == [None, None]
    assert len({span.context.trace_id for span in spans}) == 2


def test_a_trace_that_is_not_sampled_is_not_kept(http: AppClient, exporter: Any) -> None:
    assert call(http, traceparent=f"00-{TRACE}-{PARENT}-00").status_code == 200
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("error", "status", "code", "wrong"),
    [
        (InvalidRequest("It does not fit.", code="wrong_shape"), 422, "wrong_shape", False),
        (Boom("secret"), 500, "internal_error", True),
    ],
)
def test_problems(
    *, http: AppClient, exporter: Any, compute: FakeCompute,
    error: Exception, status: int, code: str, wrong: bool,
) -> None:  # fmt: skip
    compute.error = error
    call(http)
    span = exporter.get_finished_spans()[-1]
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == code
    assert (span.status.status_code.name == "ERROR") is wrong
    assert "secret" not in span.to_json()


def test_the_end_of_the_application_sends_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip(EXPORTER)
    sent: list[Any] = []
    monkeypatch.setattr(
        module.OTLPSpanExporter, "export", lambda self, spans: sent.extend(spans) or _success()
    )
    settings = Settings(otlp_endpoint="http://127.0.0.1:9/")
    with serving(create_app(LocalStore(tmp_path), FakeCompute(), settings)) as client:
        assert client.app.state.service.teller.traces is not None
        client.get("/healthz")
    assert [span.name for span in sent] == ["GET /healthz"]
    assert sent[0].resource.attributes["service.name"] == "portgrad"


def _success() -> Any:
    from opentelemetry.sdk.trace.export import SpanExportResult

    return SpanExportResult.SUCCESS
