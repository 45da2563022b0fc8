"""Each bomb while ten honest clients ask: the bomber gets its problem, and nobody else notices.

What "on an otherwise free core" means here: a bomb may take one core, since runs have one thread.
So the calm that figures are held against has a neighbour that keeps one core busy, and no bomb;
what is left for honest clients is the same in both, on two cores as on many.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from torture.bombs import nets, wires
from torture.bombs.attacks import Bomb, Outcome, Target
from torture.bombs.table import BOMBS
from torture.crowd import Crowd, Window, crowd
from torture.neighbour import neighbour
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service, serving

MIB = 1024 * 1024
SETTINGS: dict[str, Any] = {
    "threads": 1,
    "deadline": 2,
    "compile_seconds": 5,
    "header_seconds": 2,
    "body_seconds": 2,
    "worker_memory_bytes": 1024 * MIB,
}
TIMES_ALLOWED = ("deadline", "compile_seconds", "header_seconds", "body_seconds")
TIMES = 3  # as slow as in calm, at most
PAUSE = 0.5  # seconds between bombs: one attacker, no flood
LEAST = 0.005  # seconds: below this, three times the calm is noise


@dataclass(frozen=True)
class Thrown:
    """A bomb that was thrown again and again between two moments."""

    bomb: Bomb
    outcomes: list[Outcome]
    start: float
    end: float


def run(plan: Plan) -> Iterator[Row]:
    """A row for each bomb, and rows for what honest clients saw."""
    clock = Clock()
    window = plan.share(10, of_minutes=6)
    folder = plan.place("bombs")
    with serving(folder, **SETTINGS) as service:
        target = Target(service.url, *(SETTINGS[name] for name in TIMES_ALLOWED))
        with crowd(service.url, folder / "honest.jsonl") as honest:
            calm = _calm(honest, 2 * window)
            attacks = []
            for bomb in (one for one in BOMBS if plan.only in one.name):
                attacks.append(_throw(bomb, target, window))
                yield _answered(attacks[-1])
            whole = (attacks[0].start, attacks[-1].end)
        yield from _honest(honest, calm, attacks, whole, clock())
        yield _alive(service)
    yield _freed(plan)


def _calm(honest: Crowd, seconds: float) -> tuple[float, float]:
    """From when until when honest clients were alone with a neighbour."""
    with neighbour():
        time.sleep(1)
        start = time.time()
        time.sleep(max(seconds, 3))
        return start, time.time()


def _throw(bomb: Bomb, target: Target, seconds: float) -> Thrown:
    """The bomb, again and again for some seconds; once in any case."""
    bomb.attack.ready()
    time.sleep(0.5)  # what the bomb before left behind is not of this one
    start, outcomes = time.time(), [bomb.attack(target)]
    while time.time() + PAUSE < start + seconds:
        time.sleep(PAUSE)
        outcomes.append(bomb.attack(target))
    return Thrown(bomb, outcomes, start, time.time())


def _answered(attack: Thrown) -> Row:
    """Whether the bomber always got the right problem, in time."""
    bomb, outcomes = attack.bomb, attack.outcomes
    counts = Counter(outcome.answer for outcome in outcomes)
    slowest = max(outcomes, key=lambda outcome: outcome.seconds - outcome.allowed)
    wrong = next((outcome.about for outcome in outcomes if not bomb.hit(outcome)), "")
    figure = ", ".join(f"{answer} x{count}" for answer, count in counts.most_common())
    figure += f"; slowest {slowest.seconds:.2f} s" + (f"; {wrong}" if wrong else "")
    goal = " or ".join(bomb.right) + f" within {slowest.allowed + 0.5:g} s"
    ok = all(bomb.hit(outcome) for outcome in outcomes)
    return Row(f"bomb: {bomb.name}", figure, goal, ok, attack.end - attack.start)


def _honest(
    honest: Crowd,
    calm: tuple[float, float],
    attacks: list[Thrown],
    whole: tuple[float, float],
    seconds: float,
) -> Iterator[Row]:
    """What honest clients saw meanwhile, all of it and bomb by bomb."""
    quiet, loud = honest.between(*calm), honest.between(*whole)
    figure = f"{len(loud.failed)} of {len(loud.calls)} {loud.ends()}".strip()
    ok = bool(loud.calls) and not loud.failed
    yield Row("bombs: honest calls failed", figure, "0", ok, seconds)
    before = max(quiet.percentile(99), LEAST)
    seen = {attack.bomb.name: honest.between(attack.start, attack.end) for attack in attacks}
    slow = {name: w for name, w in seen.items() if not w.percentile(99) < TIMES * before}
    for name, window in slow.items():
        yield _slow(name, window, before)
    worst = max(seen, key=lambda name: seen[name].percentile(99))
    yield Row(
        "bombs: honest p99, the worst of the bombs",
        f"{seen[worst].percentile(99) * 1e3:.1f} ms with {worst}; calm {before * 1e3:.1f} ms; "
        f"p50 {loud.percentile(50) * 1e3:.1f} against {quiet.percentile(50) * 1e3:.1f} ms",
        f"< {TIMES} x calm", not slow, seconds,
    )  # fmt: skip


def _slow(name: str, window: Window, before: float) -> Row:
    figure = f"{window.percentile(99) * 1e3:.1f} ms of {len(window.calls)} calls"
    return Row(f"honest p99 during {name}", figure, f"< {TIMES * before * 1e3:.1f} ms", False)


def _alive(service: Service) -> Row:
    """The HTTP process is the one that was started, and has seen nothing unforeseen."""
    errors = service.told().count("Traceback")
    figure = ("alive" if service.alive else "dead") + f", {errors} tracebacks in its log"
    return Row("bombs: the HTTP process", figure, "alive, 0", service.alive and not errors)


def _freed(plan: Plan) -> Row:
    """With one worker alone: how long after a caller left the next call is answered."""
    clock = Clock()
    settings = {"threads": 1, "deadline": 20, "workers": 1, "spare_workers": 0}
    waits = []
    with serving(plan.place("freed"), **settings) as service:
        address = ("127.0.0.1", service.port)
        with httpx.Client(base_url=service.url, timeout=60) as http:
            endless, quick = (
                f"/nets/{_uploaded(http, model)}/evaluate"
                for model in (nets.endless_loop(), nets.filled_within(10))
            )
            http.post(quick, json={"data": {"x": 1}}).raise_for_status()
            for _ in range(5):
                wires.leaving(address, endless, b'{"data": {"x": [1, 2]}}', 0.5)
                start = time.perf_counter()
                http.post(quick, json={"data": {"x": 1}}).raise_for_status()
                waits.append(time.perf_counter() - start)
    figure = f"at most {max(waits):.2f} s of {len(waits)} times"
    return Row(
        "bombs: a worker whose caller left is free", figure, "<= 1 s", max(waits) <= 1, clock()
    )


def _uploaded(http: httpx.Client, model: bytes) -> str:
    return str(http.post("/nets", content=model).raise_for_status().json()["id"])
