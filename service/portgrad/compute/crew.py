"""The workers of a pool: as many as wanted, started anew when they end, and whose turn it is."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from portgrad.codecs.model import Answer
from portgrad.compute import arriving, frames, messages
from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.ends import CRASHED, DEADLINE
from portgrad.compute.jobs import Ready
from portgrad.compute.line import Ticket
from portgrad.compute.links import Heard, Link, Nursery
from portgrad.compute.stats import WorkerState, WorkerStats

log = logging.getLogger("portgrad.compute")

# A job that has waited for so long, with every worker at something longer, gets a spare one.
_LONG = 0.25
_IDLE_SECONDS = 30.0
# A worker that ends before it is ready would do so again: no hurry. A fork takes milliseconds.
_PAUSE, _TO_START = 0.5, 60.0
# What opening a net takes, before it is known; and how many nets it is known of.
_OPENING, _MOST_OPENING, _KNOWN = 0.05, 60.0, 1000
# A job is repeated to warm another worker where it took no longer and sent no more than this.
_QUICK, _SMALL = 0.25, 1024 * 1024


class Boss(Protocol):
    """Whom a crew works for."""

    def dispatch(self) -> None:
        """A worker may be free now."""

    def heard(self, ticket: Ticket, told: messages.Told) -> Any:
        """A worker answered; what it found, if anything. Raises ValueError if that is no answer."""

    def word(self, ticket: Ticket, word: bytes, seconds: float) -> None:
        """A worker said a word about what it does."""

    def rehearse(self, ticket: Ticket, link: Link) -> None:
        """Have a job done once more, by a worker that is idle; nobody waits for it."""

    def died(self, ticket: Ticket | None, status: int, sentence: str | None) -> None:
        """A worker ended unasked, or was ended for what it did: the sentence, one of `ends`."""


@dataclass(eq=False)
class Member:
    """One worker of the crew, and what it is at."""

    link: Link
    state: WorkerState
    since: float
    ticket: Ticket | None = None
    sentence: str | None = None
    asides: int = 0  # what it was told beside its jobs, and has not acknowledged
    retiring: asyncio.TimerHandle | None = None
    sessions: int = 0
    worn: bool = False
    counted: Counter[str] = field(default_factory=Counter)


class Crew:
    """Workers, kept alive.

    Args:
        worker: how workers work.
        pool: how many there are.
        boss: whom they work for.
    """

    def __init__(self, worker: WorkerConfig, pool: PoolConfig, boss: Boss) -> None:
        self._config = pool
        self._nets = worker.nets
        self._sessions = worker.sessions
        self._boss = boss
        self._nursery = Nursery(worker)
        self._members: dict[Link, Member] = {}
        self._opening: OrderedDict[str, float] = OrderedDict()
        self._heard = Heard(self._on_frame, self._on_word, self._on_end)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._open = False
        self._told = False
        self.started = 0
        self.counted: Counter[str] = Counter()

    @property
    def idle(self) -> bool:
        """Whether a worker is free."""
        return any(member.state == "idle" for member in self._members.values())

    @property
    def busy(self) -> bool:
        """Whether a worker is at work."""
        return any(member.ticket is not None for member in self._members.values())

    def start(self) -> None:
        """Start as many workers as are wanted, if that is not done."""
        if not self._open:
            self._open = True
            self._fill()

    async def close(self) -> None:
        """End all workers."""
        self._open = False
        for member in self._members.values():
            member.link.close()
        self._members.clear()
        await self._nursery.close()

    def choose(self, ticket: Ticket) -> Link | None:
        """The worker that is to do a job; None while it is better to wait.

        A worker that has the net is best. While those that have it are busy, the job waits as long
        as opening the net elsewhere would take: then, whatever happens, it has not lost more than
        twice what was needed. One that has been at its job for so long already is not waited for.
        """
        free = [m.link for m in self._members.values() if m.state == "idle"]
        net_id = ticket.net_id
        if net_id is None:
            return free[0] if free else None
        warm = next((link for link in free if net_id in link.nets), None)
        if warm is not None:
            return warm
        busy = [m.since for link, m in self._members.items() if net_id in link.nets]
        if busy:
            now = asyncio.get_running_loop().time()
            due = min(ticket.asked, max(busy)) + self._opening.get(net_id, _OPENING)
            if now < due:
                self._remind(due - now)
                return None
        return min(free, key=lambda link: len(link.nets), default=None)

    def give(self, ticket: Ticket, link: Link) -> None:
        """Let a free worker do a job."""
        member = self._members[link]
        ticket.cold = ticket.net_id is not None and ticket.net_id not in link.nets
        if ticket.net_id is not None:
            link.nets[ticket.net_id] = None
            link.nets.move_to_end(ticket.net_id)
            while len(link.nets) > self._nets:
                link.nets.popitem(last=False)
        member.ticket = ticket
        self._turn(member, "busy")
        link.give(ticket.frame, ticket.number)

    def forget(self, net_id: str) -> None:
        """Have every worker drop a net, as soon as it is free."""
        for member in self._members.values():
            if member.link.nets.pop(net_id, 0) is None:
                member.link.stale.add(net_id)
                if member.state == "idle":
                    _drop_stale(member)

    def end(self, link: Link, sentence: str) -> None:
        """Kill a worker for what it does."""
        if link in self._members:
            self._members[link].sentence = sentence
            link.kill()

    def relieve(self, oldest: float | None) -> None:
        """Start a spare worker where a job has waited for long and nobody is about to be free."""
        if oldest is None:
            return
        states = [member.state for member in self._members.values()]
        most = self._config.wanted + self._config.spare
        if "idle" in states or "starting" in states:
            return
        if not self._config.wanted <= len(states) < most:
            return  # those that are wanted come first, and in their own time
        waited = asyncio.get_running_loop().time() - oldest
        if waited >= _LONG:
            self._fork()
        else:
            self._remind(_LONG - waited)

    def stats(self) -> tuple[WorkerStats, ...]:
        """Every worker as it is now."""
        return tuple(self._stats())

    def others(self) -> dict[str, int]:
        """Process ids of what is no worker."""
        pid = self._nursery.pid
        return {} if pid is None else {"nursery": pid}

    def _stats(self) -> Iterator[WorkerStats]:
        now = asyncio.get_running_loop().time()
        for member in self._members.values():
            yield WorkerStats(
                str(member.link.name),
                member.link.pid,
                member.state,
                member.link.name > self._config.wanted,
                member.ticket.what if member.ticket else None,
                now - member.since,
                len(member.link.nets),
                member.sessions,
            )

    def _remind(self, seconds: float) -> None:
        """Look at the line again, soon enough for whoever wants it soonest."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._timer is not None:
            if loop.time() < self._due <= due:
                return
            self._timer.cancel()
        # Noted here: what uvloop gives for a moment that is past has no `when`.
        self._due = due
        self._timer = loop.call_at(due, self._boss.dispatch)

    def _fill(self) -> None:
        while self._open and len(self._members) < self._config.wanted:
            if not self._fork():
                asyncio.get_running_loop().call_later(_PAUSE, self._fill)
                return

    def _fork(self) -> bool:
        """Start a worker; whether there was what that takes of this process."""
        names = {link.name for link in self._members}
        name = next(n for n in range(1, len(names) + 2) if n not in names)
        try:
            link = Link(name, self._heard)
        except OSError as error:
            log.warning("No worker can be started now: %s.", error)
            return False
        loop = asyncio.get_running_loop()
        self._members[link] = Member(link, "starting", loop.time())
        self.started += 1
        self._nursery.fork(link)
        loop.call_later(_TO_START, self._see_started, self._members[link])
        return True

    def _see_started(self, member: Member) -> None:
        """A worker that hangs before it is ready would take its place for ever."""
        if member.state == "starting" and member.link in self._members:
            log.warning("Worker %d did not start in time.", member.link.name)
            self.end(member.link, DEADLINE)

    def _turn(self, member: Member, state: WorkerState) -> None:
        member.state, member.since = state, asyncio.get_running_loop().time()
        if member.retiring is not None:
            member.retiring.cancel()
            member.retiring = None

    def _on_frame(self, link: Link, frame: arriving.Received) -> None:
        member = self._members.get(link)
        if member is None or member.sentence:
            return
        try:
            aside = self._take(member, frame)
        except ValueError as error:
            log.warning("Worker %d sent what is no answer: %s.", link.name, error)
            self.end(link, CRASHED)
            return
        if aside:
            return
        if member.worn:
            log.info("Worker %d has little memory left, and is replaced.", link.name)
            self._dismiss(member)
            self._fill()
            self._boss.dispatch()
            return
        self._turn(member, "idle")
        if link.stale:
            _drop_stale(member)
        self._boss.dispatch()
        if link.name > self._config.wanted and member.state == "idle":
            loop = asyncio.get_running_loop()
            member.retiring = loop.call_later(_IDLE_SECONDS, self._retire, member)

    def _tell_lacking(self, lacking: Sequence[str]) -> None:
        """Log what the kernel did not grant; once, as it will not grant it to the next one."""
        if lacking and not self._told:
            self._told = True
            log.warning("Workers are not confined as they should be: %s.", "; ".join(lacking))

    def _take(self, member: Member, frame: arriving.Received) -> bool:
        """What a worker sent; whether that was but a word beside its jobs."""
        told = messages.told(frame.message)
        ticket = member.ticket
        if frame.number == 0 and member.state == "starting":
            self._tell_lacking(told.lacking)
            return False
        if frame.number == 0 and member.asides:
            member.asides -= 1
            return True
        if ticket is None or frame.number != ticket.number:
            raise ValueError("nobody asked for it")
        found = self._boss.heard(ticket, told)
        member.ticket = ticket.link = None
        member.worn = told.worn
        compiled = self._take_counts(member, told.kept)
        if ticket.cold and ticket.net_id is not None and found is not None:
            self._note(ticket.net_id, found)
        if compiled and isinstance(found, Answer | Ready) and not ticket.rehearsal:
            self._rehearse(ticket)
        return False

    def _rehearse(self, ticket: Ticket) -> None:
        """Repeat a job, for which its worker has just compiled, at an idle one that has room.

        What that compiles is at hand there when the first one is busy, or gone. It is done only
        where it is quick, and where nothing is dropped for it.
        """
        took = asyncio.get_running_loop().time() - ticket.given
        if took > _QUICK or ticket.frame.size > _SMALL or ticket.answer.cancelled():
            return
        members = self._members.values()
        ready = [m.link for m in members if m.state == "idle" and self._has_room(m, ticket)]
        if ready:
            self._boss.rehearse(ticket, max(ready, key=lambda link: ticket.net_id in link.nets))

    def _has_room(self, member: Member, ticket: Ticket) -> bool:
        nets = member.link.nets
        stays = member.link.name <= self._config.wanted
        room = ticket.net_id in nets or len(nets) < self._nets
        return stays and room and 2 * member.sessions < self._sessions

    def _take_counts(self, member: Member, kept: messages.Kept) -> bool:
        """A worker counts from its own start: what is new adds to what those before it counted.

        Whether it has compiled something new.
        """
        compiled = kept.session_misses > member.counted["session_misses"]
        member.sessions = kept.sessions
        for what in ("session_hits", "session_misses"):
            found = getattr(kept, what)
            self.counted[what] += max(0, found - member.counted[what])
            member.counted[what] = found
        return compiled

    def _note(self, net_id: str, found: Any) -> None:
        """Remember what it takes to open a net and compile for its first call: the least that was
        seen, as a machine that was busy for a moment says nothing about the next time.
        """
        timings = found.timings if isinstance(found, Answer | Ready) else {}
        took = min(timings.get("compile", _OPENING), _MOST_OPENING)
        self._opening[net_id] = min(took, self._opening.get(net_id, took))
        self._opening.move_to_end(net_id)
        while len(self._opening) > _KNOWN:
            self._opening.popitem(last=False)

    def _on_word(self, link: Link, word: bytes, number: int, seconds: float) -> None:
        member = self._members.get(link)
        if member is not None and member.ticket is not None and member.ticket.number == number:
            self._boss.word(member.ticket, word, seconds)

    def _on_end(self, link: Link, status: int) -> None:
        member = self._members.pop(link, None)
        if member is None:
            return  # it was asked to
        unready = member.state == "starting"
        sentence = member.sentence or (CRASHED if link.broken else None)
        self._boss.died(member.ticket, status, sentence)
        loop = asyncio.get_running_loop()
        loop.call_later(_PAUSE if unready else 0, self._fill)
        loop.call_soon(self._boss.dispatch)  # others may have ended at the same moment

    def _retire(self, member: Member) -> None:
        """End a spare worker that nobody has needed for long, unless it is one of those wanted."""
        if member.link in self._members and len(self._members) > self._config.wanted:
            self._dismiss(member)

    def _dismiss(self, member: Member) -> None:
        """End a worker that has no job."""
        del self._members[member.link]
        member.link.kill()
        member.link.close()


def _drop_stale(member: Member) -> None:
    frame = frames.pack({"do": "forget", "net_ids": sorted(member.link.stale)})
    member.link.stale.clear()
    member.asides += 1
    member.link.give(frame, 0)
    frame.release()
