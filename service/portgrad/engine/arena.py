"""The memory that all sessions of this process compute in: one arena, which grows by what is asked.

By default the runtime gives each session an arena of its own, which keeps what its largest run took
and grows by powers of two. Under a limit of memory a few nets then starve the others, and after a
request that could not be met an arena takes all that is left. Regions of powers of two, of at most
64 MB, took 170 MB less for all gradients of BERT-base; but each run that failed for memory left
32 MB that could not be given back, until a worker was full. Memory that a run is done with serves
the next run of any session, which is what makes it fast; `give_back` returns it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.engine.failures import for_memory

Done = TypeVar("Done")
_AS_ASKED = 1  # an arena_extend_strategy


def _register() -> None:
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    growth = ort.OrtArenaCfg({"arena_extend_strategy": _AS_ASKED})
    ort.create_and_register_allocator(memory, growth)


_register()


def share(options: ort.SessionOptions) -> None:
    """Have a session compute in this arena."""
    options.add_session_config_entry("session.use_env_allocators", "1")


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


def give_back() -> None:
    """Return what no session uses at the moment to the system."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _smallest().run(None, {"x": np.zeros(1, np.float32)}, options)


@cache
def _smallest() -> ort.InferenceSession:
    """A session whose runs take next to nothing: the arena shrinks at the end of a run."""
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1]))
    node = ir.Node("", "Identity", [x], num_outputs=1)
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 17}, name="smallest")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    share(options)
    model = ir.to_proto(ir.Model(graph, ir_version=8)).SerializeToString()
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
