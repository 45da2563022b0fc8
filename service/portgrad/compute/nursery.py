"""The process that makes workers: it imports the engine once, and forks.

A fork takes some milliseconds where a new interpreter with the engine takes a second or more, and
workers share the memory of what was imported. It runs nothing else, so that it stays fit to fork.

    asked      {"fork": name}, with the descriptors of the worker's two sockets and its stderr
    tells      {"forked": name, "pid": …}, or {"unborn": name} where the system does not fork;
               {"died": pid, "status": …}, as `os.waitpid` has it

Run as `python -m portgrad.compute.nursery DESCRIPTOR CONFIG`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from portgrad.compute import worker
from portgrad.compute.config import WorkerConfig
from portgrad.compute.confine import confine

log = logging.getLogger("portgrad.worker")

_MESSAGE = 4096
_PR_SET_PDEATHSIG = 1


def main(descriptor: int, config: WorkerConfig) -> None:
    """Fork workers until the HTTP process hangs up."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    parent = socket.socket(fileno=descriptor)
    wake, waking = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()  # so that collections in workers do not copy the pages that they share
    while True:
        ready, _, _ = select.select([parent, wake], [], [])
        if wake in ready:
            wake.recv(_MESSAGE)
            _reap(parent)
        if parent in ready:
            asked, descriptors, _, _ = socket.recv_fds(parent, _MESSAGE, 3)
            if not asked:
                return
            _fork(parent, json.loads(asked)["fork"], descriptors, config)


def _fork(parent: socket.socket, name: str, descriptors: list[int], config: WorkerConfig) -> None:
    here = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        log.warning("No process can be made: %s.", error)
        pid = -1
    if pid == 0:
        _be(here, descriptors, config)
    for descriptor in descriptors:
        os.close(descriptor)
    _tell(parent, {"unborn": name} if pid < 0 else {"forked": name, "pid": pid})


def _be(nursery: int, descriptors: list[int], config: WorkerConfig) -> NoReturn:
    """Be a worker, in a process that was forked for it."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        *sockets, stderr = descriptors
        for usual in (1, 2):
            os.dup2(stderr, usual)
        _close_all_but({0, 1, 2, *sockets})
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != nursery:  # it died before that
            os._exit(0)
        confined = confine([Path(folder) for folder in config.readable], config.memory_bytes)
        jobs, words = (socket.socket(fileno=descriptor) for descriptor in sockets)
        worker.serve(jobs, words, config, confined.lacking)
    except ConnectionError:  # the HTTP process is gone
        os._exit(0)
    except BaseException:
        log.exception("A worker failed.")
        os._exit(1)


def _close_all_but(kept: set[int]) -> None:
    """What is open when a worker begins stays usable to it, whatever it may not open."""
    for descriptor in {int(path.name) for path in Path("/proc/self/fd").iterdir()} - kept:
        with contextlib.suppress(OSError):  # that of the listing itself
            os.close(descriptor)


def _reap(parent: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _tell(parent, {"died": pid, "status": status})


def _tell(parent: socket.socket, what: dict[str, Any]) -> None:
    try:
        parent.send(json.dumps(what).encode())
    except OSError:
        end()


def end() -> NoReturn:
    """End with all workers, who are this process's group; also those that nothing else ends."""
    os.killpg(os.getpid(), signal.SIGKILL)
    raise SystemExit


if __name__ == "__main__":
    main(int(sys.argv[1]), WorkerConfig(**json.loads(sys.argv[2])))
    end()
