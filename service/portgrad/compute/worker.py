"""A worker: a process that takes one job after the other, and can be told to end the one it does.

Two sockets lead to it. On the first come jobs and go answers (`frames`). On the second come words
about the job that is being done (`words`). A thread of its own listens to these, as the other one
is at work.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from portgrad.compute import arriving, faults, frames
from portgrad.compute.config import WorkerConfig
from portgrad.compute.words import DEADLINE, OPENING, RUNNING, STAGE, STOP, WORD
from portgrad.compute.workshop import Workshop
from portgrad.engine import waiting
from portgrad.engine.stopping import Stop
from portgrad.errors import LimitExceeded, PortgradError, out_of_memory

log = logging.getLogger("portgrad.worker")

# How jobs end that may have taken all the memory that there was.
_GREEDY = {"out_of_memory", "deadline_exceeded"}
_FAILED = PortgradError("The service failed on this request.")

# A worker that has had nothing to do for so long gives back the memory that no net holds; one that
# always has something to do soon, whenever the last time was so long ago.
_IDLE_SECONDS, _BUSY_SECONDS = 1.0, 10.0
_TIME = struct.Struct("@ll")  # a timeval


def serve(
    jobs: socket.socket, words: socket.socket, config: WorkerConfig, lacking: Sequence[str]
) -> NoReturn:
    """Do jobs until the other side hangs up. What the confinement lacks is told first."""
    waiting.asleep()  # other workers want the cores
    watch = _Watch(words)
    workshop = Workshop(config)
    _send(jobs, 0, {"done": None, "kept": workshop.kept(), "lacking": lacking})
    reader = arriving.Reader(make_room=workshop.clear)
    rest = _Rest(jobs, workshop)
    while (received := rest.until(reader)) is not None:
        while received:  # nothing of a job is held while the next one is waited for
            _do(jobs, workshop, received.pop(0), watch)
    os._exit(0)


def _do(jobs: socket.socket, workshop: Workshop, frame: arriving.Received, watch: _Watch) -> None:
    answer = _done(workshop, frame, watch)
    greedy = answer.get("fault", {}).get("code") in _GREEDY
    if greedy:
        # Before the answer: what it took would be missing to the next job, which would wait for it
        # to be given back. Very many small pieces take seconds; then its deadline ends this.
        workshop.rest()
    worn = greedy and workshop.worn()
    _send(jobs, frame.number, {**answer, "kept": workshop.kept(), "worn": worn})


def _done(workshop: Workshop, frame: arriving.Received, watch: _Watch) -> dict[str, Any]:
    try:
        _check_read(frame)
        with watch.working(frame.number):
            return {"done": workshop.do(frame.message, frame.files, watch.tell_deadline)}
    except PortgradError as error:
        return {"fault": faults.plain(error)}
    except MemoryError:
        workshop.clear()
        return {"fault": faults.plain(out_of_memory())}
    except OSError as error:
        log.exception("A job failed on a disk.")
        return {"fault": faults.plain(error)}
    except Exception:
        log.exception("A job failed.")
        return {"fault": faults.plain(_FAILED)}
    finally:
        for descriptor in frame.files:
            os.close(descriptor)


def _check_read(frame: arriving.Received) -> None:
    if frame.unread:
        raise MemoryError


def _send(jobs: socket.socket, number: int, answer: dict[str, Any]) -> None:
    frame = _packed(answer)
    frame.send(jobs, number)
    frame.release()


def _packed(answer: dict[str, Any]) -> frames.Frame:
    try:
        return frames.pack(answer, most=frames.MOST_ANSWER)
    except (OSError, MemoryError):
        error: PortgradError = out_of_memory()
    except frames.TooLong as long:
        error = _too_much_text(str(long))
    except Exception:
        log.exception("An answer is none.")
        error = _FAILED
    return frames.pack({**answer, "done": None, "fault": faults.plain(error)})


def _too_much_text(found: str) -> LimitExceeded:
    return LimitExceeded(
        "The answer has too much text.",
        code="answer_too_large",
        expected=f"at most {frames.MOST_ANSWER} bytes of names, sentences and strings",
        found=found,
        remedy="Send fewer examples at once, or ask for fewer outputs.",
    )


class _Rest:
    """Gives memory back between jobs. What the next job may need as well is kept for a while."""

    def __init__(self, jobs: socket.socket, workshop: Workshop) -> None:
        self._jobs, self._workshop = jobs, workshop
        self._last = time.monotonic()
        # The kernel keeps the time: to ask first whether anything came is one more call of it.
        seconds, part = divmod(_IDLE_SECONDS, 1)
        patience = _TIME.pack(int(seconds), int(part * 1e6))
        jobs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)

    def until(self, reader: arriving.Reader) -> list[arriving.Received] | None:
        """What comes next."""
        due = time.monotonic() > self._last + _BUSY_SECONDS
        try:
            return reader.feed(self._jobs, socket.MSG_DONTWAIT if due else 0)
        except BlockingIOError:
            self._workshop.rest()
            self._last = time.monotonic()
        select.select([self._jobs], [], [])
        return reader.feed(self._jobs)


class _Working:
    """A job that is being done, as a context; a generator would take three times as long."""

    def __init__(self, watch: _Watch, number: int) -> None:
        self._watch, self._number = watch, number
        self._running = Stop().running()

    def __enter__(self) -> None:
        self._watch.begin(self._number, self._running.stop)
        self._running.__enter__()

    def __exit__(self, *_: object) -> None:
        self._running.__exit__()
        self._watch.end()


class _Watch:
    """Hears what is said about the job that is being done."""

    def __init__(self, words: socket.socket) -> None:
        self._words = words
        self._lock = threading.Lock()
        self._number = self._stopped = 0
        self._stop: Stop | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def working(self, number: int) -> _Working:
        """What is said about this job reaches what is done meanwhile, on this thread."""
        return _Working(self, number)

    def begin(self, number: int, stop: Stop) -> None:
        """A job is done from now on, which this may end."""
        with self._lock:
            self._number, self._stop = number, stop
            if self._stopped == number:  # the word was quicker than the job
                stop.now()

    def end(self) -> None:
        """No job is done."""
        with self._lock:
            self._stop = None

    def tell_deadline(self, seconds: float) -> None:
        """The job that is being done may take no longer than that."""
        self._words.send(WORD.pack(DEADLINE, self._number, seconds))

    def _listen(self) -> NoReturn:
        # A word is sent in one piece, and these sockets keep pieces whole.
        while heard := self._words.recv(WORD.size):
            word, number, _ = WORD.unpack(heard)
            with self._lock:
                stop = self._stop if number == self._number else None
                self._stopped = number if word == STOP else self._stopped
            if stop is not None and word == STOP:
                stop.now()
            elif stop is not None and word == STAGE:
                stage = RUNNING if stop.stage == "run" else OPENING
                self._words.send(WORD.pack(stage, number, 0.0))
        os._exit(0)  # the HTTP process is gone, and nobody waits for what is being done
