"""uvicorn as it serves an application to strangers."""

from __future__ import annotations

import logging
import resource
from functools import partial
from typing import Any

import uvicorn

from portgrad.api.server.edge import Edge, edge
from portgrad.api.server.protocol import Protocol
from portgrad.api.telling.gauges import Watched
from portgrad.settings import Settings

log = logging.getLogger("portgrad.server")

# What else is open: the store's files, workers, standard streams.
_OTHER_FILES = 512


def config(app: Any, settings: Settings) -> uvicorn.Config:
    """How the application is served. Its requests have log lines of their own."""
    raise_open_files(settings.max_connections)
    bounds = edge(settings)
    watch(app, bounds)
    return bounded(app, settings, bounds)


def bounded(app: Any, settings: Settings, bounds: Edge) -> uvicorn.Config:
    """How any application is served, its connections held to these bounds."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(Protocol, bounds),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,  # uvicorn's tell what requests ask, too
        server_header=False,
    )


def watch(app: Any, bounds: Edge) -> None:
    """Have the application's metrics tell of its connections."""
    told = "Requests that were refused before the application saw them, by code of the problem."
    for watched in (
        Watched("connections", "Connections that are open.", lambda: bounds.open),
        Watched("connections_limit", "How many may be.", lambda: bounds.most),
        Watched("refused", told, lambda: dict(bounds.refused), counted="code"),
    ):
        app.state.service.scrape.watch(watched)


def raise_open_files(connections: int) -> None:
    """Let the process have as many files open as it may, and say so where those are too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < connections + _OTHER_FILES:
        log.warning(
            "PORTGRAD_MAX_CONNECTIONS is %d, but this process may have only %d files open.",
            connections,
            hard,
        )
