"""Running small models in float64, and central differences on them.

onnxruntime where it has double kernels for every node, else onnx's reference evaluator with the
operators replaced that compute in float32 inside.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from support.loops import Loop, Scan
from support.recurrent import GRU, LSTM, RNN

Arrays = dict[str, np.ndarray]

ort.set_default_logger_severity(4)

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Erf(OpRun):
    """The reference's own returns float32."""

    op_domain = ""

    def _run(self, x):  # type: ignore[no-untyped-def]
        return (_erf(x).astype(x.dtype) if x.size else x,)


class Gelu(OpRun):
    """The reference's own returns float32."""

    op_domain = ""

    def _run(self, x, approximate=None):  # type: ignore[no-untyped-def]
        if approximate == "tanh":
            u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return ((0.5 * x * (1 + np.tanh(u))).astype(x.dtype),)
        return ((0.5 * x * (1 + _erf(x / math.sqrt(2)))).astype(x.dtype) if x.size else x,)


_NEW = [Erf, Gelu, GRU, Loop, LSTM, RNN, Scan]
_THROWING = {"GRU", "LSTM"}  # onnxruntime has double kernels of them that refuse to run


def runner(model: onnx.ModelProto, *, engine: str = "any") -> Callable[[Arrays], list[np.ndarray]]:
    """A function from feeds to outputs. `engine`: any, onnxruntime or reference."""
    if engine != "reference":
        try:
            session = _session(model)
        except Exception:
            if engine == "onnxruntime":
                raise
        else:
            return functools.partial(_run_quietly, session)
    evaluator = ReferenceEvaluator(_all_outputs_named(model), new_ops=_NEW)
    return functools.partial(_run_quietly, evaluator)


def _all_outputs_named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The reference would take an output without a name for every operand that is left out."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    for count, node in enumerate(named.graph.node):
        node.output[:] = [y or f"unnamed/{count}/{k}" for k, y in enumerate(node.output)]
    return named


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    kinds = {x.type.tensor_type.elem_type for x in model.graph.input}
    if onnx.TensorProto.DOUBLE in kinds and any(n.op_type in _THROWING for n in model.graph.node):
        raise NotImplementedError("no double kernel that runs")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _run_quietly(evaluator: ort.InferenceSession | ReferenceEvaluator, feeds: Arrays):  # type: ignore[no-untyped-def]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference warns of its own overflows
        return [np.asarray(out) for out in evaluator.run(None, feeds)]


def directional(
    run: Callable[[Arrays], Sequence[np.ndarray]],
    feeds: Arrays,
    seeds: Sequence[np.ndarray],
    directions: Mapping[str, np.ndarray],
    step: float,
) -> float:
    """The derivative of the seeds' dot product with the outputs along directions of the inputs."""

    ahead = _total(run, _moved(feeds, directions, step), seeds)
    return (ahead - _total(run, _moved(feeds, directions, -step), seeds)) / (2.0 * step)


def _moved(feeds: Arrays, directions: Mapping[str, np.ndarray], step: float) -> Arrays:
    return {
        name: np.asarray(x + step * directions[name], x.dtype) if name in directions else x
        for name, x in feeds.items()
    }


def _total(
    run: Callable[[Arrays], Sequence[np.ndarray]], feeds: Arrays, seeds: Sequence[np.ndarray]
) -> float:
    pairs = zip(seeds, run(feeds), strict=True)
    return float(sum(np.vdot(s.astype(np.float64), y.astype(np.float64)) for s, y in pairs))
