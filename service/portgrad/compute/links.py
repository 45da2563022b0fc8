"""The nursery and its workers as the HTTP process sees them: sockets, process ids, ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from portgrad.compute import arriving, frames
from portgrad.compute.config import WorkerConfig
from portgrad.compute.stderr import Listener, listen
from portgrad.compute.words import STOP, WORD

log = logging.getLogger("portgrad.compute")

_PROGRAM = "portgrad.compute.nursery"
_SECONDS_TO_END = 2.0
# As large a frame leaves at once, or what the kernel allows of it: else both sides take turns.
_BUFFER = 4 * 1024 * 1024
# Between a process's last breath and the nursery's telling of its end.
_SECONDS_TO_TELL = 0.5


@dataclass(frozen=True)
class Heard:
    """What a link calls when something comes: a frame, a word, or the end with its status."""

    frame: Callable[[Link, arriving.Received], None]
    word: Callable[[Link, bytes, int, float], None]
    end: Callable[[Link, int], None]


class Link:
    """One worker.

    Attributes:
        name: its place in the pool.
        pid: its process id; 0 until it is known.
        nets: the nets that it holds, the one used last at the end.
        stale: those that it is still to drop.
        broken: whether it sent what is no message, or hung up and lived on.
    """

    def __init__(self, name: int, heard: Heard) -> None:
        self.name = name
        self.pid = 0
        self.nets: OrderedDict[str, None] = OrderedDict()
        self.stale: set[str] = set()
        self.broken = False
        self._heard = heard
        self._reader = arriving.Reader(frames.MOST_ANSWER, files=0)
        self._loop = asyncio.get_running_loop()
        self._jobs, jobs = _pair(socket.SOCK_STREAM)
        for end in (self._jobs, jobs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._words, words = _pair(socket.SOCK_SEQPACKET)
        said, self._stderr = os.pipe()
        self._listener = Listener(f"worker {name}", said)
        self._theirs = (jobs, words)
        self._loop.add_reader(self._jobs, self._on_frames)
        self._loop.add_reader(self._words, self._on_word)
        self._unsent: list[memoryview] = []
        self._closed = self._to_end = False

    def born(self, pid: int) -> None:
        """Its process is there."""
        self.pid = pid
        if self._to_end:
            self.kill()

    def give(self, frame: frames.Frame, number: int) -> None:
        """Send a job, now or as the worker reads it. One that is gone tells so by its end."""
        if self._unsent:
            log.warning("Worker %d answers what it has not read.", self.name)
            self.kill()
            return
        try:
            self._unsent = frame.send(self._jobs, number)
        except OSError:
            self.kill()
        if self._unsent:
            self._loop.add_writer(self._jobs, self._on_room)

    def say(self, word: bytes, number: int) -> None:
        """Send a word about a job."""
        try:
            self._words.send(WORD.pack(word, number, 0.0))
        except OSError:
            self.kill()

    def stop(self, number: int) -> None:
        """Ask it to end a job."""
        self.say(STOP, number)

    def kill(self) -> None:
        """End it. Its end is told as any other."""
        self._to_end = True
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                log.debug("Worker %d was gone already.", self.name)

    def ended(self, status: int) -> None:
        """Its process is gone."""
        self.close()
        self._heard.end(self, status)

    def close(self) -> None:
        """Hang up; a worker that hears that ends by itself."""
        if self._closed:
            return
        self._closed = True
        self._deaf()
        for end in (self._jobs, self._words):
            end.close()
        self.let_go()
        self._reader.close()
        self._listener.close()

    def theirs(self) -> list[int]:
        """The descriptors that its process gets: jobs, words, stderr."""
        return [*(end.fileno() for end in self._theirs), self._stderr]

    def let_go(self) -> None:
        """Close this process's copies of these. May be called again."""
        if self._stderr >= 0:
            os.close(self._stderr)
        self._stderr = -1
        for end in self._theirs:
            end.close()

    def _on_frames(self) -> None:
        try:
            received = self._reader.feed(self._jobs)
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("Worker %d cannot be heard: %s.", self.name, error)
            self._deaf()
            self.kill()
            return
        except frames.Broken as error:
            log.warning("Worker %d sent what is no answer: %s.", self.name, error)
            self._deaf()
            self._give_up()
            return
        if received is None:
            self._hung_up()
            return
        for frame in received:
            self._heard.frame(self, frame)

    def _on_room(self) -> None:
        try:
            self._unsent = frames.send_rest(self._jobs, self._unsent)
        except OSError:
            self._unsent = []
            self.kill()
        if not self._unsent:
            self._loop.remove_writer(self._jobs)

    def _on_word(self) -> None:
        try:
            heard = self._words.recv(WORD.size)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if len(heard) == WORD.size:
            self._heard.word(self, *WORD.unpack(heard))
        else:
            self._hung_up()

    def _hung_up(self) -> None:
        """Its process has ended, as the nursery will tell; one that lives on is at fault."""
        self._deaf()
        self._loop.call_later(_SECONDS_TO_TELL, self._give_up)

    def _give_up(self) -> None:
        """It talks nonsense. The nursery tells of its end."""
        if not self._closed:
            self.broken = True
            self.kill()

    def _deaf(self) -> None:
        self._unsent = []
        self._loop.remove_writer(self._jobs)
        self._loop.remove_reader(self._jobs)
        self._loop.remove_reader(self._words)


