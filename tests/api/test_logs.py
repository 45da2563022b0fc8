"""Log lines: one for each request, with its id on every other line that it makes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from logging.config import DictConfigurator  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import pytest

from portgrad.api.app import create_app
from portgrad.api.telling import logs
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import Boom, FakeCompute, fake_net
from support.http import AppClient, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Lines(logging.Handler):
    """Keeps lines as they would be written."""

    def __init__(self, style: str) -> None:
        super().__init__(logging.DEBUG)
        configured = DictConfigurator(logs.config("debug", style))
        self.setFormatter(configured.configure_formatter(configured.config["formatters"][style]))
        self.addFilter(logs.Traceable())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def parsed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def style() -> str:
    return "json"


@pytest.fixture
def lines(style: str) -> Iterator[Lines]:
    handler, log = Lines(style), logging.getLogger("portgrad")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def http(tmp_path: Path, compute: FakeCompute, style: str, lines: Lines) -> Iterator[AppClient]:
    settings = Settings(log_format=style)
    with serving(create_app(LocalStore(tmp_path), compute, settings)) as client:
        client.post("/nets?name=echo", content=fake_net())
        lines.lines.clear()
        yield client


def call(http: AppClient, path: str = "/nets/echo/gradient", **headers: str) -> Any:
    return http.post(path, json={"data": [8675309]}, headers=headers)


def test_a_call_has_one_line_with_what_operators_ask_for(http: AppClient, lines: Lines) -> None:
    answer = call(http, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    (line,) = lines.parsed()
    request_id = answer.headers["x-request-id"]
    milliseconds = line.pop("ms")
    assert milliseconds.keys() == {
        "decode", "queue", "compile", "run", "encode", "compute", "total",
    }  # fmt: skip
    assert (milliseconds["queue"], milliseconds["run"]) == (1.0, 2.0)
    assert len(line.pop("net")) == 64
    assert line.pop("time").startswith("20")
    assert line.pop("message").startswith("POST /nets/{net}/gradient 200 in ")
    assert line == {
        "level": "INFO",
        "logger": "portgrad.access",
        "request_id": request_id,
        "trace_id": TRACE,
        "route": "/nets/{net}/gradient",
        "method": "POST",
        "status": 200,
        "owner": "local",
        "client": "127.0.0.1",
        "bytes_in": len(answer.request.content),
        "bytes_out": len(answer.content),
    }
    assert "8675309" not in "".join(lines.lines)


def test_a_problem_has_its_code(http: AppClient, lines: Lines) -> None:
    call(http, "/nets/nobody/gradient")
    (line,) = lines.parsed()
    assert (line["status"], line["code"], "net" in line) == (404, "net_not_found", False)


def test_what_nobody_foresaw_bears_the_id_of_its_request(
    http: AppClient, lines: Lines, compute: FakeCompute
) -> None:
    compute.error = Boom("internals")
    call(http, **{"X-Request-Id": "mine"})
    failed, access = lines.parsed()
    assert (failed["request_id"], access["request_id"]) == ("mine", "mine")
    assert failed["traceback"].rstrip().endswith("Boom: internals")
    assert (access["status"], access["code"]) == (500, "internal_error")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_that_go_well_have_no_line(http: AppClient, lines: Lines, path: str) -> None:
    http.get(path)
    assert [line for line in lines.parsed() if line["logger"] == "portgrad.access"] == []
    http.post(path)
    assert [line["status"] for line in lines.parsed() if "status" in line] == [405]


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", '","status":1', "\ud800"])
def test_no_client_writes_lines_of_its_own(http: AppClient, lines: Lines, text: str) -> None:
    from urllib.parse import quote

    path = f"/nets/{quote(text, errors='surrogatepass')}/gradient"
    call(http, path, traceparent=f"00-{TRACE}-nonsense", **{"X-Request-Id": "sane"})
    (line,) = lines.parsed()
    assert (line["route"], line["status"]) == ("/nets/{net}/gradient", 404)
    assert "trace_id" not in line
    assert "\n" not in lines.lines[0]


@pytest.mark.parametrize("style", ["text"])
def test_text_is_quiet_but_at_debug(http: AppClient, lines: Lines) -> None:
    call(http)
    assert lines.lines == []
    logging.getLogger("portgrad").setLevel(logging.DEBUG)
    answer = call(http)
    told = [line for line in lines.lines if "portgrad.access" in line]
    assert len(told) == 1
    assert "DEBUG   portgrad.access: POST /nets/{net}/gradient 200 in " in told[0]
    assert told[0].endswith(answer.headers["x-request-id"])


def test_the_configuration_is_one_that_logging_takes() -> None:
    for style in ("text", "json"):
        configured = DictConfigurator(logs.config("warning", style))
        handler = configured.configure_handler(configured.config["handlers"]["stderr"])
        assert handler.formatter is not None


@pytest.mark.parametrize(("name", "called"), [("uvicorn.error", "uvicorn"), ("portgrad.x", None)])
def test_text_calls_uvicorn_by_its_name(name: str, called: str | None) -> None:
    handler = Lines("text")
    record = logging.makeLogRecord({"name": name, "levelname": "INFO", "msg": "It runs."})
    handler.handle(record)
    assert handler.lines[0].endswith(f" INFO    {called or name}: It runs.")
