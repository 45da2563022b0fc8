"""A Compute whose jobs are done by worker processes, which it keeps alive, feeds and ends."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from portgrad.codecs.model import Answer, Description
from portgrad.compute import ends, faults, framing, messages
from portgrad.compute.batching import Batch, Batches, Group
from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.crew import Crew
from portgrad.compute.jobs import Export, Inspection, Job, Ready, Unread
from portgrad.compute.line import Line, Ticket
from portgrad.compute.links import Link
from portgrad.compute.memory import killed_for_memory
from portgrad.compute.quarantine import Quarantine
from portgrad.compute.stats import PoolStats
from portgrad.compute.words import DEADLINE, RUNNING, STAGE
from portgrad.errors import PortgradError

# A run that is stopped ends within some milliseconds, unless one node of it takes longer.
_GRACE = 0.2
# Nobody waits for a job whose client is gone: its worker's caches are worth some patience.
_PATIENCE = 2.0
# What is done once more, so that a second worker is warm, took less than a quarter of it before.
_REHEARSAL = 1.0
# Calls that are done one after the other, as all are quick, are parted after this.
_NOT_QUICK = 0.1


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
        self._batches = Batches(pool.max_batch)
        self._quarantine = Quarantine(pool.quarantine_after, pool.quarantine_seconds)
        self._crew = Crew(worker, pool, self)
        self._numbers = itertools.count(1)
        self._counts: Counter[str] = Counter()
        self._deaths = Counter(dict.fromkeys(ends.REASONS, 0))
        self._operators: list[Description] | None = None
        self._memory_kills = killed_for_memory()
        self._asked = 0
        self._closing = self._about_to = False

    async def start(self) -> None:
        """See `Compute`."""
        self._crew.start()

    async def inspect(self, job: Inspection) -> Description:
        """See `Compute`."""
        seconds = self._config.compile_seconds
        asked = messages.inspection(job)
        description: Description
        description, _ = await self._ask(
            "inspect", asked, job, seconds, read=messages.description_of
        )
        return description

    async def call(self, job: Job | Unread) -> Answer | Ready:
        """See `Compute`."""
        seconds = min(job.seconds or self._config.deadline, self._config.deadline)
        asked = messages.unread(job) if isinstance(job, Unread) else messages.call(job)
        if isinstance(job, Unread):
            batch = self._batches.by_header(job, asked) or self._batches.in_turn(job, asked)
        else:
            batch = self._batches.of(job, asked, framing.size(job)) if job.ports else None
        answer: Answer | Ready
        read = messages.answer_of
        answer, ticket = await self._ask(job.kind, asked, job, seconds, read=read, batch=batch)
        if isinstance(job, Unread) and not (batch and batch.joined):
            self._batches.note(job, answer)
        timings = {"queue": ticket.given - ticket.asked, **answer.timings}
        if isinstance(answer, Ready):
            return Ready(answer.body, timings)
        return replace(answer, timings=timings)

    async def export(self, job: Export, path: Path) -> list[Path]:
        """See `Compute`."""
        paths = [path, *([path.with_name(job.external)] if job.external else [])]
        with ExitStack() as stack:
            files = tuple(stack.enter_context(one.open("wb")).fileno() for one in paths)
            asked, seconds = messages.export(job), self._config.deadline
            read = messages.written_of
            two, _ = await self._ask("export", asked, job, seconds, read=read, files=files)
        return paths if two else paths[:1]

    async def operators(self) -> list[Description]:
        """See `Compute`."""
        if self._operators is None:
            asked, seconds = {"do": "operators"}, self._config.deadline
            read = messages.operators_of
            self._operators, _ = await self._ask("operators", asked, None, seconds, read=read)
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
        self._closing = True
        while self._asked or self._crew.busy:
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
            batched=dict(self._batches.sizes),
        )

    async def _ask(
        self,
        what: str,
        message: dict[str, Any],
        job: framing.Asked | None,
        seconds: float,
        *,
        read: Callable[[Any], Any],
        files: tuple[int, ...] = (),
        batch: Batch | None = None,
    ) -> tuple[Any, Ticket]:
        """What a worker finds, as `read` has it, and the ticket that the job had."""
        if self._closing:
            raise ends.closing()
        self._check(job)
        self._asked += 1
        try:
            frame = await framing.framed(message, files, framing.size(job))
            try:
                loop = asyncio.get_running_loop()
                net_id, owner = (None, "") if job is None else (job.net_id, job.owner)
                now, answer = loop.time(), loop.create_future()
                ticket = Ticket(what, frame, net_id, owner, now, seconds, read, answer, batch=batch)
                return await self._answered(ticket), ticket
            finally:
                frame.release()
        finally:
            self._asked -= 1

    def _check(self, job: framing.Asked | None) -> None:
        """Refuse what cannot be begun, or wait, before it is made a message."""
        if job is not None:
            self._quarantine.check(job.net_id, job.owner)
        if len(self._line) >= self._config.max_queued and not self._crew.idle:
            raise ends.line_full(self._config.max_queued)

    async def _answered(self, ticket: Ticket) -> Any:
        """What came of a job that was not given to anybody yet."""
        self._limit(ticket)
        try:
            self._crew.start()
            self._line.add(ticket)
            if ticket.batch is None or len(self._line) > self._config.max_queued:
                self.dispatch()
            elif not self._about_to:
                # Those that come in the same turn of the loop go along.
                self._about_to = True
                asyncio.get_running_loop().call_soon(self._dispatch_all)
            if ticket.link is None and len(self._line) > self._config.max_queued:
                raise ends.line_full(self._config.max_queued)
            return await ticket.answer
        finally:
            if ticket.limit is not None:
                ticket.limit.cancel()
            self._leave(ticket)

    def _limit(self, ticket: Ticket) -> None:
        """Have its time end when it is over."""
        if ticket.limit is not None:
            ticket.limit.cancel()
        due = ticket.asked + ticket.seconds
        ticket.limit = asyncio.get_running_loop().call_at(due, self._overdue, ticket)

    def _dispatch_all(self) -> None:
        self._about_to = False
        self.dispatch()

    def dispatch(self) -> None:
        """Give waiting jobs to workers that are free."""
        for ticket in self._line if self._crew.idle and self._line else ():
            # One that has a link went along with another.
            link = self._crew.choose(ticket) if ticket.link is None else None
            if link is not None:
                self._line.take(ticket)
                self._give(self._batches.gather(ticket, self._line), link)
                if not self._crew.idle:
                    break
        self._crew.relieve(self._line.oldest())

    def _give(self, ticket: Ticket, link: Link) -> None:
        loop = asyncio.get_running_loop()
        ticket.number = next(self._numbers)
        ticket.link, ticket.given = link, loop.time()
        for one in ticket.parts:
            one.link, one.given = link, ticket.given
        self._crew.give(ticket, link)
        if ticket.net_id is not None:
            self._counts["net_misses" if ticket.cold else "net_hits"] += len(ticket.parts)
        if isinstance(ticket, Group) and ticket.in_turn:
            ticket.timers.append(loop.call_later(_NOT_QUICK, self._part, ticket))
        limit = self._config.compile_seconds
        if limit < ticket.seconds:
            ticket.timers.append(loop.call_later(limit, self._look_at_stage, ticket))

    def _part(self, group: Group) -> None:
        """One of these calls is not quick at all: each is done alone, and those like it are."""
        if group.link is not None and not group.overdue:
            self._batches.never(group)
            group.link.stop(group.number)

    def rehearse(self, ticket: Ticket, link: Link) -> None:
        """See `Boss`."""
        loop, ticket = asyncio.get_running_loop(), ticket.parts[0]
        answer = loop.create_future()
        answer.add_done_callback(asyncio.Future.exception)  # nobody else looks at it
        again = Ticket(
            *(ticket.what, ticket.frame, ticket.net_id, ticket.owner),
            *(loop.time(), _REHEARSAL, ticket.read, answer),
            number=next(self._numbers),
            link=link,
            given=loop.time(),
            rehearsal=True,
        )
        self._crew.give(again, link)
        again.timers.append(loop.call_later(_REHEARSAL, self._overdue, again))

    def heard(self, ticket: Ticket, told: messages.Told) -> Any:
        """See `Boss`."""
        error = None if told.fault is None else self._fault(ticket, told.fault)
        found = ticket.read(told.done) if error is None else None
        _cancel(ticket.timers)
        self._wait_again(self._batches.settle(ticket, found, error))
        return found.first if isinstance(found, messages.Answers) else found

    def _wait_again(self, tickets: Sequence[Ticket]) -> None:
        for ticket in reversed(tickets):
            self._line.add(ticket, first=True)

    def _fault(self, ticket: Ticket, told: Any) -> PortgradError | OSError:
        error = faults.raised(told)
        if not ticket.overdue:
            return error
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
        error = self._lateness(ticket)
        if ticket.group is not None:  # which runs on for the others
            ticket.answer.set_exception(error)
        self._end(ticket, _GRACE, error)

    def _leave(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        if ticket.answer.done() and not ticket.answer.cancelled():
            ticket.answer.exception()  # who leaves at this very moment does not look at it
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

    def word(self, ticket: Ticket, word: bytes, seconds: float) -> None:
        """See `Boss`."""
        if ticket.overdue:
            return
        if word == RUNNING:
            _cancel(ticket.timers)
        elif word == DEADLINE and 0 < seconds < ticket.seconds:  # its worker has read its body
            ticket.seconds = seconds
            self._limit(ticket)

    def _end(self, ticket: Ticket, grace: float, error: PortgradError | None) -> None:
        """Stop a job that nobody waits for, and end its worker if that does not help."""
        whole = ticket.whole
        if not all(one.overdue for one in whole.parts):
            return
        assert whole.link is not None
        whole.overdue = True
        _cancel(whole.timers)
        whole.link.stop(whole.number)
        loop = asyncio.get_running_loop()
        whole.timers.append(loop.call_later(grace, self._kill, whole, error))

    def _kill(self, ticket: Ticket, error: PortgradError | None) -> None:
        if ticket.link is None:
            return
        self._counts["killed"] += 1
        self._crew.end(ticket.link, ends.DEADLINE)
        for one in ticket.parts:
            if error is not None and not one.answer.done():
                one.answer.set_exception(error)

    def died(self, ticket: Ticket | None, status: int, sentence: str | None) -> None:
        """See `Boss`."""
        how = sentence or ends.reason(status, short_of_memory=self._memory_short())
        self._deaths[how] += 1
        if ticket is None:
            return
        _cancel(ticket.timers)
        crashes = 0
        alone = ticket is ticket.parts[0]
        if how == ends.MEMORY and not alone:
            self._batches.never(ticket)  # that they were many may be why
        elif how in {ends.CRASHED, ends.MEMORY} and ticket.net_id is not None:
            # Whoever asked may have left meanwhile.
            crashes = self._quarantine.crashed(ticket.net_id, ticket.owner)
        # The first crash may be another job's fault, which left the process damaged; and that of
        # a group is the fault of one of its calls, which crashes alone again.
        blameless = how == ends.KILLED or (how == ends.CRASHED and crashes < 2)
        again = blameless or (not alone and how != ends.DEADLINE)
        self._wait_again([one for one in ticket.parts if self._lives(one, how, again)])

    def _lives(self, ticket: Ticket, how: str, again: bool) -> bool:
        """Whether a job whose worker died is to be tried again, as it may; else it is told."""
        ticket.link = ticket.group = None
        if ticket.answer.done():
            return False
        ticket.deaths += 1
        if ticket.overdue:
            ticket.answer.set_exception(self._lateness(ticket))
        elif again and ticket.deaths < 2 and not ticket.rehearsal:
            self._counts["retries"] += 1
            return True
        else:
            ticket.answer.set_exception(ends.died(how))
        return False

    def _memory_short(self) -> bool:
        before, self._memory_kills = self._memory_kills, killed_for_memory()
        return (self._memory_kills or 0) > (before or 0)


def _cancel(timers: list[asyncio.TimerHandle]) -> None:
    while timers:
        timers.pop().cancel()
