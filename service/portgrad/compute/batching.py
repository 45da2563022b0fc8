"""Calls that share a run: which may, who goes along with whom, and what each is told.

A net that is declared batchable keeps its examples apart (`Net.check_batchable`). When a worker
takes a call on one, the calls of the same owner that wait and ask the same of as large examples go
along, in one message, and the worker runs them as one (`together`). No call waits for others. A
call that a shared run left out, or all of them where it failed, runs alone. So does one whose
worker died.

Other calls that are known to be quick (`quick`) go to a worker together as well, where an owner has
several on a net that wait: it does one after the other, and wakes up once for all of them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np

from portgrad.codecs.model import Answer
from portgrad.codecs.safetensors import Shape
from portgrad.compute import frames, messages, quick, reading
from portgrad.compute.jobs import Job, Ready, Unread
from portgrad.compute.line import Line, Ticket
from portgrad.compute.quick import Quick
from portgrad.compute.reading import MOST_BATCHED

# What calls that go together have in common.
Key: TypeAlias = tuple[Any, ...]
# Of data: what is behind the examples, and how many of these there are.
Form: TypeAlias = tuple[Key, int]

# What goes together is copied once more, on the event loop.
_MOST_BYTES = 4 * 1024 * 1024
_KINDS = frozenset({"evaluate", "gradient"})
# Fields that make a call one of its own, whatever they say.
_OWN = ("batch", "diagnostics", "stacked")
_NEVER_KEPT = 1000


@dataclass(frozen=True)
class Batch:
    """What a call that may go along with others is.

    Attributes:
        key: what they have in common.
        examples: how many it has.
        size: about how many bytes.
        message: what is asked, as plain data.
        joined: whether they run as one; otherwise one after the other.
        most: how many may go together, or examples where they run as one.
        room: how many bytes.
    """

    key: Key
    examples: int
    size: int
    message: Mapping[str, Any]
    joined: bool
    most: int
    room: int


@dataclass(eq=False, slots=True)
class Group(Ticket):
    """Calls that a worker does as one job. Nobody waits for its own answer.

    Attributes:
        members: the tickets of the calls.
    """

    members: list[Ticket] = field(default_factory=list)

    @property
    def parts(self) -> Sequence[Ticket]:
        """The tickets of the calls."""
        return self.members

    @property
    def in_turn(self) -> bool:
        """Whether the worker does one after the other."""
        batch = self.members[0].batch
        return batch is not None and not batch.joined


class Batches:
    """Makes groups of the calls that wait.

    Args:
        most: how many examples a group may have.

    Attributes:
        sizes: how often so many calls on a batchable net went to a worker together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._never: OrderedDict[Key, None] = OrderedDict()
        self._quick = Quick()
        self.sizes: Counter[int] = Counter()

    def of(self, job: Job, message: Mapping[str, Any], size: int) -> Batch | None:
        """What a call is to others; None for one that runs alone.

        Args:
            job: the call.
            message: the same as plain data.
            size: about how many bytes it has.
        """
        if not job.ports or self._most < 2 or size > MOST_BATCHED or not _may_share(job):
            return None
        form = _form(job.ports, _shapes(job))
        options = msgspec.msgpack.encode(job.options)
        key = (job.net_id, job.kind, options, _seeds(job.output_gradients))
        return self._joined(key, form, size, message)

    def by_header(self, job: Unread, message: Mapping[str, Any]) -> Batch | None:
        """The same of a call that its worker is to read, by what its header tells."""
        shapes = reading.shapes(job) if job.ports and self._most > 1 else None
        if shapes is None or job.kind not in _KINDS:
            return None
        key = (job.net_id, job.kind, job.accept)
        return self._joined(key, _form(job.ports, shapes), len(job.body), message)

    def _joined(
        self, key: Key, form: Form | None, size: int, message: Mapping[str, Any]
    ) -> Batch | None:
        if form is None:
            return None
        shapes, examples = form
        whole = (*key, shapes)
        if not 0 < examples < self._most or whole in self._never:
            return None
        return Batch(whole, examples, size, message, True, self._most, _MOST_BYTES)

    def in_turn(self, job: Unread, message: Mapping[str, Any]) -> Batch | None:
        """What a call that its worker is to read is to others; None for one that goes alone."""
        most, key = self._quick.most(job), quick.key_of(job)
        if most < 2 or key in self._never:
            return None
        return Batch(key, 1, len(job.body), message, False, most, quick.MOST_BYTES)

    def note(self, job: Unread, answer: Answer | Ready) -> None:
        """Remember what a call took."""
        self._quick.note(job, answer)

    def gather(self, ticket: Ticket, line: Line) -> Ticket:
        """A ticket whose turn has come, with those that go along; they wait no longer."""
        if ticket.batch is None or ticket.deaths:
            return ticket
        members = [ticket, *self._companions(ticket, line)]
        group = _group(members) if len(members) > 1 else ticket
        for member in group.parts[1:]:
            line.drop(member)
        if ticket.batch.joined:
            self.sizes[len(group.parts)] += 1
        return group

    def settle(self, ticket: Ticket, found: Any, error: Exception | None) -> list[Ticket]:
        """Say what came of a ticket; those of a group that are to run alone."""
        if not isinstance(ticket, Group):
            _tell(ticket, found if error is None else error)
            return []
        answers = found.answers if error is None else [None] * len(ticket.members)
        if error is None and not found.joined:
            self.never(ticket)
        for member, answer in zip(ticket.members, answers, strict=True):
            member.link = member.group = None
            if answer is not None:
                _tell(member, answer)
        again = [member for member in ticket.members if not member.answer.done()]
        for member in again:
            member.batch = None
        return again

    def never(self, ticket: Ticket) -> None:
        """Calls such as these do not go together any more."""
        for batch in {part.batch.key: part.batch for part in ticket.parts if part.batch}.values():
            self._never[batch.key] = None
        while len(self._never) > _NEVER_KEPT:
            self._never.popitem(last=False)

    def _companions(self, ticket: Ticket, line: Line) -> Iterator[Ticket]:
        assert ticket.batch is not None
        left = ticket.batch.most - ticket.batch.examples
        room = ticket.batch.room - ticket.batch.size
        for other in line.of(ticket.owner):
            batch = other.batch
            if other is ticket or batch is None or other.deaths:
                continue
            fits = batch.examples <= left and batch.size <= room
            if fits and batch.key == ticket.batch.key:
                left, room = left - batch.examples, room - batch.size
                yield other


