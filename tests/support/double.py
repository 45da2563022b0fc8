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
    return functools.partial(_run_quietly, ReferenceEvaluator(model, new_ops=[Erf, Gelu]))


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
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

    def total(sign: float) -> float:
        moved = {
            name: (x + sign * step * directions[name]).astype(x.dtype) if name in directions else x
            for name, x in feeds.items()
        }
        outputs = run(moved)
        return float(
            sum(
                np.vdot(s.astype(np.float64), y.astype(np.float64))
                for s, y in zip(seeds, outputs, strict=True)
            )
        )

    return (total(1.0) - total(-1.0)) / (2.0 * step)
