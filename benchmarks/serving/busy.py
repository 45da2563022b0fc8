"""How soon a service answers something small while it computes something large."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

EVERY = 0.02


@dataclass
class Asked:
    """What asking all the while showed.

    Attributes:
        ms: what each answer took.
        seconds: how long the large call took.
    """

    ms: list[float] = field(default_factory=list)
    seconds: float = 0.0


def during(large: Callable[[], Any], url: str, path: str = "/healthz") -> Asked:
    """Ask for a path every so often, over one connection, while a call is under way."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    ask(connection, path)
    found = Asked()

    def run() -> None:
        start = time.perf_counter()
        large()
        found.seconds = time.perf_counter() - start

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        found.ms.append(ask(connection, path))
        time.sleep(EVERY)
    thread.join()
    if not found.seconds:
        raise RuntimeError("the large call failed")
    return found


def ask(connection: http.client.HTTPConnection, path: str) -> float:
    """The milliseconds that an answer took."""
    start = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path} answered {answer.status}")
    return (time.perf_counter() - start) * 1e3
