"""Kinds of attack: a net, a body, a connection; and how each is answered and judged."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import httpx

from torture.bombs import nets, wires


@dataclass(frozen=True)
class Target:
    """The service under attack, and the times that its settings allow."""

    url: str
    deadline: float
    compile_seconds: float
    header_seconds: float
    body_seconds: float

    @property
    def address(self) -> wires.Address:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)


@dataclass(frozen=True)
class Outcome:
    """How an attack was answered: a stage, status and code; in how many seconds of how many."""

    answer: str
    seconds: float
    allowed: float
    about: str = ""


class Attack(Protocol):
    """What does it once."""

    def ready(self) -> None:
        """Make what is sent, which may take a while and is no part of the attack."""

    def __call__(self, target: Target) -> Outcome:
        """Do it."""


@dataclass(frozen=True)
class Bomb:
    """One attack.

    Args:
        name: what it is.
        attack: does it once.
        right: the answers that are right.
    """

    name: str
    attack: Attack
    right: tuple[str, ...]

    def hit(self, outcome: Outcome) -> bool:
        """Whether the bomber got the right problem in time."""
        return outcome.answer in self.right and outcome.seconds <= outcome.allowed + 0.5


class Net:
    """Uploads a net, under a new id each time, and calls it if it was accepted."""

    def __init__(
        self,
        model: Callable[[], bytes],
        data: Mapping[str, Any],
        kind: str = "evaluate",
        deadline: float | None = None,
    ) -> None:
        self._model, self._kind, self._deadline = cache(model), kind, deadline
        self._body = {"data": data, **({} if deadline is None else {"deadline": deadline})}

    def ready(self) -> None:
        """Make the net."""
        self._model()

    def __call__(self, target: Target) -> Outcome:
        """Upload and call."""
        sent = nets.unlike(self._model(), secrets.token_hex(8))
        deadline = self._deadline or target.deadline
        with httpx.Client(base_url=target.url, timeout=120) as http:
            outcome, got = _timed(target.compile_seconds, "upload", http, "/nets", content=sent)
            if got is None or not got.is_success:
                return outcome
            path = f"/nets/{got.json()['id']}"
            outcome, _ = _timed(deadline, "call", http, f"{path}/{self._kind}", json=self._body)
            http.delete(path)
        return outcome


class Body:
    """Sends a body to an honest net."""

    def __init__(self, content: Callable[[], bytes], **headers: str) -> None:
        self._content = cache(content)
        self._headers = {name.replace("_", "-"): text for name, text in headers.items()}

    def ready(self) -> None:
        """Make the body."""
        self._content()

    def __call__(self, target: Target) -> Outcome:
        """Send it."""
        sent = {"content": self._content(), "headers": self._headers}
        with httpx.Client(base_url=target.url, timeout=120) as http:
            return _timed(target.deadline, "call", http, "/nets/honest-times/gradient", **sent)[0]


class Wire:
    """Plays with a connection, for as long as a setting allows; without one, for long."""

    def __init__(self, act: Callable[[Target], str], setting: str | None = None) -> None:
        self._act, self._setting = act, setting

    def ready(self) -> None:
        """There is nothing to make."""

    def __call__(self, target: Target) -> Outcome:
        """Play."""
        start = time.perf_counter()
        answer = self._act(target)
        allowed = 30.0 if self._setting is None else getattr(target, self._setting)
        return Outcome(answer, time.perf_counter() - start, allowed)


def asking(path: str, model: Callable[[], bytes], data: Mapping[str, Any], act: Any) -> Any:
    """Uploads a net and plays with the connection of a call of it."""

    def play(target: Target) -> str:
        sent = nets.unlike(model(), secrets.token_hex(8))
        got = httpx.post(target.url + "/nets", content=sent, timeout=120).raise_for_status()
        ask = json.dumps({"data": data}).encode()
        answer: str = act(target.address, f"/nets/{got.json()['id']}/{path}", ask)
        return answer

    return play


def _timed(
    allowed: float, stage: str, http: httpx.Client, path: str, **sent: Any
) -> tuple[Outcome, httpx.Response | None]:
    start = time.perf_counter()
    try:
        got = http.post(path, **sent)
    except httpx.HTTPError as error:
        spent = time.perf_counter() - start
        return Outcome(f"{stage} {type(error).__name__}", spent, allowed, str(error)), None
    spent = time.perf_counter() - start
    answer = f"{stage} {got.status_code}"
    if got.is_success:
        return Outcome(answer, spent, allowed), got
    code, detail = _problem(got)
    return Outcome(f"{answer} {code}", spent, allowed, detail), got


def _problem(got: httpx.Response) -> tuple[str, str]:
    """Code and detail of a problem, or what came in its place."""
    try:
        problem = got.json()
        return str(problem["code"]), str(problem["detail"])[:120]
    except (ValueError, KeyError, TypeError):
        return "no problem", got.text[:120]
