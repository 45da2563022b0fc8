"""Servers as processes of their own: started on a free port, asked what they use, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parents[2]
SERVE = "from portgrad.main import main; main()"


class Program:
    """A server that runs.

    Attributes:
        url: its address.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self._process = process

    @property
    def pid(self) -> int:
        """That of the process that answers requests."""
        return self._process.pid

    def others(self) -> list[int]:
        """The ids of its children and theirs."""
        return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]

    def cpu(self) -> tuple[float, float]:
        """Seconds of the processor so far: of the process that answers, and of all others."""
        return _seconds(self.pid), sum(map(_seconds, self.others()))

    def stop(self) -> None:
        """Ask it to stop, and see that it does."""
        children = psutil.Process(self.pid).children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        for child in psutil.wait_procs(children, 3)[1]:
            child.kill()


@contextmanager
def running(
    arguments: Sequence[str],
    folder: Path,
    port: int,
    ready: str,
    *,
    environment: Mapping[str, str] | None = None,
    python: Path | None = None,
) -> Iterator[Program]:
    """A Python program that listens on a port of loopback, once it answers at the path `ready`.

    Args:
        arguments: of the interpreter.
        folder: where it runs and has its log.
        port: where it listens.
        ready: the path.
        environment: variables.
        python: another interpreter than this one, which has packages of its own.

    Raises:
        RuntimeError: it does not; with the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(python or sys.executable), *arguments],
            cwd=folder,
            env={**_plain(os.environ, [] if python else sys.path), **(environment or {})},
            stdout=out,
            stderr=out,
        )
    program = Program(f"http://127.0.0.1:{port}", process)
    try:
        _await(program.url + ready, process, log)
        yield program
    finally:
        if process.poll() is None:
            program.stop()


@contextmanager
def portgrad(folder: Path, **settings: Any) -> Iterator[Program]:
    """The service over a data folder of its own, with default settings but for those given."""
    port = free_port()
    told = {f"PORTGRAD_{name.upper()}": str(value) for name, value in settings.items()}
    arguments = ["-c", SERVE, "serve", "--port", str(port), "--data", str(folder / "data")]
    with running(arguments, folder, port, "/readyz", environment=told) as program:
        yield program


@contextmanager
def echo(folder: Path, framework: bool = False) -> Iterator[Program]:
    """The echo, which `benchmarks.serving.echo` describes."""
    port = free_port()
    arguments = ["-m", "benchmarks.serving.echo", "--port", str(port)]
    with running(arguments + ["--framework"] * framework, folder, port, "/") as program:
        yield program


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(url, timeout=5).status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"it did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _plain(environment: Mapping[str, str], paths: Sequence[str]) -> dict[str, str]:
    """Without the settings of whoever measures; with the benchmarks and these paths to import."""
    plain = {key: text for key, text in environment.items() if not key.startswith("PORTGRAD_")}
    return {**plain, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, paths)])}


def _seconds(pid: int) -> float:
    try:
        spent = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system)
