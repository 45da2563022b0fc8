"""The time of a gradient over that of the best of PyTorch eager, torch.compile and jax.jit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.parts.speed import middle, titled
from benchmarks.rows import MEDIAN, Row
from benchmarks.turns import Call, Times, by_turns, ratio
from benchmarks.zoo import ZOO, Specimen
from benchmarks.zoo.files import exported

TABLE = "The gradient over the best of PyTorch eager, torch.compile and jax.jit"
NETS = ("mlp", "resnet50", "vit", "bert", "gpt2")  # those that are written for jax too
GOAL = 1.0
Refusals = dict[str, str]


def rows(given: Given) -> Iterator[Row]:
    """A row for each net, number of threads and `wrt`."""
    for name in filter(given.wanted, NETS):
        path = exported(name, given.folder)
        for threads in given.threads:
            for wrt in sides.WRT:
                task = (name, path, wrt, threads, given)
                times, refused = apart(_times, *task, NPROC=str(threads))  # jax's threads
                yield _row(name, titled(wrt, threads), times, refused)


def summary(found: Sequence[Row]) -> Iterator[Row]:
    """The median of each column, which the goal is for."""
    some = [row for row in found if row.what != MEDIAN and row.figure]
    for column in dict.fromkeys(row.column for row in some):
        figures = [row.figure for row in some if row.column == column and row.figure]
        yield middle(TABLE, column, figures, GOAL)


def _row(name: str, column: str, times: Times, refused: Refusals) -> Row:
    peers = {peer: ratio(times, "gradient", peer) for peer in times if peer != "gradient"}
    best = max(peers, key=lambda peer: peers[peer].median)
    told = [f"{peer} {found.median:.3g}×" for peer, found in peers.items()]
    told += [f"{peer} refused: {why}" for peer, why in refused.items()]
    note = f"best is {best} ({', '.join(told)})"
    found = peers[best]
    place = {"spread": found.quartiles, "column": column, "raw": found.raw}
    return Row(TABLE, ZOO[name].title, found.median, note=note, **place)


def _times(name: str, path: Path, wrt: str, threads: int, given: Given) -> tuple[Times, Refusals]:
    torch.set_num_threads(threads)
    specimen = ZOO[name]
    net = portgrad.load(path, threads=threads)
    calls: dict[str, Call] = {"gradient": sides.gradient(specimen, path, wrt, net)}
    refused: Refusals = {}
    for peer, call in _peers(specimen, wrt).items():
        try:
            call()
        except Exception as error:  # a compiler that is not there, or that fails on this net
            refused[peer] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
        else:
            calls[peer] = call
    return by_turns(calls, given.rounds, given.clock), refused


def _peers(specimen: Specimen, wrt: str) -> dict[str, Call]:
    from benchmarks import jax_nets  # noqa: PLC0415 (it starts threads)

    data = np.array(next(iter(sides.arrays(specimen).values())))
    jax = jax_nets.gradient(specimen.name, specimen.module, data, wrt)
    eager = sides.Torch(specimen, wrt)
    return {"eager": eager, "torch.compile": eager.compiled(), "jax.jit": jax}
