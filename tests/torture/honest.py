"""Honest clients, as a process of their own: `python -m torture.honest URL`.

They ask, hold each answer against what it must be, and write one line of JSON for each call. A
process of their own, so that neither the attacker's work nor its lock on the interpreter is in
their figures. They go on until their standard input ends.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, TextIO

import httpx
import numpy as np

from portgrad_client import Client, PortgradError
from support.formats import FORMATS, JSON, answer, request
from torture.nets import NETS, Honest, calls, right

Told = tuple[str, str]  # how it ended: "right", or a status and code; and a word about it


class Raw:
    """A plain HTTP client, in each format, that tries nothing again."""

    def __init__(self, url: str, timeout: float) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout)

    def __call__(self, call: Honest, fmt: str) -> Told:
        written = {"encoding": "base64"} if fmt == JSON else {}
        sent = request(fmt, call.arrays, **call.options, **written)
        got = self._http.post(f"/nets/honest-{call.net}/{call.kind}", **sent)
        if got.status_code != 200:
            return f"{got.status_code} {_code(got)}", got.text[:300]
        found, _ = answer(fmt, got.content)
        return ("right", "") if right(found, call.expected) else ("wrong", repr(found)[:300])


class Sdk:
    """The client library, with its own defaults; what it hides is not seen here."""

    PREFIX: ClassVar = {"gradient": "grad/", "evaluate": "", "jvp": "jvp/"}

    def __init__(self, url: str, timeout: float) -> None:
        client = Client(url, timeout=timeout)
        self._nets = {name: client.net(f"honest-{name}") for name in NETS}

    def __call__(self, call: Honest, fmt: str) -> Told:
        data = {n: a for n, a in call.arrays.items() if not n.startswith("tangent/")}
        moved = {n.removeprefix("tangent/"): a for n, a in call.arrays.items() if n not in data}
        options = {**call.options, **({"tangents": moved} if moved else {})}
        try:
            found = getattr(self._nets[call.net], call.kind)(data, **options)
        except PortgradError as error:
            return f"{error.status} {error.code}", str(error)[:300]
        named = {self.PREFIX[call.kind] + name: array for name, array in found.items()}
        return ("right", "") if right(named, call.expected) else ("wrong", repr(named)[:300])


def _code(got: httpx.Response) -> str:
    try:
        return str(got.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "no problem"


class Crowd:
    """Clients on threads, and the file of what they saw."""

    def __init__(self, given: argparse.Namespace, out: TextIO) -> None:
        self._given, self._out = given, out
        self._lock, self._over = threading.Lock(), threading.Event()

    def run(self) -> None:
        """Until standard input ends."""
        kinds = {"raw": [Raw], "sdk": [Sdk], "both": [Raw, Sdk]}[self._given.how]
        threads = [
            threading.Thread(target=self._client, args=(number, kinds[number % len(kinds)]))
            for number in range(self._given.clients)
        ]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.read()
        self._over.set()
        for thread in threads:
            thread.join()

    def _client(self, number: int, kind: Callable[[str, float], Any]) -> None:
        ask = kind(self._given.url, self._given.timeout)
        chance = random.Random(number)
        mine = calls(np.random.default_rng(number))
        while not self._over.wait(chance.uniform(0.5, 1.5) * self._given.pause):
            call, fmt = chance.choice(mine), chance.choice(FORMATS)
            began, clock = time.time(), time.perf_counter()
            try:
                end, about = ask(call, fmt)
            except httpx.HTTPError as error:
                end, about = type(error).__name__, str(error)[:300]
            spent = time.perf_counter() - clock
            self._write(
                [began, spent, kind.__name__.lower(), f"{call.net} {call.kind}", end, about]
            )

    def _write(self, line: list[Any]) -> None:
        with self._lock:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()


def upload(url: str) -> None:
    """The honest nets, and a first call of each kind, so that all are compiled."""
    with httpx.Client(base_url=url, timeout=120) as http:
        for name, model in NETS.items():
            params = {"name": f"honest-{name}", "replace": "true"}
            http.post("/nets", content=model, params=params).raise_for_status()
    ask = Raw(url, 120)
    for call in calls(np.random.default_rng(0)):
        end, about = ask(call, JSON)
        if end != "right":
            raise RuntimeError(f"{call.net} {call.kind} is {end} even in calm: {about}")


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--how", choices=("raw", "sdk", "both"), default="raw")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between calls of one")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--out", default="/dev/stdout")
    given = parser.parse_args()
    upload(given.url)
    with open(given.out, "a", encoding="utf-8") as out:  # noqa: PTH123 - may be a device
        Crowd(given, out).run()


if __name__ == "__main__":
    main()
