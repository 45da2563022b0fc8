"""Real processes: replicas of the service on one data folder, and HAProxy before them.

The balancer runs the configuration of deploy/, with its addresses set by the environment. Nothing
listens on a port that was free a moment ago: replicas choose their own, HAProxy inherits a socket.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
REPLICAS = ("replica-1", "replica-2")
# Seconds. Nobody waits this long unless the machine is very busy or something is wrong.
PATIENCE = 120.0


@dataclass(frozen=True)
class Replica:
    """A running `portgrad serve`, on a port of its own choice."""

    process: subprocess.Popen[bytes]
    port: int

    def ready(self) -> bool:
        """Whether it says that it takes calls."""
        return httpx.get(f"http://127.0.0.1:{self.port}/readyz").is_success

    def end(self, how: signal.Signals) -> int:
        """Send the signal and wait; the exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@dataclass(frozen=True)
class Balanced:
    """A running HAProxy, and what it balances."""

    url: str
    replicas: dict[str, Replica]
    admin: Path

    def up(self) -> set[str]:
        """The replicas that pass their checks."""
        return {row["svname"] for row in self._rows() if row["status"].startswith("UP")}

    def answered(self) -> Counter[str]:
        """How many requests each replica has answered with success. Checks are not counted."""
        return Counter({row["svname"]: int(row["hrsp_2xx"]) for row in self._rows()})

    def _rows(self) -> list[dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.admin))
            admin.sendall(b"show stat\n")
            told = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        rows = csv.DictReader(told.removeprefix("# ").splitlines())
        return [row for row in rows if row["svname"] in REPLICAS]


@contextmanager
def balanced(folder: Path, **more: str) -> Iterator[Balanced]:
    """Two replicas on one data folder behind HAProxy, all ready; with more settings if any."""
    with replicas(folder, REPLICAS, **more) as running, _haproxy(folder, running) as url:
        cluster = Balanced(url, running, folder / "admin")
        wait_until(lambda: cluster.up() == set(REPLICAS), "HAProxy sees both replicas")
        yield cluster


@contextmanager
def replicas(folder: Path, names: Sequence[str], **more: str) -> Iterator[dict[str, Replica]]:
    """Replicas on one data folder, with more settings if any. They start side by side."""
    with ExitStack() as stack:
        command = [Path(sys.executable).with_name("portgrad"), "serve", "--port", "0"]
        settings = {"PORTGRAD_DATA": str(folder / "data"), "PORTGRAD_THREADS": "1", **more}
        started = {
            name: stack.enter_context(_process(command, settings, folder / f"{name}.log"))
            for name in names
        }
        running = {
            name: Replica(process, _port(process, folder / f"{name}.log"))
            for name, process in started.items()
        }
        for replica in running.values():
            # A replica listens before its workers are there; HAProxy believes in it until a check.
            wait_until(replica.ready, "a replica is ready")
        yield running


@contextmanager
def _haproxy(folder: Path, running: dict[str, Replica]) -> Iterator[str]:
    assert HAPROXY is not None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor, port = listening.fileno(), listening.getsockname()[1]
        settings = {
            "BIND": f"fd@{descriptor}",
            "STATS_SOCKET": str(folder / "admin"),
            "REPLICA_1": f"127.0.0.1:{running['replica-1'].port}",
            "REPLICA_2": f"127.0.0.1:{running['replica-2'].port}",
        }
        command = [HAPROXY, "-db", "-f", CONFIG]
        with _process(command, settings, folder / "haproxy.log", descriptor) as process:
            admin = folder / "admin"
            wait_until(lambda: admin.exists() or _ended(process), "HAProxy starts")
            assert not _ended(process), (folder / "haproxy.log").read_text()
            yield f"http://127.0.0.1:{port}"


@contextmanager
def _process(
    command: Sequence[str | Path], settings: dict[str, str], log: Path, *descriptors: int
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    def listening() -> re.Match[str] | None:
        return re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())

    wait_until(lambda: listening() or _ended(process), "a replica starts")
    found = listening()
    assert found, log.read_text()
    return int(found[1])


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for what is bound to come."""
    last = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < last, f"Waited {PATIENCE} s in vain until {what}."
        time.sleep(0.02)
