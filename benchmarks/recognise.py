"""What recognising norms and activations gains: gradients of transformer layers, written out as
exporters write them, with the stage and without it, in turn in one process. Memory is what a run in
a process of its own adds to it.

    python benchmarks/recognise.py --layers 2 --hidden 256 --batch 4 --length 128
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import numpy_helper, parser
from rich.console import Console
from rich.table import Table

from portgrad.autodiff import compile as compiling
from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

NORMS = {
    "LayerNorm": """{o}_m = ReduceMean({x}, last) {o}_d = Sub({x}, {o}_m) {o}_p = Pow({o}_d, two)
        {o}_v = ReduceMean({o}_p, last) {o}_e = Add({o}_v, eps) {o}_s = Sqrt({o}_e)
        {o}_n = Div({o}_d, {o}_s) {o}_w = Mul({o}_n, {o}_scale) {o} = Add({o}_w, {o}_bias)""",
    "RMSNorm": """{o}_p = Pow({x}, two) {o}_v = ReduceMean({o}_p, last) {o}_e = Add({o}_v, eps)
        {o}_s = Sqrt({o}_e) {o}_r = Reciprocal({o}_s) {o}_n = Mul({x}, {o}_r)
        {o} = Mul({o}_scale, {o}_n)""",
}
ACTIVATIONS = {
    "erf": """{o}_u = Div({x}, root2) {o}_e = Erf({o}_u) {o}_1 = Add({o}_e, one)
        {o}_m = Mul({x}, {o}_1) {o} = Mul({o}_m, half)""",
    "tanh": """{o}_c = Pow({x}, three) {o}_k = Mul({o}_c, cubic) {o}_i = Add({x}, {o}_k)
        {o}_u = Mul({o}_i, scale) {o}_t = Tanh({o}_u) {o}_1 = Add({o}_t, one)
        {o}_h = Mul({x}, half) {o} = Mul({o}_h, {o}_1)""",
    "silu": "{o}_s = Sigmoid({x}) {o} = Mul({x}, {o}_s)",
}
# Q, K and V, scaled products with a mask, and the way back, as the exporters of torch write them.
ATTENTION = """
    {p}q0 = MatMul({x}, {p}wq) {p}k0 = MatMul({x}, {p}wk) {p}v0 = MatMul({x}, {p}wv)
    {p}q1 = Reshape({p}q0, heads) {p}k1 = Reshape({p}k0, heads) {p}v1 = Reshape({p}v0, heads)
    {p}q = Transpose<perm = [0, 2, 1, 3]>({p}q1) {p}k = Transpose<perm = [0, 2, 3, 1]>({p}k1)
    {p}v = Transpose<perm = [0, 2, 1, 3]>({p}v1)
    {p}qk = MatMul({p}q, {p}k) {p}scores = Div({p}qk, depth) {p}masked = Add({p}scores, mask)
    {p}probabilities = Softmax<axis = -1>({p}masked) {p}context = MatMul({p}probabilities, {p}v)
    {p}c1 = Transpose<perm = [0, 2, 1, 3]>({p}context) {p}c = Reshape({p}c1, folded)
    {p}attended = MatMul({p}c, {p}wo) {p}r1 = Add({p}attended, {x})
"""
MLP = """
    {p}h0 = MatMul({p}n1, {p}w1) {p}h = Add({p}h0, {p}b1)
    {activation}
    {p}o0 = MatMul({p}g, {p}w2) {p}o1 = Add({p}o0, {p}b2) {p}r2 = Add({p}o1, {p}n1)
"""


def net(layers: int, hidden: int, heads: int, norm: str, activation: str) -> bytes:
    """Transformer layers with their norms and activations written out."""
    depth = hidden // heads
    numbers = {
        "two": 2.0,
        "eps": 1e-5,
        "root2": 2.0**0.5,
        "one": 1.0,
        "half": 0.5,
        "three": 3.0,
        "cubic": 0.044715,
        "scale": (2 / np.pi) ** 0.5,
        "depth": depth**0.5,
    }
    text = "".join(f"{k} = Constant<value = float {{{v:.9g}}}>()\n" for k, v in numbers.items())
    text += f"heads = Constant<value_ints = [0, 0, {heads}, {depth}]>()\n"
    text += (
        f"folded = Constant<value_ints = [0, 0, {hidden}]>() last = Constant<value_ints = [-1]>()"
    )
    x = "x"
    for layer in range(layers):
        p = f"l{layer}_"
        text += ATTENTION.format(p=p, x=x) + NORMS[norm].format(o=f"{p}n1", x=f"{p}r1")
        acts = ACTIVATIONS[activation].format(o=f"{p}g", x=f"{p}h")
        text += MLP.format(p=p, activation=acts) + NORMS[norm].format(o=f"{p}n2", x=f"{p}r2")
        x = f"{p}n2"
    text += f" y = Identity({x})"
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 18]> net (float[N, L, {hidden}] x, '
        f"float[N, 1, 1, L] mask) => (float[N, L, {hidden}] y) {{ {text} }}"
    )
    model.graph.initializer.extend(_weights(layers, hidden))
    return model.SerializeToString()


def _weights(layers: int, hidden: int) -> list[onnx.TensorProto]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("wq", "wk", "wv", "wo"), (hidden, hidden))
    shapes |= {"w1": (hidden, 4 * hidden), "b1": (4 * hidden,), "b2": (hidden,)}
    shapes |= {"w2": (4 * hidden, hidden)}
    shapes |= {f"n{i}_{k}": (hidden,) for i in (1, 2) for k in ("scale", "bias")}
    made = []
    for layer in range(layers):
        for name, shape in shapes.items():
            array = rng.standard_normal(shape) / shape[0] ** 0.5 + name.endswith("scale")
            made.append(numpy_helper.from_array(array.astype(np.float32), f"l{layer}_{name}"))
    return made


def session(model: bytes, threads: int) -> tuple[ort.InferenceSession, Counter[str]]:
    """A session, and the operators that the runtime runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        made = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        kept = onnx.load(options.optimized_model_filepath)
    return made, Counter(node.op_type for node in kept.graph.node)