def _group(members: list[Ticket]) -> Ticket:
    """One ticket for all, or for the first alone where there is no memory for their message."""
    first = members[0]
    ask = messages.group if first.batch is None or first.batch.joined else messages.series
    asked = [
        msgspec.Raw(member.frame.text) if not member.frame.size else member.batch.message
        for member in members
        if member.batch is not None
    ]
    try:
        frame = frames.pack(ask(asked))
    except OSError:
        return first
    group = Group(
        first.what,
        frame,
        first.net_id,
        first.owner,
        min(member.asked for member in members),
        max(member.seconds for member in members),
        lambda done: messages.answers_of(done, len(members)),
        first.answer,
        members=members,
    )
    for member in members:
        member.group = group
    return group


def _tell(ticket: Ticket, found: Any) -> None:
    if ticket.answer.done():
        return
    if isinstance(found, Exception):
        ticket.answer.set_exception(found)
    else:
        ticket.answer.set_result(found)


def _may_share(job: Job) -> bool:
    """Whether a call asks for nothing that makes it one of its own."""
    options = job.options
    if job.kind not in _KINDS or job.parameters or any(options.get(name) for name in _OWN):
        return False
    if options.get("mode", "test") != "test" or options.get("reduction") == "mean":
        return False
    totals = options.get("wrt") in ("all", "parameters")
    return not totals or options.get("reduction") == "per_example"


def _shapes(job: Job) -> dict[str, Shape | None]:
    """The dtype and shape of what is given for each port, where that can be told."""
    data = job.data
    if not isinstance(data, Mapping):
        data = {job.ports[0]["name"]: data} if len(job.ports) == 1 else {}
    return {name: _shape(value) for name, value in data.items()}


def _form(ports: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape | None]) -> Form | None:
    """The forms of the data behind the examples, and how many there are; None if that is odd."""
    forms, examples = [], 1
    for port in ports:
        shape = shapes.get(port["name"])
        declared = len(port["shape"] or ())
        if shape is None or not 0 <= declared - len(shape[1]) <= 1:
            return None
        dtype, sizes = shape
        whole = len(sizes) == declared
        examples = sizes[0] if whole else 1
        forms.append((dtype, whole, sizes[1:] if whole else sizes))
    return (*forms, len(shapes)), examples


def _seeds(given: Mapping[str, Any]) -> Key:
    """The forms of what is imposed. Its examples may lie anywhere: the worker looks closely."""
    return tuple(
        (name, *seed) if isinstance(seed, Mapping) else (name, np.ndim(seed))
        for name, seed in given.items()
    )


def _shape(value: Any) -> Shape | None:
    """The dtype and the shape of an array; of lists the shape that their first entries tell."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape
    if value is None or isinstance(value, Mapping):
        return None
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return "", tuple(sizes)
