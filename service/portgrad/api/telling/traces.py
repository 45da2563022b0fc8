"""OpenTelemetry traces: a span for each request, in the caller's trace, with a span for each stage.

OpenTelemetry is an extra, `pip install 'portgrad[otel]'`, and is imported only where traces are
wanted. Spans have what the access line has, and nothing of bodies or secrets.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from portgrad.api.telling.metrics import STAGES
from portgrad.api.telling.record import Record
from portgrad.errors import PortgradError

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class Traces:
    """Makes spans of records.

    Args:
        provider: a TracerProvider of OpenTelemetry's SDK, which this shuts down when it is closed.
    """

    def __init__(self, provider: Any) -> None:
        # Imported here, as everything of OpenTelemetry: it may not be installed.
        self._trace = import_module("opentelemetry.trace")
        context = import_module("opentelemetry.trace.propagation.tracecontext")
        self._carried = context.TraceContextTextMapPropagator()
        self._provider = provider
        self._tracer = provider.get_tracer("portgrad")

    def begin(self, record: Record) -> Span:
        """The span of a request that has come; the record gets its trace."""
        span: Span = self._tracer.start_span(
            record.method,
            context=self._carried.extract(record.carrier),
            kind=self._trace.SpanKind.SERVER,
            start_time=_wall(record.begun),
        )
        record.trace_id = f"{span.get_span_context().trace_id:032x}"
        return span

    def end(self, span: Span, record: Record, route: str) -> None:
        """The request has ended."""
        if span.is_recording():
            span.update_name(f"{record.method} {route}")
            span.set_attributes(_attributes(record, route))
            if record.status >= 500 or record.left:
                status = self._trace.Status(self._trace.StatusCode.ERROR, record.code)
                span.set_status(status)
            self._stages(span, record)
        span.end(_wall(record.begun + record.total))

    def close(self) -> None:
        """Send what was not sent yet. Blocks for seconds where the receiver does not answer."""
        self._provider.shutdown()

    def _stages(self, parent: Span, record: Record) -> None:
        context = self._trace.set_span_in_context(parent)
        following = record.begun
        for stage in STAGES:
            if stage in record.stages:
                # The stages of a worker are told as durations: they come one after the other.
                start = record.starts.get(stage, max(following, record.starts.get("compute", 0.0)))
                following = start + record.stages[stage]
                began = _wall(start)
                span = self._tracer.start_span(stage, context=context, start_time=began)
                span.end(began + int(record.stages[stage] * 1e9))


def exporting(endpoint: str) -> Traces:
    """Traces that go to an OTLP receiver over HTTP.

    Args:
        endpoint: its address, such as `http://collector:4318`; `/v1/traces` is added.

    Raises:
        PortgradError: `otel_not_installed`.
    """
    try:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        resources = import_module("opentelemetry.sdk.resources")
        sdk = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
    except ModuleNotFoundError as error:
        raise PortgradError(
            "PORTGRAD_OTLP_ENDPOINT is set, but OpenTelemetry is not installed.",
            code="otel_not_installed",
            where="PORTGRAD_OTLP_ENDPOINT",
            remedy="Install it with pip install 'portgrad[otel]', or leave the setting out.",
        ) from error
    resource = resources.Resource.create()
    if resource.attributes["service.name"].startswith("unknown"):  # no OTEL_SERVICE_NAME is set
        resource = resource.merge(resources.Resource({"service.name": "portgrad"}))
    provider = sdk.TracerProvider(resource=resource)
    sender = exporter.OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(export.BatchSpanProcessor(sender))
    return Traces(provider)


def _wall(instant: float) -> int:
    """Nanoseconds since 1970 of an instant of `time.perf_counter`."""
    return time.time_ns() - int((time.perf_counter() - instant) * 1e9)


def _attributes(record: Record, route: str) -> dict[str, str | int]:
    """By the names of OpenTelemetry's conventions where they have one."""
    told: dict[str, str | int | None] = {
        "http.request.method": record.method,
        "http.route": route,
        "http.response.status_code": record.status,
        "http.request.body.size": record.bytes_in,
        "http.response.body.size": record.bytes_out,
        "client.address": record.client or None,
        "error.type": record.code,
        "portgrad.request_id": record.request_id,
        "portgrad.net": record.net_id,
        "portgrad.owner": record.owner,
    }
    return {name: value for name, value in told.items() if value is not None}
