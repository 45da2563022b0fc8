"""How log lines look, for this service's loggers and for uvicorn's: text for people, or JSON.

Every line that is logged while a request is served bears that request's id. Each request has one
line of its own, its access line: at `info` in JSON, where machines read it, and at `debug` in text,
where it would drown the rest. Probes and scrapes that went well are at `debug` in either.
"""

from __future__ import annotations

import logging
from typing import Any, TextIO

from portgrad.api.auth.credentials import redacted
from portgrad.api.telling.record import Record, current

ACCESS = logging.getLogger("portgrad.access")
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_TEXT = "%(asctime)s %(levelname)-7s %(called)s: %(message)s"
# uvicorn's name for all it has to say, also where nothing is wrong.
_CALLED = {"uvicorn.error": "uvicorn"}


class Discreet(logging.StreamHandler[TextIO]):
    """Writes to stderr, and hides whatever looks like a key or token, wherever in a line it is.

    None is logged on purpose. But a client may send one in place of a name or of a request's id.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its traceback and its fields."""
        return redacted(super().format(record))


class Traceable(logging.Filter):
    """Adds the ids of the request that is being served, where one is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every line passes."""
        record.called = _CALLED.get(record.name, record.name)
        served = current.get()
        if served is not None and not hasattr(record, "request_id"):
            record.request_id = served.request_id
            if served.trace_id is not None:
                record.trace_id = served.trace_id
        return True


def config(level: str, style: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes, and uvicorn as its `log_config`."""
    wanted = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"traceable": {"()": Traceable}},
        "formatters": {"text": {"format": _TEXT}, "json": _json()},
        "handlers": {
            "stderr": {
                "()": Discreet,
                "formatter": style,
                "filters": ["traceable"],
            }
        },
        "loggers": {"portgrad": wanted, "uvicorn": wanted},
        # Of other libraries, which say much at `info`, only what is wrong.
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def _json() -> dict[str, Any]:
    return {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": ["levelname", "name", "message"],
        "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "traceback"},
        # uvicorn writes its messages a second time, with colours.
        "reserved_attrs": [*_reserved(), "color_message", "called"],
        "timestamp": "time",
    }


def _reserved() -> list[str]:
    """What every record of a line has anyway."""
    return [*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"]


class AccessLog:
    """Writes the access line of each request.

    Args:
        style: `text` or `json`.
    """

    def __init__(self, style: str) -> None:
        self._level = logging.INFO if style == "json" else logging.DEBUG

    def add(self, record: Record, route: str) -> None:
        """One line for a request that has ended."""
        level = logging.DEBUG if route in _PROBES and record.status < 400 else self._level
        if ACCESS.isEnabledFor(level):
            # The path is the client's text: the route's template and the net's id tell enough.
            line = "%s %s %d in %.1f ms, %s"
            told = (record.method, route, record.status, record.total * 1000)
            extra = _fields(record, route)
            ACCESS.log(level, line, *told, record.request_id, extra=extra)


def _fields(record: Record, route: str) -> dict[str, Any]:
    stages = {**record.stages, "total": record.total}
    fields = {
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "route": route,
        "method": record.method,
        "status": record.status,
        "ms": {stage: round(seconds * 1000, 3) for stage, seconds in stages.items()},
        "owner": record.owner,
        "key": record.key,
        "net": record.net_id,
        "client": record.client,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "code": record.code,
    }
    return {name: value for name, value in fields.items() if value is not None}
