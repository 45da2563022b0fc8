"""Jobs that wait: owners take turns, each owner's jobs keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portgrad.compute import frames
from portgrad.compute.line import Line, Ticket

FRAME = frames.Frame(b"")


@pytest.fixture(scope="module")
def answers() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    yield loop.create_future()
    loop.close()


def ticket(owner: str, asked: float, answer: Any) -> Ticket:
    return Ticket("evaluate", FRAME, None, owner, asked, 1.0, lambda done: done, answer)


def served(line: Line) -> list[tuple[str, float]]:
    """Who comes when each worker takes the next one."""
    order = []
    while len(line):
        one = next(iter(line))
        line.take(one)
        order.append((one.owner, one.asked))
    return order


def filled(owners: str, answer: Any) -> tuple[Line, list[Ticket]]:
    line, tickets = Line(), [ticket(owner, float(i), answer) for i, owner in enumerate(owners)]
    for one in tickets:
        line.add(one)
    return line, tickets


TURNS = {
    "a": "a",
    "aaa": "aaa",
    "aaab": "abaa",
    "aabbc": "abcab",
    "abab": "abab",
    "aaabbc": "abcaba",
}


@pytest.mark.parametrize("come", TURNS)
def test_turns(come: str, answers: Any) -> None:
    line, _ = filled(come, answers)
    order = served(line)
    assert "".join(owner for owner, _ in order) == TURNS[come]
    for owner in come:
        times = [asked for who, asked in order if who == owner]
        assert times == sorted(times)


def test_who_comes_late_does_not_wait_for_all_of_another(answers: Any) -> None:
    line, _ = filled("aaaa", answers)
    line.take(next(iter(line)))
    line.add(ticket("b", 9.0, answers))
    assert [owner for owner, _ in served(line)] == ["a", "b", "a", "a"]


def test_first(answers: Any) -> None:
    line, _ = filled("aab", answers)
    line.add(ticket("a", 9.0, answers), first=True)
    assert served(line) == [("a", 9.0), ("b", 2.0), ("a", 0.0), ("a", 1.0)]


def test_drop(answers: Any) -> None:
    line, tickets = filled("aab", answers)
    assert line.drop(tickets[0])
    assert not line.drop(tickets[0])
    assert not line.drop(ticket("c", 0.0, answers))
    assert len(line) == 2
    assert [*line] == [tickets[1], tickets[2]]


def test_oldest(answers: Any) -> None:
    line, tickets = filled("abb", answers)
    assert line.oldest() == 0.0
    line.drop(tickets[0])
    assert line.oldest() == 1.0
    for one in tickets[1:]:
        line.drop(one)
    assert line.oldest() is None


def test_tickets_are_removed_meanwhile(answers: Any) -> None:
    line, tickets = filled("abcabc", answers)
    seen = []
    for one in line:
        seen.append(one)
        line.take(one)
    assert sorted(seen, key=id) == sorted(tickets, key=id)
    assert not len(line)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc")),
        st.tuples(st.just("first"), st.sampled_from("abc")),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("drop"), st.integers(0, 5)),
    ),
    max_size=40,
)


class Model:
    """The same, slowly: lists of tickets, and the order of owners."""

    def __init__(self) -> None:
        self.tickets: dict[str, list[Ticket]] = {}
        self.turns: list[str] = []

    def add(self, one: Ticket, place: int) -> None:
        if one.owner not in self.turns:
            self.turns.append(one.owner)
        waiting = self.tickets.setdefault(one.owner, [])
        waiting.insert(place if place == 0 else len(waiting), one)

    def remove(self, one: Ticket, *, taken: bool) -> None:
        self.tickets[one.owner].remove(one)
        self.turns.remove(one.owner) if taken or not self.tickets[one.owner] else None
        if taken and self.tickets[one.owner]:
            self.turns.append(one.owner)

    def order(self) -> list[Ticket]:
        depth = max((len(waiting) for waiting in self.tickets.values()), default=0)
        lists = [self.tickets[owner] for owner in self.turns]
        return [waiting[i] for i in range(depth) for waiting in lists if i < len(waiting)]


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_against_a_model(steps: list[tuple[str, Any]]) -> None:
    line, model = Line(), Model()
    for number, (step, what) in enumerate(steps):
        waiting = model.order()
        if step in {"add", "first"}:
            one = ticket(what, float(number), None)
            line.add(one, first=step == "first")
            model.add(one, 0 if step == "first" else -1)
        elif what < len(waiting):
            one = waiting[what]
            line.take(one) if step == "take" else line.drop(one)
            model.remove(one, taken=step == "take")
        assert [*line] == model.order()
        assert len(line) == len(model.order())
