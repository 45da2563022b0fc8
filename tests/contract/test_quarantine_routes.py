"""Operators see which nets are in quarantine, and let them go."""

from __future__ import annotations

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
