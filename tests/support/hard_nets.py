"""Nets that a worker has trouble with, as files."""

from __future__ import annotations

from pathlib import Path

import onnx

from portgrad.graph.files import NetFiles

OPSETS = '<ir_version: 10, opset_import: ["" : 21]>'
# Never ends; the runtime looks at its flag in every turn.
ENDLESS = """endless (float[2] x) => (float[2] y) {
    t = Constant<value = bool {1}>() m = Constant<value = int64 {9223372036854775807}>()
    y = Loop<body = b (int64 i, bool c, float[2] s) => (bool c2, float[2] s2)
        { c2 = Identity(c) s2 = Add(s, s) }>(m, t, x) }"""
# One node that takes as long as the data say: about a minute for [8000, 8000].
HUGE = """huge (int64[2] n) => (float[a,b] y) {
    e = ConstantOfShape<value = float[1] {1.5}>(n) y = MatMul(e, e) }"""
# As much memory as the data say.
WIDE = """wide (int64[1] n) => (float y) {
    e = ConstantOfShape<value = float[1] {0.5}>(n) y = ReduceSum<keepdims = 0>(e) }"""
# The least int32 divided by -1 traps in the processor, and onnxruntime 1.32 does not look for it.
DIVIDING = "dividing (int32[1] a, int32[1] b) => (int32[1] y) { y = Div(a, b) }"
FATAL = {"a": [-(2**31)], "b": [-1]}
SQUARE = "square (float[n] x) => (float[n] y) { y = Mul(x, x) }"
WEIGHTED = """weighted (float[n] x) => (float[n] y)
    <float[1] w = {3.0}> { y = Mul(x, w) }"""


def chain(nodes: int) -> str:
    """A net of so many nodes, one after the other."""
    body = " ".join(f"x{i + 1} = Tanh(x{i})" for i in range(nodes))
    return f"chain (float[2] x0) => (float[2] x{nodes}) {{ {body} }}"


def stored(folder: Path, text: str) -> tuple[str, NetFiles]:
    """The id and files of a net, as a Job takes them."""
    model = onnx.parser.parse_model(f"{OPSETS} {text}").SerializeToString()
    path = folder / f"{text.split(maxsplit=1)[0]}.onnx"
    path.write_bytes(model)
    files = NetFiles(path)
    return files.net_id(), files
