"""A service as a process of its own: started, asked, killed; its children, memory and files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from torture.memory import Usage, usage

# A service that does not hold its nets back shall fail its proof, not take the machine with it.
HIGHEST = 6 * 2**30
SERVE = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({HIGHEST}, resource.RLIM_INFINITY))
from portgrad.main import main
main()
"""


class Service:
    """`portgrad serve` on a port of loopback.

    Args:
        folder: where its data and its log go.
        settings: `PORTGRAD_*` variables without their prefix, in lower case.
        sources: a folder of other sources to run, in place of those of this process.
    """

    def __init__(self, folder: Path, sources: Path | None = None, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data, self.log = folder / "data", folder / "service.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**_plain(os.environ), **_variables(settings)}
        if sources is not None:
            paths = (sources / "service", sources / "clients/python/src")
            self._environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60) -> None:
        """Start it and wait until it is ready."""
        arguments = ["serve", "--port", str(self.port), "--data", str(self.data)]
        command = [sys.executable, "-c", SERVE, *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + seconds
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the service did not start: {self.told()[-2000:]}")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Whether it says that it is."""
        try:
            return httpx.get(self.url + "/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """`kill -9` of every process of it at once."""
        assert self._process is not None
        for process in self.processes():
            _quietly(process.kill)
        self._process.wait(10)

    def stop(self) -> int:
        """Ask it to stop, as an operator does; how it ended."""
        if self._process is None:
            return 0
        children = self.children() if self.alive else []
        _quietly(self._process.terminate)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(10)
        finally:
            for child in psutil.wait_procs(children, 3)[1]:
                _quietly(child.kill)

    @property
    def alive(self) -> bool:
        """Whether the HTTP process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """That of the HTTP process."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """The nursery and the workers."""
        return psutil.Process(self.pid).children(recursive=True)

    def processes(self) -> list[psutil.Process]:
        """The HTTP process and its children."""
        try:
            return [psutil.Process(self.pid), *self.children()]
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        """Workers are the nursery's children, which is the HTTP process's."""
        nurseries = psutil.Process(self.pid).children()
        return [worker for nursery in nurseries for worker in _children(nursery)]

    def usage(self) -> Usage:
        """Memory and open files now."""
        return usage(self.pid, [child.pid for child in self.children()])

    def told(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Service]:
    """A service that runs."""
    service = Service(folder, **settings)
    try:
        service.start()
        yield service
    finally:
        service.stop()


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _variables(settings: Mapping[str, Any]) -> dict[str, str]:
    return {f"PORTGRAD_{name.upper()}": str(value) for name, value in settings.items()}


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the settings of whoever runs the torture."""
    return {key: text for key, text in environment.items() if not key.startswith("PORTGRAD_")}


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children())
    except psutil.NoSuchProcess:
        return []


def _quietly(kill: Any) -> None:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        kill()
