"""Which nets have metrics of their own: few, the busiest, whatever a crowd of others does."""

from __future__ import annotations

import random

from portgrad.api.telling.busy import BusyNets


class Clock:
    """Goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(nets: BusyNets) -> set[str]:
    return {net for net, _ in nets}


def minutes(nets: BusyNets, clock: Clock, calls: dict[str, float], number: int = 1) -> None:
    """So many minutes, in each of which every one of these nets takes its seconds."""
    for _ in range(number):
        for net, seconds in calls.items():
            nets.add(net, seconds)
        clock.now += 60
    nets.add("tick", 0.0)


def test_the_first_nets_are_shown_at_once_and_the_others_together() -> None:
    nets = BusyNets(2, Clock())
    for net in ("a", "b", "c", "a", "d"):
        nets.add(net, 0.5)
    told = {net: (counts.calls, counts.seconds) for net, counts in nets}
    assert told == {"a": (2, 1.0), "b": (1, 0.5), "other": (2, 1.0)}


def test_a_net_that_becomes_busy_later_takes_the_place_of_the_idlest() -> None:
    clock = Clock()
    nets = BusyNets(2, clock)
    minutes(nets, clock, {"a": 5.0, "b": 1.0})
    minutes(nets, clock, {"a": 5.0, "c": 9.0}, 3)
    assert shown(nets) == {"a", "c", "other"}


def test_equals_do_not_take_turns() -> None:
    clock = Clock()
    nets = BusyNets(2, clock)
    minutes(nets, clock, {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, 10)
    assert shown(nets) == {"a", "b", "other"}


def test_a_million_nets_take_no_place_and_no_memory() -> None:
    clock = Clock()
    nets = BusyNets(10, clock)
    honest = {f"honest-{number}": 0.5 for number in range(10)}
    minutes(nets, clock, honest)
    for number in range(20_000):
        nets.add(f"stranger-{number}", 0.01)
        if number % 2_000 == 0:
            minutes(nets, clock, honest)
    assert shown(nets) == {*honest, "other"}
    assert len(nets._candidates) <= 128


def test_at_most_a_tenth_of_the_places_change_in_a_minute() -> None:
    clock = Clock()
    nets = BusyNets(20, clock)
    minutes(nets, clock, {f"old-{number}": 0.1 for number in range(20)})
    minutes(nets, clock, {f"new-{number}": 9.0 for number in range(20)})
    assert sum(net.startswith("new") for net in shown(nets)) == 2


def test_a_busy_net_is_found_in_a_crowd() -> None:
    clock, rng = Clock(), random.Random(5)
    nets = BusyNets(3, clock)
    minutes(nets, clock, {"a": 0.2, "b": 0.2, "c": 0.2})
    crowd = [f"stranger-{rng.randrange(10**6)}" for _ in range(5000)] + ["late"] * 500
    rng.shuffle(crowd)
    for net in crowd:
        nets.add(net, 0.01)
    minutes(nets, clock, {"a": 0.2, "b": 0.2})
    assert "late" in shown(nets)


def test_a_net_that_is_gone_frees_its_place() -> None:
    nets = BusyNets(1, Clock())
    nets.add("a", 0.1)
    nets.forget("a")
    nets.add("b", 0.1)
    assert shown(nets) == {"b", "other"}


def test_none_at_all() -> None:
    clock = Clock()
    nets = BusyNets(0, clock)
    minutes(nets, clock, {"a": 1.0}, 2)
    assert [(net, counts.calls) for net, counts in nets] == [("other", 3)]
