"""Settings come from PORTGRAD_* variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from portgrad.errors import PortgradError
from portgrad.settings import Settings, read

READ = [
    ("PORTGRAD_DATA", "/srv/nets", "data", Path("/srv/nets")),
    ("PORTGRAD_HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("PORTGRAD_PORT", "80", "port", 80),
    ("PORTGRAD_THREADS", "3", "threads", 3),
    ("PORTGRAD_DEADLINE", "1.5", "deadline", 1.5),
    ("PORTGRAD_MAX_BODY_BYTES", "10", "max_body_bytes", 10),
    ("PORTGRAD_MAX_UPLOAD_BYTES", "11", "max_upload_bytes", 11),
    ("PORTGRAD_MAX_ANSWER_BYTES", "12", "max_answer_bytes", 12),
    ("PORTGRAD_AUTH", "required", "auth", "required"),
    ("PORTGRAD_OPEN", "true", "open", True),
    ("PORTGRAD_JWT_ISSUER", "https://id.example", "jwt_issuer", "https://id.example"),
    ("PORTGRAD_JWT_AUDIENCE", "portgrad", "jwt_audience", "portgrad"),
    ("PORTGRAD_JWT_JWKS_URL", "https://id.example/k", "jwt_jwks_url", "https://id.example/k"),
    ("PORTGRAD_JWT_OWNER_CLAIM", "email", "jwt_owner_claim", "email"),
    ("PORTGRAD_JWT_SCOPE_CLAIM", "scp", "jwt_scope_claim", "scp"),
    ("PORTGRAD_REQUESTS_PER_MINUTE", "60", "requests_per_minute", 60),
    ("PORTGRAD_MAX_CONCURRENT", "4", "max_concurrent", 4),
    ("PORTGRAD_MAX_NETS_PER_OWNER", "5", "max_nets_per_owner", 5),
    ("PORTGRAD_MAX_BYTES_PER_OWNER", "13", "max_bytes_per_owner", 13),
    ("PORTGRAD_LOG_LEVEL", "debug", "log_level", "debug"),
    ("PORTGRAD_LOG_FORMAT", "json", "log_format", "json"),
    ("PORTGRAD_METRICS_NETS", "0", "metrics_nets", 0),
    ("PORTGRAD_OTLP_ENDPOINT", "http://c:4318", "otlp_endpoint", "http://c:4318"),
    ("PORTGRAD_DRAIN_SECONDS", "2.5", "drain_seconds", 2.5),
    ("PORTGRAD_WORKERS", "3", "workers", 3),
    ("PORTGRAD_SPARE_WORKERS", "0", "spare_workers", 0),
    ("PORTGRAD_WORKER_MEMORY_BYTES", "100000000", "worker_memory_bytes", 100000000),
    ("PORTGRAD_COMPILE_SECONDS", "7.5", "compile_seconds", 7.5),
    ("PORTGRAD_MAX_QUEUED", "9", "max_queued", 9),
    ("PORTGRAD_MAX_BATCH", "8", "max_batch", 8),
    ("PORTGRAD_QUARANTINE_AFTER", "2", "quarantine_after", 2),
    ("PORTGRAD_QUARANTINE_SECONDS", "10", "quarantine_seconds", 10.0),
    ("PORTGRAD_MAX_JSON_BYTES", "13", "max_json_bytes", 13),
    ("PORTGRAD_MAX_JSON_DEPTH", "14", "max_json_depth", 14),
    ("PORTGRAD_MAX_ARRAYS", "15", "max_arrays", 15),
    ("PORTGRAD_MAX_ELEMENTS", "16", "max_elements", 16),
    ("PORTGRAD_MAX_NODES", "17", "max_nodes", 17),
    ("PORTGRAD_MAX_SUBGRAPH_DEPTH", "18", "max_subgraph_depth", 18),
    ("PORTGRAD_MAX_REQUESTS", "19", "max_requests", 19),
    ("PORTGRAD_MAX_HELD_BYTES", "20", "max_held_bytes", 20),
    ("PORTGRAD_MAX_CONNECTIONS", "21", "max_connections", 21),
    ("PORTGRAD_HEADER_SECONDS", "1.25", "header_seconds", 1.25),
    ("PORTGRAD_BODY_SECONDS", "2.25", "body_seconds", 2.25),
    ("PORTGRAD_BODY_BYTES_PER_SECOND", "22", "body_bytes_per_second", 22),
    ("PORTGRAD_MAX_NETS_PER_OWNER", "25", "max_nets_per_owner", 25),
    ("PORTGRAD_MAX_BYTES_PER_OWNER", "26", "max_bytes_per_owner", 26),
]


@pytest.mark.parametrize(("variable", "text", "field", "value"), READ)
def test_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(Settings(), field) == value


def test_the_table_has_every_setting() -> None:
    assert {field for _, _, field, _ in READ} == set(Settings.model_fields)


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.deadline) == ("127.0.0.1", 8000, 60.0)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORTGRAD_PORT", "65536"),
        ("PORTGRAD_THREADS", "0"),
        ("PORTGRAD_DEADLINE", "0"),
        ("PORTGRAD_MAX_BODY_BYTES", "-1"),
        ("PORTGRAD_AUTH", "some"),
        ("PORTGRAD_MAX_NETS_PER_OWNER", "0"),
        ("PORTGRAD_MAX_BYTES_PER_OWNER", "0"),
        ("PORTGRAD_LOG_LEVEL", "loud"),
    ],
)
def test_bad_values(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValidationError):
        Settings()
    with pytest.raises(PortgradError) as caught:
        read()
    error = caught.value
    assert (error.code, error.where, error.found) == ("invalid_settings", variable, text)
    assert error.expected
    assert error.remedy


def test_a_given_setting_that_is_bad_or_unknown() -> None:
    with pytest.raises(PortgradError) as caught:
        read(port=70_000)
    assert (caught.value.where, caught.value.found) == ("PORTGRAD_PORT", "70000")
    with pytest.raises(PortgradError, match="cannot have this value"):
        read(prot=1)