def run(runner: ort.InferenceSession, feeds: dict[str, Any]) -> float:
    """The milliseconds of the processor in one run, which a busy machine changes least."""
    given = {port.name: feeds[port.name] for port in runner.get_inputs()}
    start = time.process_time()
    runner.run(None, given)
    return (time.process_time() - start) * 1e3


def growth(model: bytes, feeds: dict[str, Any]) -> int:
    """The MiB that one run adds to a process that has run a tiny batch (Linux alone tells)."""
    runner, _ = session(model, 1)
    tiny = {
        name: np.zeros((1, *array.shape[1:-2], 2, array.shape[-1]), np.float32)
        for name, array in feeds.items()
    }
    run(runner, tiny | {"mask": np.zeros((1, 1, 1, 2), np.float32)})
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    run(runner, feeds)
    return (resident("VmHWM") - before) // 1024


def resident(which: str) -> int:
    """The KiB of this process that are in memory, or were at the peak."""
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(which)]
    return int(line.split()[1])


def compiled(model: ir.Model, wrt: list[str], *, stage: bool) -> tuple[bytes, float]:
    """The gradient graph with the stage or without it, and the best milliseconds of three."""
    spent = []
    nothing: Any = lambda *_: []  # noqa: E731
    with mock.patch.object(compiling, "recognise", compiling.recognise if stage else nothing):
        for _ in range(3):
            start = time.process_time()
            graph = gradient_graph(model, wrt=wrt, of=["y"], seeds=["y"])
            spent.append((time.process_time() - start) * 1e3)
    return ir.to_proto(graph.model).SerializeToString(), min(spent)


def compare(model: ir.Model, wrt: list[str], feeds: dict[str, Any], given: Any) -> list[str]:
    """A row of the report: without the stage, then with it."""
    graphs = [compiled(model, wrt, stage=stage) for stage in (False, True)]
    sessions = [session(graph, given.threads) for graph, _ in graphs]
    times = np.array([[run(runner, feeds) for runner, _ in sessions] for _ in range(given.runs)])
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memory = [pool.apply(growth, (graph, feeds)) for graph, _ in graphs]
    columns = [np.median(times, axis=0), [np.median(times[:, 1] / times[:, 0])]]
    figures = [f"{number:.2f}" for column in columns for number in column]
    figures += [str(operators.total()) for _, operators in sessions]
    return [*figures, *map(str, memory), *(f"{spent:.0f}" for _, spent in graphs)]


def main() -> None:
    options = argparse.ArgumentParser(description="Gradients with the stage and without it.")
    for name, number in {"layers": 2, "hidden": 256, "heads": 4, "batch": 4, "length": 128}.items():
        options.add_argument(f"--{name}", type=int, default=number)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=int, default=40)
    given = options.parse_args()
    rng = np.random.default_rng(1)
    shape = (given.batch, given.length, given.hidden)
    feeds: dict[str, Any] = {k: rng.standard_normal(shape, np.float32) for k in ("x", "seed/y")}
    feeds["mask"] = np.zeros((given.batch, 1, 1, given.length), np.float32)
    table = Table(title=f"{given.layers} layers, {shape}, {given.threads} threads")
    for column in "net|wrt|CPU ms|with|ratio|nodes|with|MiB|with|compile ms|with".split("|"):
        table.add_column(column)
    for norm, activation in (("LayerNorm", "erf"), ("LayerNorm", "tanh"), ("RMSNorm", "silu")):
        proto = net(given.layers, given.hidden, given.heads, norm, activation)
        model = load(NetFiles(proto))
        weights = [name for name, v in model.graph.initializers.items() if v.const_value.size > 1]
        for called, wrt in (("inputs", ["x"]), ("all", ["x", *weights])):
            row = compare(model, wrt, feeds, given)
            table.add_row(f"{norm}, {activation}", called, *row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
