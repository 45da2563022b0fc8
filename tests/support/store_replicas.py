"""Several processes on one store, for the tests of crashes and races.

    crash_at_each_step    one store below the folder for each step of a life, killed there
    crash_taking_over     the same of opening a data folder that had no owners
    crash_at_random       uploads in a loop, killed eight times
    race                  the same nets and names, four processes at once

`run` starts a process for a task: without threads, and with everything imported once, it can fork.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portgrad.errors import Conflict, NotFound
from portgrad.graph.files import NetFiles, sha256
from portgrad.store import LocalStore
from support.store_life import EXTERNAL, calls
from support.stored_nets import fill, opened, put

FORK = multiprocessing.get_context("fork")
STEPS = ("mkdir", "rmdir", "rename", "replace", "unlink")
KILLS, REPLICAS, ROUNDS = 8, 4, 4


def run(task: str, folder: Path) -> str:
    """Run a task in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, task, folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def acknowledge(root: Path, state: int) -> None:
    (root.parent / f"{root.name}.acknowledged").write_text(str(state))


def one_life(root: Path) -> None:
    """Everything that changes a store; states are counted as `store_life` lists them."""
    opened(root)
    acknowledge(root, state := 0)
    for states, call in calls(root):
        call()
        acknowledge(root, state := state + states)


def an_old_folder(root: Path) -> None:
    """What a release without owners left behind: two nets, one with two names."""
    for model, names in ((b"one", ("first", "second")), (b"two", ())):
        net_id = NetFiles(model).net_id()
        hints = root / "nets" / net_id / "names"
        hints.mkdir(parents=True)
        manifest = {"model": sha256(model), "external": []}
        (hints.parent / "manifest.json").write_text(json.dumps(manifest))
        (hints.parent / "description.json").write_text('{"opset": 21}')
        (hints.parent / "model.onnx").write_bytes(model)
        (root / "names").mkdir(exist_ok=True)
        for name in names:
            (hints / name).touch()
            (root / "names" / name).write_text(net_id)
    for rest in (".lock", ".next"):
        (root / "names" / rest).touch()


def take_over(root: Path) -> None:
    """Open a data folder of an old release for the first time."""
    opened(root)


def until_step(root: Path, last: int, life: Callable[[Path], None]) -> None:
    """Live until the call with that number, which is never made."""
    remaining = iter(range(last))

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            if next(remaining, None) is None:
                die()
            return call(*args, **options)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    # A sync changes nothing that a process sees, but is a good moment to die at.
    os.fsync = counted(lambda descriptor: None)
    os.sync = counted(lambda: None)
    life(root)


def crash_at_each_step(folder: Path, life: Callable[[Path], None] = one_life) -> None:
    for last in range(1000):
        if life is take_over:
            an_old_folder(folder / f"{last:03}")
        process = FORK.Process(target=until_step, args=(folder / f"{last:03}", last, life))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
    raise AssertionError("the life never ended")


def crash_taking_over(folder: Path) -> None:
    crash_at_each_step(folder, take_over)


def upload_for_ever(root: Path, seed: int) -> None:
    store, source = opened(root), random.Random(seed)
    while True:
        net_id = put(store, source.randbytes(200_000), {"w": source.randbytes(100_000)}, {"n": 1})
        store.bind("latest", net_id, replace=True)


def crash_at_random(root: Path) -> None:
    moments = random.Random(1)
    LocalStore(root)
    for seed in range(KILLS):
        process = FORK.Process(target=upload_for_ever, args=(root, seed))
        process.start()
        while not any((root / "staging").iterdir()):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()


def replica(root: Path, number: int, start: Any, results: Any) -> None:
    store = opened(root)
    mine = put(store, b"replica %d" % number)
    for turn in range(ROUNDS):
        with store.begin() as upload:
            fill(upload, b"shared %d" % turn, EXTERNAL)
            start.wait()
            new = store.commit(upload, {"by": number})
        start.wait()
        try:
            bound = store.bind(f"first-{turn}", mine)
        except Conflict:
            bound = False
        start.wait()
        moved = store.bind("moved", mine, replace=True)
        # Whoever starts meanwhile must not take a living upload for a leftover.
        LocalStore(root)
        results.put({"turn": turn, "new": new, "bound": bound, "moved": moved})


def watch(root: Path, stop: Any, results: Any) -> None:
    store, missing, seen = opened(root), 0, 0
    while not stop.is_set():
        try:
            store.verify(store.resolve("moved"))
            seen += 1
        except NotFound:
            missing += 1
    results.put({"missing": missing, "seen": seen})


def race(root: Path) -> None:
    store = opened(root)
    store.bind("moved", put(store, b"anything"))
    start, stop = FORK.Barrier(REPLICAS, timeout=30), FORK.Event()
    results, watched = FORK.SimpleQueue(), FORK.SimpleQueue()
    watcher = FORK.Process(target=watch, args=(root, stop, watched))
    watcher.start()
    replicas = [
        FORK.Process(target=replica, args=(root, number, start, results))
        for number in range(REPLICAS)
    ]
    for process in replicas:
        process.start()
    for process in replicas:
        process.join()
    stop.set()
    watcher.join()
    exits = [process.exitcode for process in (*replicas, watcher)]
    assert not any(exits), exits
    # Few and small enough to wait in the pipe.
    outcomes = [results.get() for _ in range(REPLICAS * ROUNDS)]
    print(json.dumps({"outcomes": outcomes, "watched": watched.get()}))


if __name__ == "__main__":
    os.fsync = lambda descriptor: None
    os.sync = lambda: None
    tasks = (crash_at_each_step, crash_taking_over, crash_at_random, race)
    {task.__name__: task for task in tasks}[sys.argv[1]](Path(sys.argv[2]))
