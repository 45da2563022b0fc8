"""Operators see which nets are in quarantine, and let them go; and how workers' errors go out."""

from __future__ import annotations

import errno

import pytest

from portgrad.errors import Busy, DeadlineExceeded, PortgradError, Quarantined, RunFailed
from support.fake_compute import FakeCompute
from support.http import AppClient


def test_none(http: AppClient) -> None:
    answer = http.get("/quarantine")
    assert (answer.status_code, answer.json()) == (200, {"nets": []})


def test_listed_and_released(http: AppClient, compute: FakeCompute) -> None:
    compute.in_quarantine = {"b" * 64, "a" * 64}
    listed = http.get("/quarantine").json()["nets"]
    assert [one["net"] for one in listed] == ["a" * 64, "b" * 64]
    assert {*listed[0]} == {"net", "owner", "crashes", "seconds"}
    answer = http.delete(f"/quarantine/{'a' * 64}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [one["net"] for one in http.get("/quarantine").json()["nets"]] == ["b" * 64]
    again = http.delete(f"/quarantine/{'a' * 64}")
    assert (again.status_code, again.json()["code"]) == (404, "not_quarantined")


def test_an_id_that_is_none(http: AppClient) -> None:
    answer = http.delete(f"/quarantine/{'x' * 5000}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_quarantined")
    assert len(answer.content) < 1000


ERRORS: list[tuple[Exception, int, str, str | None]] = [
    (Quarantined("No."), 422, "net_quarantined", None),
    (RunFailed("No.", code="worker_crashed"), 422, "worker_crashed", None),
    (RunFailed("No.", code="out_of_memory"), 422, "out_of_memory", None),
    (Busy("No.", code="worker_died"), 503, "worker_died", "1"),
    (Busy("No.", retry_after=2), 503, "busy", "2"),
    (DeadlineExceeded("No."), 504, "deadline_exceeded", None),
    (DeadlineExceeded("No.", code="compile_too_long"), 504, "compile_too_long", None),
    (OSError(errno.EIO, "/secret"), 503, "store_unavailable", None),
    (PortgradError("No."), 500, "internal_error", None),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"), ERRORS, ids=[row[2] for row in ERRORS]
)
def test_errors_of_workers(
    *,
    http: AppClient,
    compute: FakeCompute,
    net: str,
    error: Exception,
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    compute.error = error
    answer = http.post(f"/nets/{net}/gradient", json={"data": {"input": [1.0]}})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("retry-after") == retry_after
    assert "secret" not in answer.text
