"""Time from uploaded bytes to the first gradient, and of the first gradient at something else.

Each round is a process of its own, in which everything is imported and a tiny net has run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.turns import spread
from benchmarks.zoo import ZOO
from benchmarks.zoo.files import exported

TABLE = "Time to the first gradient"
THREADS = 2
MOST_ROUNDS = 5
SMALL = 0.05  # seconds, of nets up to 60 nodes
Seconds = dict[str, float]


def rows(given: Given) -> Iterator[Row]:
    """ResNet-50, a second `wrt`, and small nets."""
    rounds = range(min(given.rounds, MOST_ROUNDS))
    if given.wanted("resnet50"):
        path = exported("resnet50", given.folder)
        yield from _large([apart(_resnet, path) for _ in rounds])
    for name in ("mlp", "acas1"):
        if given.wanted(name):
            path, data = exported(name, given.folder), sides.arrays(ZOO[name])
            yield _small(ZOO[name].title, [apart(_first, path.read_bytes(), data) for _ in rounds])
    if not given.nets:
        data = {"x": np.ones((4, 16), np.float32)}
        yield _small("60 nodes", [apart(_first, chain(60), data) for _ in rounds])


def _large(found: list[Seconds]) -> Iterator[Row]:
    session = spread([one["session"] for one in found]).median
    bounds = {"first": (2.0, 1.0), "second": (1.3, 0.3)}
    titles = {"first": "ResNet-50, all", "second": "ResNet-50, a second wrt (inputs)"}
    for which, (times, more) in bounds.items():
        seconds = spread([one[which] for one in found])
        note = f"the goal is {times} × {session:.2f} s of onnxruntime's own session + {more} s; "
        note += f"{spread([one[f'{which} run'] for one in found]).median:.2f} s of it is the run"
        goal = times * session + more
        place = {"spread": seconds.quartiles, "note": note, "raw": seconds.raw}
        yield Row(TABLE, titles[which], seconds.median, goal, unit="s", **place)


def _small(what: str, found: list[float]) -> Row:
    seconds = spread(found)
    place = {"spread": seconds.quartiles, "raw": seconds.raw}
    return Row(TABLE, f"{what}, all", seconds.median, SMALL, unit="s", **place)


def _resnet(path: Path) -> Seconds:
    model, data = path.read_bytes(), sides.arrays(ZOO["resnet50"])
    warm()
    session = _timed(lambda: _session(model))
    start = time.perf_counter()
    net = portgrad.load(model, threads=THREADS)
    net.gradient(data, wrt="all")
    first = time.perf_counter() - start
    second = _timed(lambda: net.gradient(data))
    runs = {
        f"{which} run": _timed(lambda wrt=wrt: net.gradient(data, wrt=wrt))
        for which, wrt in (("first", "all"), ("second", "inputs"))
    }
    return {"session": session, "first": first, "second": second, **runs}


def _first(model: bytes, data: dict[str, np.ndarray]) -> float:
    warm()
    return _timed(lambda: portgrad.load(model, threads=THREADS).gradient(data, wrt="all"))


def warm() -> None:
    """Everything is imported, and every pass has run."""
    net = portgrad.load(chain(3), threads=THREADS)
    net.gradient({"x": np.ones((4, 16), np.float32)}, wrt="all")


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def chain(nodes: int, width: int = 16) -> bytes:
    """Layers of three nodes, one after the other: MatMul, Add, Tanh; each with its own weights."""
    draw = np.random.default_rng(0).standard_normal
    made, held, x = [], [], "x"
    for layer in range(nodes // 3):
        w, b = f"w{layer}", f"b{layer}"
        for name, shape in ((w, (width, width)), (b, (width,))):
            array = draw(shape).astype(np.float32) * width**-0.5
            held.append(numpy_helper.from_array(array, name))
        for op, operands in (("MatMul", [w]), ("Add", [b]), ("Tanh", [])):
            made.append(helper.make_node(op, [x, *operands], [f"{op}{layer}"]))
            x = f"{op}{layer}"
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])]
    ends = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", width])]
    graph = helper.make_graph(made, "chain", ports, ends, held)
    imports = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()
