"""Crashes by net and by who caused them, on a clock that the test winds."""

from __future__ import annotations

import pytest

from portgrad.compute import quarantine
from portgrad.compute.quarantine import Quarantine
from portgrad.errors import Quarantined


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> Quarantine:
    return Quarantine(after=3, seconds=100.0, clock=clock)


def is_refused(kept: Quarantine, net: str, owner: str) -> bool:
    try:
        kept.check(net, owner)
    except Quarantined:
        return True
    return False


# What happens (a crash by "net owner", or seconds that pass), and who is refused after it.
COURSES: dict[str, tuple[list[str | float], set[str]]] = {
    "too few": (["n a"] * 2, set()),
    "enough": (["n a"] * 3, {"n a"}),
    "more": (["n a"] * 5, {"n a"}),
    "by two owners": (["n a", "n b", "n a", "n b"], set()),
    "of two nets": (["n a", "m a", "n a", "m a"], set()),
    "long ago": (["n a"] * 2 + [100.0] + ["n a"], set()),
    "just not long ago": (["n a"] * 2 + [99.0] + ["n a"], {"n a"}),
    "over": (["n a"] * 3 + [100.0], set()),
    "not over yet": (["n a"] * 3 + [99.0], {"n a"}),
    "each crash counts anew": (["n a", 99.0, "n a", 99.0, "n a", 99.0], {"n a"}),
    "two of them": (["n a"] * 3 + ["n b"] * 3, {"n a", "n b"}),
}


@pytest.mark.parametrize("course", COURSES)
def test_courses(course: str, kept: Quarantine, clock: Clock) -> None:
    happens, refused = COURSES[course]
    for event in happens:
        if isinstance(event, str):
            kept.crashed(*event.split())
        else:
            clock.now += event
    everybody = {f"{net} {owner}" for net in "nm" for owner in "ab"}
    assert {who for who in everybody if is_refused(kept, *who.split())} == refused
    assert {f"{one['net']} {one['owner']}" for one in kept.listed()} == refused


def test_what_is_told(kept: Quarantine, clock: Clock) -> None:
    assert [kept.crashed("n", "a") for _ in range(3)] == [1, 2, 3]
    clock.now += 40
    assert kept.listed() == [{"net": "n", "owner": "a", "crashes": 3, "seconds": 60.0}]
    with pytest.raises(Quarantined) as caught:
        kept.check("n", "a")
    assert (caught.value.code, caught.value.where) == ("net_quarantined", "n")
    assert "60 s" in str(caught.value.found)
    assert "DELETE /quarantine" in str(caught.value.remedy)


def test_release(kept: Quarantine) -> None:
    for owner in ("a", "b", "a", "a"):
        kept.crashed("n", owner)
    assert kept.release("n")
    assert not kept.release("n")
    assert kept.listed() == []
    # Counted from nothing, for everybody.
    assert kept.crashed("n", "b") == 1


def test_release_of_what_is_not_quarantined(kept: Quarantine) -> None:
    kept.crashed("n", "a")
    assert not kept.release("n")
    assert not kept.release("m")


def test_memory_is_bounded(kept: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_REMEMBERED", 10)
    for i in range(100):
        for _ in range(3):
            kept.crashed(f"n{i}", "a")
    assert [one["net"] for one in kept.listed()] == [f"n{i}" for i in range(90, 100)]
    assert len(kept._records) == 10
