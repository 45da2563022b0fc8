"""Jobs that wait for a worker: owners take turns, and each owner's jobs keep their order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portgrad.compute.frames import Frame
from portgrad.compute.links import Link

if TYPE_CHECKING:
    from portgrad.compute.batching import Batch


@dataclass(eq=False, slots=True)
class Ticket:
    """A job on its way.

    Attributes:
        what: the kind of the job, for people.
        frame: what the worker is sent.
        net_id: the net that it is about, if any.
        owner: who asks.
        asked: when it came, on the event loop's clock.
        seconds: how long it may take.
        read: makes of what a worker found what is asked for; raises ValueError where it cannot.
        answer: what came of it.
        number: what it is called in words to its worker; a new one for each try.
        link: the worker that has it.
        given: when that got it.
        cold: whether the net had to be opened for it.
        overdue: whether its time is over, or nobody waits for it any more.
        batch: what it is to others that may go along with it; None where it runs alone.
        group: those that a worker does as one job, if it is one of them.
        deaths: how many workers died while they had it.
        rehearsal: whether it repeats another one, so that its worker is warm for the next.
        timers: what is to happen to it while it is at a worker.
        limit: when its time is over.
    """

    what: str
    frame: Frame
    net_id: str | None
    owner: str
    asked: float
    seconds: float
    read: Callable[[Any], Any]
    answer: asyncio.Future[Any]
    number: int = 0
    link: Link | None = None
    given: float = 0.0
    cold: bool = False
    overdue: bool = False
    deaths: int = 0
    rehearsal: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    limit: asyncio.TimerHandle | None = None
    batch: Batch | None = None
    group: Ticket | None = None

    @property
    def parts(self) -> Sequence[Ticket]:
        """The tickets that somebody waits for: itself, or those of a group."""
        return (self,)

    @property
    def whole(self) -> Ticket:
        """What a worker does: itself, or the group that it is in."""
        return self.group or self


class Line:
    """The tickets that wait."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Ticket]:
        """In the order of whose turn it is. Tickets may be removed meanwhile."""
        if len(self._by_owner) == 1:
            yield from [ticket for tickets in self._by_owner.values() for ticket in tickets]
            return
        waiting = [deque(tickets) for tickets in self._by_owner.values()]
        while waiting:
            for tickets in waiting:
                yield tickets.popleft()
            waiting = [tickets for tickets in waiting if tickets]

    def add(self, ticket: Ticket, *, first: bool = False) -> None:
        """Let a ticket wait; `first` before the others of its owner."""
        tickets = self._by_owner.setdefault(ticket.owner, deque())
        if first:
            tickets.appendleft(ticket)
        else:
            tickets.append(ticket)
        self._count += 1

    def take(self, ticket: Ticket) -> None:
        """Its turn has come: the next one is another owner's."""
        self.drop(ticket)
        if ticket.owner in self._by_owner:
            self._by_owner.move_to_end(ticket.owner)

    def drop(self, ticket: Ticket) -> bool:
        """It waits no longer; whether it did."""
        tickets = self._by_owner.get(ticket.owner)
        if tickets is None or ticket not in tickets:
            return False
        tickets.remove(ticket)
        self._count -= 1
        if not tickets:
            del self._by_owner[ticket.owner]
        return True

    def of(self, owner: str) -> Sequence[Ticket]:
        """Those of one owner, in order."""
        return self._by_owner.get(owner, ())

    def oldest(self) -> float | None:
        """When the one that has waited longest came."""
        return min((tickets[0].asked for tickets in self._by_owner.values()), default=None)
