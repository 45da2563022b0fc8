"""Nets whose gradients become files, and what the engine itself answers: for all runtimes."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx.reference.op_run import OpRun

import portgrad
from support import quantised_nets
from support.double import Arrays
from support.engine import net_bytes, random
from support.exporters.sample import FOLDER, read
from support.loops import Loop, Scan

# x through a branch, a loop and a scan, one after the other.
CONTROL = """(float[N, 3] x, int64 trips, bool grow) => (float[N, 3] y, float[M] sums) {
  chosen = If(grow) <
    then_branch = larger () => (float[N, 3] a) { a = Exp(x) },
    else_branch = other () => (float[N, 3] b) { b = Mul(x, w) }>
  y = Loop(trips, , chosen) <
    body = step (int64 i, bool going, float[N, 3] s) => (bool on, float[N, 3] t) {
      on = Identity(going) u = Mul(s, w) v = Sin(u) t = Add(v, s) }>
  zero = ReduceSum <keepdims = 0> (zeros)
  total, sums = Scan <num_scan_inputs = 1,
    body = add (float p, float[3] row) => (float q, float r) {
      part = ReduceSum <keepdims = 0> (row) scaled = Mul(p, half) q = Add(scaled, part)
      r = Mul(q, q) }> (zero, y)
}"""
CONTROL_WEIGHTS = {
    "w": np.array([0.5, -1.5, 2.0], np.float32),
    "zeros": np.zeros(3, np.float32),
    "half": np.float32(0.5).reshape(()),
}
NARROW = """(float[N, 4] x) => (float[N, 2] y) {
  b = Cast <to = 16> (x) p = MatMul(b, w) t = Tanh(p) y = Cast <to = 1> (t) }"""
UNREAD = "(float[N] x, float[K, 2] unread, int64[K] codes) => (float[N] y) { y = Mul(x, x) }"


@dataclass(frozen=True)
class Net:
    """A net, data for it, and what its file is asked to hold.

    Args:
        source: the bytes of the net, made when they are wanted.
        data: an array for each input port.
        options: of `export_gradient`.
        engine: what the runtime is told so that it computes what the engine does.
        own: the operators that onnx's reference evaluator gets wrong, and is given anew.
        beyond: why it cannot run the file all the same.
        close: what another runtime's numbers may differ by, relative to their size.
        rounding: what the file's may differ by from the engine's on the same runtime, relative to
            the largest of an array; 0 for not by a bit.
    """

    source: Callable[[], bytes]
    data: Callable[[], Arrays]
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: Mapping[str, str] = field(default_factory=dict)
    own: tuple[type[OpRun], ...] = ()
    beyond: str = ""
    close: float = 1e-5
    rounding: float = 0.0


@dataclass(frozen=True)
class Made:
    """A file, feeds for it, and the arrays that it must give."""

    content: bytes
    feeds: Arrays
    want: Arrays


def _exported(name: str, **more: Any) -> Net:
    path = FOLDER / f"{name}.onnx"
    return Net(path.read_bytes, lambda: dict(read(path.with_suffix(".npz")).inputs), **more)


def _optimised() -> bytes:
    """A BERT as onnxruntime saves it: with operators of its own."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "net.onnx")
        options.log_severity_level = 4  # it warns that the file is for this machine
        path = FOLDER / "torch_script/bert.onnx"
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return (Path(folder) / "net.onnx").read_bytes()


def _control(grow: bool) -> Arrays:
    return {"x": random(2, 3), "trips": np.array(3), "grow": np.array(grow)}


def _narrow() -> bytes:
    weights = random(4, 2, seed=1).astype(np.dtype("bfloat16"))
    return net_bytes(NARROW, {"w": weights})


def _mlp() -> Arrays:
    return {"x": quantised_nets.data(quantised_nets.mlp())}


_QDQ = {"session.disable_quant_qdq": "1"}

NETS: dict[str, Net] = {
    "mlp": _exported("torch_dynamo/mlp", options={"wrt": "all", "outputs": True}),
    "cnn": _exported(
        "torch_dynamo/cnn",
        options={"wrt": "all", "seeds": True},
        beyond="its Conv and ConvTranspose get groups wrong",
        rounding=1e-6,  # the engine's convolutions stay in blocks of channels
    ),
    "conv": Net(
        lambda: quantised_nets.convolutional().SerializeToString(),
        lambda: {"x": quantised_nets.data(quantised_nets.convolutional())},
        {"wrt": "all", "outputs": True},
    ),
    "lstm": _exported("torch_dynamo/lstm", options={"outputs": True, "seeds": True}, own=(Scan,)),
    "gru-keras": _exported("keras/gru", options={"wrt": "all"}, own=(Loop,)),
    "attention": _exported("torch_script/attention", options={"wrt": "all", "seeds": True}),
    "vit": _exported(
        "torch_dynamo/vit",
        options={"outputs": True},
        rounding=1e-6,  # the runtime joins attention's scales where no reshape is between, as there
    ),
    "function": _exported("onnxscript/functions", options={"wrt": "all", "seeds": True}),
    "classifier": _exported(
        "skl2onnx/logistic_regression", options={"of": ["probabilities"], "seeds": True}
    ),
    "if-loop-scan": Net(
        lambda: net_bytes(CONTROL, CONTROL_WEIGHTS),
        lambda: _control(grow=True),
        {"wrt": "all", "outputs": True, "seeds": True},
        own=(Loop, Scan),
    ),
    "sequences": _exported(
        "torch_script/growing",
        options={"outputs": True},
        own=(Loop,),
        beyond="its SequenceInsert divides by the length of an empty sequence",
    ),
    "bert-optimised": Net(
        _optimised,
        lambda: dict(read(FOLDER / "torch_script/bert.npz").inputs),
        {"wrt": "parameters", "outputs": True},
    ),
    "quantised": Net(
        lambda: quantised_nets.static(quantised_nets.mlp, True),
        _mlp,
        {"quantized": "straight_through", "outputs": True},
        engine=_QDQ,
    ),
    "quantised-dynamically": Net(
        lambda: quantised_nets.dynamic(quantised_nets.mlp),
        _mlp,
        {"quantized": "straight_through", "outputs": True},
    ),
    "bfloat16-inside": Net(_narrow, lambda: {"x": random(3, 4)}, {"outputs": True}, close=2e-2),
    "unread": Net(
        lambda: net_bytes(UNREAD),
        lambda: {"x": random(3), "unread": random(2, 2), "codes": np.zeros(2, np.int64)},
        {"wrt": ["x", "unread"]},
    ),
}


@functools.cache
def made(name: str) -> Made:
    """The file of a net, and the engine's own answer, on one thread."""
    row = NETS[name]
    net, data = portgrad.load(row.source(), threads=1), row.data()
    file = net.export_gradient(**row.options)
    asked = dict(row.options)
    seeds: Arrays = {}
    if asked.pop("seeds", False):
        rng = np.random.default_rng(11)
        outputs = net.evaluate(data, batch="as_is")
        names = [port.name.removeprefix("seed/") for port in file.inputs if "seed/" in port.name]
        seeds = {
            n: np.asarray(rng.standard_normal(outputs[n].shape), outputs[n].dtype) for n in names
        }
    found = net.gradient(data, output_gradients=seeds or None, batch="as_is", **asked)
    return Made(
        file.to_bytes(),
        {**data, **{f"seed/{n}": seed for n, seed in seeds.items()}},
        {**found.outputs, **{f"grad/{n}": gradient for n, gradient in found.items()}},
    )
