"""How sessions of the runtime are opened: with which options, and what is told of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime as ort

from portgrad.engine import arena, stopping, waiting
from portgrad.engine.failures import for_memory, not_runnable, run_failed

FOLDING = "ConstantFolding"


def options_for(threads: int, *, reuse: bool) -> ort.SessionOptions:
    """What holds of all sessions.

    Args:
        threads: how many threads one run may use; 0 for all cores.
        reuse: whether memory is planned when a session is opened.
    """
    options = ort.SessionOptions()
    waiting.share_out(options, threads)
    arena.share(options)
    # Fused to integer kernels, a quantised net rounds otherwise than it says, and otherwise
    # than in a gradient graph, which reads the numbers in between.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # A plan of the memory of a run is made by the first one, takes time by the square of its
    # steps, and then takes the memory once more.
    options.enable_mem_pattern = False
    # A plan of what takes whose place keeps what is done with until its like comes. In the
    # arena it is free for anything, but each kernel goes there.
    options.enable_mem_reuse = reuse
    return options


@contextmanager
def telling() -> Iterator[None]:
    """What the runtime says of a graph that it does not open, as our error."""
    try:
        yield
    except Exception as error:  # the runtime raises many kinds, about memory or the graph
        stopping.options()  # raises where it was given up on purpose
        raise (run_failed if for_memory(error) else not_runnable)(error) from error


def opened(
    graph: bytes, options: ort.SessionOptions, left_out: list[str], *, branches: bool
) -> ort.InferenceSession:
    """A session of a graph.

    Args:
        graph: the graph as bytes.
        options: what holds of it.
        left_out: optimizers that do not run.
        branches: whether there is an If.
    """
    with stopping.opening(options):
        return arena.with_memory(lambda: _opened(graph, options, left_out, branches))


def _opened(
    graph: bytes, options: ort.SessionOptions, left_out: list[str], branches: bool
) -> ort.InferenceSession:
    """A session, without some optimizers. Folding a constant condition, the runtime puts a branch
    in the place of its If and may forget a value that only that branch read (seen in 1.32): then
    nothing is folded.
    """
    providers = ["CPUExecutionProvider"]
    try:
        return ort.InferenceSession(
            graph, options, providers=providers, disabled_optimizers=left_out
        )
    except Exception:  # whatever it raises, it raises again if that was not why
        if not branches:
            raise
        return ort.InferenceSession(
            graph,
            options,
            providers=providers,
            disabled_optimizers=[*left_out, FOLDING],
        )
