"""The nets and sessions of one worker, and what it does with them, one job after the other."""

from __future__ import annotations

import logging
import mmap
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from portgrad.autodiff.catalogue import catalogue
from portgrad.codecs import formats
from portgrad.codecs.model import Answer, Known
from portgrad.compute import messages, reading
from portgrad.compute.calls import CALLS, together
from portgrad.compute.config import WorkerConfig
from portgrad.compute.jobs import Job
from portgrad.engine import Net, arena, load
from portgrad.engine.cache import Cache
from portgrad.engine.limits import Limits
from portgrad.errors import OUT_OF_MEMORY, InvalidRequest, LimitExceeded, NotFound, PortgradError

log = logging.getLogger("portgrad.worker")


class Workshop:
    """Does jobs in this process, and keeps nets and sessions for the next ones."""

    def __init__(self, config: WorkerConfig) -> None:
        self._threads = config.threads or len(os.sched_getaffinity(0))
        self._memory = config.memory_bytes
        self._limits = Limits(**config.limits)  # type: ignore[arg-type]
        self._nets: Cache[str, Net] = Cache(config.nets)
        self._sessions: Cache[tuple[Any, ...], Any] = Cache(config.sessions)
        self._ways: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "call": self._call,
            "group": self._group,
            "series": self._series,
            "inspect": self._inspect,
            "operators": _operators,
            "forget": self._forget,
        }

    def do(
        self,
        job: Mapping[str, Any],
        files: Sequence[int] = (),
        tell_deadline: Callable[[float], None] = lambda _: None,
    ) -> Any:
        """What a job finds, as plain data and arrays: see `messages`.

        Args:
            job: what is asked.
            files: descriptors of the files that it is to write.
            tell_deadline: called with how long it may take, where nobody knows before it is read.

        Raises:
            PortgradError: what the job is refused for.
        """
        for make_room in (self._halve, self.clear):
            try:
                return self._done(job, files, tell_deadline)
            except (MemoryError, PortgradError) as error:
                short = isinstance(error, MemoryError) or error.code == OUT_OF_MEMORY
                if not short or max(len(self._nets), len(self._sessions)) <= 1:
                    raise
            make_room()  # no job is refused for what is kept for others
        return self._done(job, files, tell_deadline)

    def _done(
        self, job: Mapping[str, Any], files: Sequence[int], tell_deadline: Callable[[float], None]
    ) -> Any:
        if job["do"] == "export":
            return self._export(job, files)
        if job["do"] == "read":
            return self._read(job, tell_deadline)
        return self._ways[job["do"]](job)

    def _halve(self) -> None:
        """Let go of what was not asked for lately."""
        self._nets.halve()
        self._sessions.halve()
        arena.give_back()

    def clear(self) -> None:
        """Let go of all that is kept, where memory is short."""
        self._nets.drop(lambda _: True)
        self._sessions.drop(lambda _: True)
        arena.give_back()

    def rest(self) -> None:
        """Return memory that was needed for jobs and is not for what is kept."""
        try:
            arena.give_back()
        except Exception:  # it takes a little memory itself, the first time
            log.warning("Memory could not be given back.", exc_info=True)

    def worn(self) -> bool:
        """Whether less than half of this process's memory is left, so that it had better end.

        What small pieces lie on, of nets that are kept or of libraries, is not returned, and to the
        limit of a process it counts as taken: others' jobs would find no memory.
        """
        if self._memory is None:
            return False
        try:
            mmap.mmap(-1, self._memory // 2, mmap.MAP_PRIVATE, mmap.PROT_READ).close()
        except (OSError, MemoryError):
            return True
        return False

    def kept(self) -> dict[str, int]:
        """How many nets and sessions are kept, and how often a session was at hand."""
        return {
            "nets": len(self._nets),
            "sessions": len(self._sessions),
            "session_hits": self._sessions.hits,
            "session_misses": self._sessions.misses,
        }

    def _call(self, plain: Mapping[str, Any]) -> Any:
        job = messages.job_of(plain)
        with _Clock() as opening:
            net = self._net(plain)
        return _told(job, CALLS[job.kind](net, job), {"compile": opening.seconds})

    def _read(self, plain: Mapping[str, Any], tell_deadline: Callable[[float], None]) -> Any:
        """A call whose body is read here. What needs no net is read before that is opened."""
        unread = messages.unread_of(plain)
        known, opening, net = Known(), _Clock(), None
        if formats.CODECS[unread.media_type].flat:
            with opening:
                net = self._net(plain)
            known = _known(net)
        with _Clock() as decoding:
            job = reading.read(unread, known)
        if job.seconds is not None:
            tell_deadline(job.seconds)
        with opening:
            net = net or self._net(plain)
        spent = {"compile": opening.seconds, "decode": decoding.seconds}
        return _told(job, CALLS[job.kind](net, job), spent)

    def _group(self, plain: Mapping[str, Any]) -> Any:
        with _Clock() as opening:
            net = self._net(plain["calls"][0])
        compiled = {"compile": opening.seconds}
        read = [_read_for(net, one) for one in plain["calls"]]
        jobs = [job for job, _ in read if job is not None]
        found = together(net, jobs) if jobs else []
        left = iter(found or [None] * len(jobs))
        answers: list[Any] = []
        for job, spent in read:
            answer = None if job is None else next(left)
            if job is None or answer is None:
                answers.append(None)
            else:
                answers.append(_told(job, answer, spent | compiled))
        return {"answers": answers, "joined": found is not None}

    def _series(self, plain: Mapping[str, Any]) -> Any:
        """Calls one after the other. What one is refused for, it is told where it comes alone."""
        return {"answers": [self._in_turn(one) for one in plain["calls"]], "joined": True}

    def _in_turn(self, plain: Mapping[str, Any]) -> Any:
        try:
            return self._read(plain, _alone)
        except PortgradError as error:
            if error.code == OUT_OF_MEMORY:
                raise
            return None

    def _inspect(self, plain: Mapping[str, Any]) -> Any:
        net = self._load(plain)
        net.check()
        if plain["batchable"]:
            net.check_batchable()
        self._nets.get(net.id, lambda: net)
        return net.description.plain()

    def _export(self, plain: Mapping[str, Any], files: Sequence[int]) -> Any:
        file = self._net(plain).export_gradient(**plain["options"])
        for descriptor in files:
            if os.lseek(descriptor, 0, os.SEEK_END):  # another worker died while it wrote
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
        with ExitStack() as stack:
            graph, *more = [stack.enter_context(os.fdopen(fd, "wb", closefd=False)) for fd in files]
            return file.stream(graph, *more, location=plain["external"])

    def _forget(self, plain: Mapping[str, Any]) -> None:
        gone = set(plain["net_ids"])
        self._nets.drop(lambda key: key in gone)
        self._sessions.drop(lambda key: key[0] in gone)

    def _net(self, plain: Mapping[str, Any]) -> Net:
        return self._nets.get(plain["net_id"], lambda: self._load(plain))

    def _load(self, plain: Mapping[str, Any]) -> Net:
        try:
            return load(
                messages.files_of(plain),
                sessions=self._sessions,
                threads=self._threads,
                limits=self._limits,
            )
        except FileNotFoundError as error:
            raise _removed(plain["net_id"]) from error


class _Clock:
    """Counts the seconds of its blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> _Clock:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start


def _told(job: Job, answer: Answer, spent: Mapping[str, float]) -> Any:
    """What a call found, for which so many seconds were spent before."""
    with _Clock() as encoding:
        body = reading.write(job, answer)
    compiled = spent["compile"] + answer.timings.get("compile", 0.0)
    timings = {**answer.timings, **spent, "compile": compiled}
    if body is not None:
        return messages.ready(body, {**timings, "encode": encoding.seconds})
    wanted = job.answer_in.encoding if job.answer_in else "lists"
    return messages.answered(replace(answer, timings=timings, encoding=wanted))


def _read_for(net: Net, plain: Mapping[str, Any]) -> tuple[Job | None, dict[str, float]]:
    """A call of a group, with the seconds that it took to read here; None for one to be refused."""
    if plain["do"] == "call":
        return messages.job_of(plain), {}
    with _Clock() as decoding:
        try:
            job = reading.read(messages.unread_of(plain), _known(net))
        except (InvalidRequest, LimitExceeded):
            return None, {}  # it is told why where it comes alone
    return job, {"decode": decoding.seconds}


def _known(net: Net) -> Known:
    return Known(net.names.inputs, net.names.outputs, net.names.parameters)


def _alone(_: float) -> None:
    """A deadline is kept where a call comes alone."""
    raise PortgradError("It has a deadline of its own.")


def _operators(_: Mapping[str, Any]) -> list[Any]:
    return [operator.plain() for operator in catalogue()]


def _removed(net_id: str) -> NotFound:
    return NotFound(
        f"The net {net_id} was removed before this call could open it.",
        code="net_not_found",
        where=net_id,
        expected="a net that stays until its calls are answered",
        remedy="Upload the net again.",
    )
