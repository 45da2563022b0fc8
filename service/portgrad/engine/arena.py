"""The memory that all sessions of this process compute in: one arena, which grows by what is asked.

By default the runtime gives each session an arena of its own, which keeps what its largest run took
and grows by powers of two. Under a limit of memory a few nets then starve the others, and after a
request that could not be met an arena takes all that is left. Regions of powers of two, of at most
64 MB, are no way around that: each run that failed for memory left 32 MB that could not be given
back, until a worker was full. Memory that a run is done with serves the next run of any session,
which is what makes it fast; `give_back` returns it.

In regions of what was asked, a gradient has no place among what activations left, which are of
other sizes. So a large run asks for one region first, of what it takes at once (`alive`):
`make_room`. What opening sessions left of the heap is in pieces that are too small for it, and goes
back to the system before.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.engine import waiting
from portgrad.engine.failures import for_memory
from portgrad.engine.rewrites.writing import Writer

Done = TypeVar("Done")
_ROW = 2**16  # bytes
_GROWTH = {
    "arena_extend_strategy": 1,  # as asked
    "max_dead_bytes_per_chunk": 2**16,  # what is larger than that of a chunk serves others
}


def _register() -> None:
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(_GROWTH))


_register()


def share(options: ort.SessionOptions) -> None:
    """Have a session compute in this arena. What it keeps is not there: it would hold regions."""
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")


def with_memory(work: Callable[[], Done]) -> Done:
    """The work's result; it is done once more without what earlier runs left here, where memory
    was short.
    """
    try:
        return work()
    except Exception as error:
        if not for_memory(error):
            raise
    give_back()
    return work()


def make_room(size: int, threads: int) -> None:
    """See that there is a region of so many bytes, free unless another run is in it.

    Args:
        size: the bytes.
        threads: how many threads touch them for the first time; 0 for all cores.
    """
    if size > _room.size:
        give_back()
        _trim()
        _fill(size, threads)
        _room.size = size


def give_back() -> None:
    """Return what no session uses at the moment to the system."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _room.size = 0
    _fill(1, 1, options)


def _trim() -> None:
    """Return what is free of the heap, where it is glibc's, which keeps it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


@dataclass
class _Room:
    size: int = 0


_room = _Room()


def _fill(size: int, threads: int, options: ort.RunOptions | None = None) -> None:
    """Take so many bytes of the arena for a moment, in whole rows."""
    _filling(threads).run(None, {"size": np.array([-(-size // _ROW), 1])}, options)


@cache
def _filling(threads: int) -> ort.InferenceSession:
    """A session whose runs fill so many rows, and count. An arena shrinks as a run ends.

    Of what fills memory, sums have threads.
    """
    size = ir.Value(name="size", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([2]))
    graph = ir.Graph([size], [], nodes=[], opset_imports={"": 17}, name="filling")
    write = Writer(graph, "filling")
    column = write.node("ConstantOfShape", size, value=np.zeros(1, np.float32))
    row = write.constant(np.zeros((1, _ROW // 4), np.float32))
    filled = write.node("Add", column, row)
    graph.outputs.append(write.node("Size", filled, dtype=ir.DataType.INT64))
    options = ort.SessionOptions()
    waiting.share_out(options, threads)
    share(options)
    model = ir.to_proto(ir.Model(graph, ir_version=8)).SerializeToString()
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