class Nursery:
    """The process that forks workers. It is started when a worker is wanted and there is none.

    Args:
        config: how workers work.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._unborn: dict[int, Link] = {}
        self._links: dict[int, Link] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._said: Listener | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, where it lives."""
        return self._process.pid if self._process else None

    def fork(self, link: Link) -> None:
        """Have a process made at the other end of a link."""
        self._unborn[link.name] = link
        try:
            if self._socket is None:
                self._start()
            assert self._socket is not None
            asked = json.dumps({"fork": link.name}).encode()
            socket.send_fds(self._socket, [asked], link.theirs())
        except OSError:
            self._ended()
        link.let_go()

    async def close(self) -> None:
        """Hang up, and see it gone."""
        process, self._process = self._process, None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if process is not None:
            await asyncio.to_thread(_see_gone, process)
        self._hear_no_more()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> None:
        # The runtime looks into the working directory for files that a net names: it stays empty.
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="portgrad-empty-")
        Path(self._folder.name).chmod(0o500)
        self._socket, theirs = _pair(socket.SOCK_SEQPACKET)
        theirs.setblocking(True)
        command = [sys.executable, "-m", _PROGRAM, str(theirs.fileno())]
        self._said, stderr = listen("nursery")
        with theirs, stderr:
            self._process = subprocess.Popen(
                [*command, json.dumps(asdict(self._config))],
                cwd=self._folder.name,
                # Workers have no use for secrets that others left in the environment.
                env={"PYTHONPATH": os.pathsep.join(sys.path), "LANG": "C.UTF-8"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,  # a terminal's Ctrl-C is for the service alone
            )
        asyncio.get_running_loop().add_reader(self._socket, self._on_message)

    def _on_message(self) -> None:
        assert self._socket is not None
        try:
            message = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._ended()
            return
        self._take(json.loads(message))

    def _take(self, told: dict[str, Any]) -> None:
        if "forked" in told:
            link = self._unborn.pop(told["forked"])
            link.born(told["pid"])
            self._links[link.pid] = link
        elif "unborn" in told:
            self._unborn.pop(told["unborn"]).ended(signal.SIGKILL)
        else:
            gone = self._links.pop(told["died"], None)
            if gone is not None:
                gone.ended(told["status"])

    def _ended(self) -> None:
        """The nursery died, and with it all workers."""
        if self._process is not None:
            log.error("The process that makes workers ended; it is started again.")
            _end_all(self._process)
            self._process.wait()
        self._process = None
        self._hear_no_more()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        links = [*self._links.values(), *self._unborn.values()]
        self._links.clear()
        self._unborn.clear()
        for link in links:
            link.ended(signal.SIGKILL)

    def _hear_no_more(self) -> None:
        if self._said is not None:
            self._said.close()
            self._said = None


def _pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    return ours, theirs


def _see_gone(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        _end_all(process)
        process.wait()


def _end_all(nursery: subprocess.Popen[bytes]) -> None:
    """End it and its workers: they are a group, whose name is taken while nobody has waited."""
    os.killpg(nursery.pid, signal.SIGKILL)
