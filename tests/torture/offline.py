"""Mutants through the engine alone, each in a forked child with little memory and little time.

    PYTHONPATH=tests python -m torture.offline 0 2000

prints each one that died, hung, took much memory, or raised what is no error of Portgrad's.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

import portgrad
from portgrad.engine.arrays import dtype_named
from portgrad.errors import PortgradError
from portgrad.graph.files import NetFiles
from torture import base_nets
from torture.mutations import mutated

SECONDS, SLOW = 10, 5.0
MEMORY, MUCH = 3 * 2**30, 2**30
LARGEST = 10**6  # elements that are sent to one port


def main(first: int, last: int) -> int:
    """Run the mutants from one seed to another; how many misbehaved."""
    base_nets.whole(), base_nets.rows()  # once, for all children
    told: collections.Counter[str] = collections.Counter()
    bad = 0
    for seed in range(first, last):
        found = child(seed)
        told[found["outcome"]] += 1
        if found["bad"]:
            bad += 1
            print(json.dumps({"seed": seed, "done": mutated(seed).done, **found}), flush=True)
    print(json.dumps(dict(told.most_common())), flush=True)
    return bad


def child(seed: int) -> dict[str, Any]:
    """What became of one mutant."""
    reader, writer = os.pipe()
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _confined(seed, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123 (a descriptor, no path)
        text = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    found = json.loads(text) if text.endswith(b"}") else {"outcome": f"died: {status}"}
    found |= {"seconds": round(time.perf_counter() - started, 2), "rss": usage.ru_maxrss * 1024}
    grown = found["rss"] - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sound = found["outcome"] == "answered" or found.get("code")
    found["bad"] = not sound or found["seconds"] > SLOW or grown > MUCH
    return found


def _confined(seed: int, writer: int) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(SECONDS)
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS - 1)
    os.write(writer, json.dumps(outcome(seed)).encode())
    os._exit(0)


def outcome(seed: int) -> dict[str, Any]:
    """Upload and gradient of a mutant, here and now."""
    mutant = mutated(seed)
    stage = "load"
    try:
        net = portgrad.load(NetFiles(mutant.model, mutant.external), threads=1)
        stage = "check"
        net.check()
        net.description.plain()
        stage = "gradient"
        net.gradient(plausible(net), outputs=True)
    except PortgradError as error:
        return {"outcome": f"{stage}: {error.code}", "code": error.code, "text": str(error)[:300]}
    except BaseException as error:
        frames = traceback.format_exc()[-1500:]
        return {"outcome": f"{stage}: {type(error).__name__}", "trace": frames}
    return {"outcome": "answered"}


def plausible(net: portgrad.Net) -> dict[str, Any]:
    """Data that a net's ports may take: 2 for every open size, small numbers."""
    rng = np.random.default_rng(1)
    data = {}
    for port in net.description.plain()["inputs"]:
        shape = [size if isinstance(size, int) else 2 for size in port["shape"] or []]
        if np.prod(shape, dtype=float) > LARGEST:
            shape = [min(size, 2) for size in shape]
        kind = port["dtype"]
        element = kind.removeprefix("sequence(").removesuffix(")")
        try:
            dtype = dtype_named(element)
        except TypeError:  # what is no array cannot be sent
            dtype = np.dtype(np.float32)
        array = np.asarray(
            rng.integers(0, 3, shape) if dtype.kind in "biu" else rng.normal(size=shape)
        )
        array = array.astype(str).astype(object) if dtype.kind == "O" else array.astype(dtype)
        data[port["name"]] = array if kind == element else [array]
    return data


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
