"""A Compute whose jobs are done by worker processes, which it keeps alive, feeds and ends."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from portgrad.compute import ends, faults, frames, messages
from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.crew import Crew
from portgrad.compute.jobs import Answer, Description, Export, Inspection, Job
from portgrad.compute.line import Line, Ticket
from portgrad.compute.links import Link
from portgrad.compute.memory import killed_for_memory
from portgrad.compute.quarantine import Quarantine
from portgrad.compute.stats import PoolStats
from portgrad.compute.words import RUNNING, STAGE
from portgrad.errors import PortgradError

# A run that is stopped ends within some milliseconds, unless one node of it takes longer.
_GRACE = 0.2
# Nobody waits for a job whose client is gone: its worker's caches are worth some patience.
_PATIENCE = 2.0
_DEADLINE = "deadline"  # why a worker ended that was killed for its job's lateness
# A message of more bytes is packed off the event loop.
_LARGE = 256 * 1024


class WorkerCompute:
    """Nets in worker processes.

    Args:
        worker: how workers work.
        pool: how they are kept.
    """

    def __init__(self, worker: WorkerConfig | None = None, pool: PoolConfig | None = None) -> None:
        self._worker = worker = worker or WorkerConfig()
        self._config = pool = pool or PoolConfig()
        self._line = Line()
        self._quarantine = Quarantine(pool.quarantine_after, pool.quarantine_seconds)
        self._crew = Crew(worker, pool, self)
        self._numbers = itertools.count(1)
        self._counts: Counter[str] = Counter()
        self._deaths = Counter(dict.fromkeys((*ends.REASONS, _DEADLINE), 0))
        self._operators: list[Description] | None = None
        self._memory_kills = killed_for_memory()

    async def start(self) -> None:
        """See `Compute`."""
        self._crew.start()

    async def inspect(self, job: Inspection) -> Description:
        """See `Compute`."""
        seconds = self._config.compile_seconds
        done, _ = await self._ask("inspect", messages.inspection(job), job, seconds)
        return dict(done)

    async def call(self, job: Job) -> Answer:
        """See `Compute`."""
        seconds = min(job.seconds or self._config.deadline, self._config.deadline)
        done, ticket = await self._ask(job.kind, messages.call(job), job, seconds)
        return messages.answer_of(done, queue=ticket.given - ticket.asked)

    async def export(self, job: Export, path: Path) -> list[Path]:
        """See `Compute`."""
        paths = [path, *([path.with_name(job.external)] if job.external else [])]
        with ExitStack() as stack:
            files = tuple(stack.enter_context(one.open("wb")).fileno() for one in paths)
            asked = messages.export(job)
            two, _ = await self._ask("export", asked, job, self._config.deadline, files)
        return paths if two is True else paths[:1]

    async def operators(self) -> list[Description]:
        """See `Compute`."""
        if self._operators is None:
            asked = {"do": "operators"}
            self._operators, _ = await self._ask("operators", asked, None, self._config.deadline)
        return list(self._operators)

    async def forget(self, net_id: str) -> None:
        """See `Compute`."""
        self._crew.forget(net_id)

    def quarantined(self) -> list[Description]:
        """See `Compute`."""
        return self._quarantine.listed()

    def release(self, net_id: str) -> bool:
        """See `Compute`."""
        return self._quarantine.release(net_id)

    async def close(self) -> None:
        """See `Compute`."""
        while self._crew.busy or len(self._line):
            await asyncio.sleep(0.01)
        await self._crew.close()

    def stats(self) -> PoolStats:
        """See `Compute`."""
        return PoolStats(
            workers=self._crew.stats(),
            wanted=self._config.wanted,
            queued=len(self._line),
            max_queued=self._config.max_queued,
            quarantined=len(self._quarantine.listed()),
            worker_memory_bytes=self._worker.memory_bytes,
            others=self._crew.others(),
            started=self._crew.started,
            deaths=dict(self._deaths),
            stopped=self._counts["stopped"],
            killed=self._counts["killed"],
            retries=self._counts["retries"],
            net_hits=self._counts["net_hits"],
            net_misses=self._counts["net_misses"],
            session_hits=self._crew.counted["session_hits"],
            session_misses=self._crew.counted["session_misses"],
        )

    async def _ask(
        self,
        what: str,
        message: dict[str, Any],
        job: Job | Export | Inspection | None,
        seconds: float,
        files: tuple[int, ...] = (),
    ) -> tuple[Any, Ticket]:
        """What a worker finds, and the ticket that the job had."""
        if job is not None:
            self._quarantine.check(job.net_id, job.owner)
        if len(self._line) >= self._config.max_queued and not self._crew.idle:
            raise ends.line_full(self._config.max_queued)
        frame = await _packed(message, files, _size(job))
        loop = asyncio.get_running_loop()
        net_id, owner = (None, "") if job is None else (job.net_id, job.owner)
        ticket = Ticket(what, frame, net_id, owner, loop.time(), seconds, loop.create_future())
        timer = loop.call_later(seconds, self._overdue, ticket)
        try:
            self._crew.start()
            self._line.add(ticket)
            self.dispatch()
            return await ticket.answer, ticket
        finally:
            timer.cancel()
            self._leave(ticket)
            frame.release()

    def dispatch(self) -> None:
        """Give waiting jobs to workers that are free."""
        for ticket in self._line if self._crew.idle else ():
            link = self._crew.choose(ticket)
            if link is not None:
                self._line.take(ticket)
                self._give(ticket, link)
                if not self._crew.idle:
                    break
        self._crew.relieve(self._line.oldest())

    def _give(self, ticket: Ticket, link: Link) -> None:
        loop = asyncio.get_running_loop()
        ticket.number, ticket.link, ticket.given = next(self._numbers), link, loop.time()
        self._crew.give(ticket, link)
        if ticket.net_id is not None:
            self._counts["net_misses" if ticket.cold else "net_hits"] += 1
        limit = self._config.compile_seconds
        if limit < ticket.seconds:
            ticket.timers.append(loop.call_later(limit, self._look_at_stage, ticket))

    def heard(self, ticket: Ticket, message: Mapping[str, Any]) -> bool:
        """See `Boss`."""
        _cancel(ticket.timers)
        if ticket.answer.done():
            return True
        try:
            if "fault" in message:
                ticket.answer.set_exception(self._fault(ticket, message["fault"]))
            else:
                ticket.answer.set_result(message["done"])
        except (KeyError, TypeError, ValueError):
            return False
        return True

    def _fault(self, ticket: Ticket, told: Mapping[str, Any]) -> PortgradError:
        if not ticket.overdue:
            return faults.raised(told)
        self._counts["stopped"] += 1
        return self._lateness(ticket)

    def _lateness(self, ticket: Ticket) -> PortgradError:
        if ticket.what == "inspect":
            return ends.compiled_too_long(ticket.seconds)
        return ends.too_long(ticket)

    def _overdue(self, ticket: Ticket) -> None:
        """Its time is over."""
        if ticket.answer.done():
            return
        if ticket.link is None:
            self._line.drop(ticket)
            ticket.answer.set_exception(ends.never_begun(ticket))
            return
        ticket.overdue = True
        self._end(ticket, _GRACE, self._lateness(ticket))

    def _leave(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        if ticket.answer.done() and not ticket.answer.cancelled():
            return
        self._line.drop(ticket)
        if ticket.link is not None and not ticket.overdue:
            ticket.overdue = True
            self._end(ticket, _PATIENCE, None)

    def _look_at_stage(self, ticket: Ticket) -> None:
        """It has had the time that opening and compiling may take: what is it at?"""
        if ticket.link is None or ticket.overdue:
            return
        ticket.link.say(STAGE, ticket.number)
        error = ends.compiled_too_long(self._config.compile_seconds)
        loop = asyncio.get_running_loop()
        ticket.timers.append(loop.call_later(_GRACE, self._kill, ticket, error))

    def word(self, ticket: Ticket, word: bytes) -> None:
        """See `Boss`."""
        if word == RUNNING and not ticket.overdue:
            _cancel(ticket.timers)

    def _end(self, ticket: Ticket, grace: float, error: PortgradError | None) -> None:
        """Stop a job, and end its worker if that does not help."""
        assert ticket.link is not None
        _cancel(ticket.timers)
        ticket.link.stop(ticket.number)
        loop = asyncio.get_running_loop()
        ticket.timers.append(loop.call_later(grace, self._kill, ticket, error))

    def _kill(self, ticket: Ticket, error: PortgradError | None) -> None:
        if ticket.link is None:
            return
        self._counts["killed"] += 1
        self._crew.doom(ticket.link)
        if error is not None and not ticket.answer.done():
            ticket.answer.set_exception(error)

    def died(self, ticket: Ticket | None, status: int, *, doomed: bool) -> None:
        """See `Boss`."""
        how = _DEADLINE if doomed else ends.reason(status, short_of_memory=self._memory_short())
        self._deaths[how] += 1
        if ticket is None:
            return
        _cancel(ticket.timers)
        ticket.link = None
        if ticket.answer.done():
            return
        crashes = 0
        if how != ends.KILLED and ticket.net_id is not None:
            crashes = self._quarantine.crashed(ticket.net_id, ticket.owner)
        ticket.deaths += 1
        # The first crash may be another job's fault, which left the process damaged.
        if ticket.deaths < 2 and crashes < 2 and not ticket.overdue:
            self._counts["retries"] += 1
            self._line.add(ticket, first=True)
        else:
            ticket.answer.set_exception(
                self._lateness(ticket) if ticket.overdue else ends.died(how)
            )

    def _memory_short(self) -> bool:
        before, self._memory_kills = self._memory_kills, killed_for_memory()
        return (self._memory_kills or 0) > (before or 0)


def _cancel(timers: list[asyncio.TimerHandle]) -> None:
    while timers:
        timers.pop().cancel()


async def _packed(message: dict[str, Any], files: tuple[int, ...], size: int) -> frames.Frame:
    try:
        if size <= _LARGE:
            return frames.pack(message, files)
        return await asyncio.to_thread(frames.pack, message, files)
    except RecursionError:
        raise ends.too_deep() from None


def _size(job: Job | Export | Inspection | None) -> int:
    """About how many bytes a job is as a message."""
    if not isinstance(job, Job):
        return 0
    held = (job.data, job.output_gradients, job.parameters, job.tangents)
    values = (v for one in held for v in (one.values() if isinstance(one, Mapping) else [one]))
    return job.text_bytes + sum(v.nbytes for v in values if isinstance(v, np.ndarray))
