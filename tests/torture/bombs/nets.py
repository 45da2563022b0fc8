"""Nets that never end, or want more memory, nodes or depth than there is.

Builders of ONNX bytes, small each; normal tests import them too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from torture.nets import written

FLOAT = onnx.TensorProto.FLOAT


def endless_loop() -> bytes:
    """A Loop whose condition stays true."""
    return written(
        """(float[2] x) => (float[2] y) {
            y = Loop(, go, x) <body = body (int64 i, bool c, float[2] a) => (bool d, float[2] b)
                { d = Identity(c) b = Sin(a) }>
        }""",
        {"go": np.array(True)},
    )


def huge_product() -> bytes:
    """One node that multiplies two n by n matrices."""
    return written(
        """(float x, int64[1] n) => (float s) {
            shape = Concat<axis = 0>(n, n)
            a = Expand(x, shape)
            b = MatMul(a, a)
            s = ReduceMax<keepdims = 0>(b)
        }"""
    )


def filled() -> bytes:
    """A ConstantOfShape of the caller's size."""
    return written(
        """(float x, int64[m] shape) => (float s) {
            c = ConstantOfShape(shape)
            d = Add(c, x)
            s = ReduceSum<keepdims = 0>(d)
        }"""
    )


def filled_within(size: int) -> bytes:
    """A ConstantOfShape whose size is in the file, where it can be folded."""
    return written(
        """(float x) => (float s) {
            c = ConstantOfShape(shape)
            d = Mul(c, x)
            s = ReduceSum<keepdims = 0>(d)
        }""",
        {"shape": np.array([size])},
    )


def growing_loop() -> bytes:
    """An endless Loop that stacks four megabytes in each turn."""
    return written(
        """(float x) => (float s) {
            last, all = Loop(, go, x) <body = body (int64 i, bool c, float a)
                => (bool d, float b, float[1000000] slice)
                { d = Identity(c) b = Sin(a) slice = Expand(a, size) }>
            s = ReduceMax<keepdims = 0>(all)
        }""",
        {"go": np.array(True), "size": np.array([1_000_000])},
    )


def growing_sequence() -> bytes:
    """An endless Loop that carries a sequence, longer in each turn by four megabytes."""
    return written(
        """(float x) => (float s) {
            first = Expand(x, size)
            none = SequenceConstruct(first)
            all = Loop(, go, none) <body = body (int64 i, bool c, seq(float[1000000]) a)
                => (bool d, seq(float[1000000]) b)
                { d = Identity(c) slice = ConstantOfShape(size) b = SequenceInsert(a, slice) }>
            joined = ConcatFromSequence<axis = 0>(all)
            s = ReduceMax<keepdims = 0>(joined)
        }""",
        {"go": np.array(True), "size": np.array([1_000_000])},
    )


def folded(size: int) -> bytes:
    """A constant that the file writes in a few bytes and that is `size` numbers once folded."""
    return written(
        """(float x) => (float s) {
            c = Expand(one, shape)
            d = Sqrt(c)
            e = ReduceSum<keepdims = 0>(d)
            s = Mul(e, x)
        }""",
        {"shape": np.array([size]), "one": np.ones(1, np.float32)},
    )


def doubling(times: int) -> bytes:
    """A constant joined with itself again and again."""
    steps = " ".join(f"c{i + 1} = Concat<axis = 0>(c{i}, c{i})" for i in range(times))
    body = f"{steps} e = ReduceSum<keepdims = 0>(c{times}) s = Mul(e, x)"
    return written(f"(float x) => (float s) {{ {body} }}", {"c0": np.ones(1024, np.float32)})


def deep_if(depth: int) -> bytes:
    """An If within an If within an If."""
    inner = [helper.make_node("Sin", ["x"], ["y0"])]
    for level in range(1, depth + 1):
        branch = helper.make_graph(inner, f"b{level}", [], [_value(f"y{level - 1}")])
        other = helper.make_graph(
            [helper.make_node("Cos", ["x"], [f"z{level}"])], f"e{level}", [], [_value(f"z{level}")]
        )
        node = helper.make_node("If", ["c"], [f"y{level}"], then_branch=branch, else_branch=other)
        inner = [node]
    condition = helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
    return _model(inner, [_value("x"), condition], [_value(f"y{depth}")])


def bottomless_if(depth: int) -> bytes:
    """As deep as one likes, written byte by byte: no library writes what no library reads."""
    graph = _field(2, b"g") + _field(1, _field(1, b"x") + _field(2, b"y") + _field(4, b"Sin"))
    for _ in range(depth):
        branch = _field(1, b"then_branch") + b"\xa0\x01\x05" + _field(6, graph)
        node = _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + _field(5, branch)
        graph = _field(2, b"g") + _field(1, node)
    return b"\x08\x0a" + _field(7, graph) + _field(8, b"\x10\x15")


def many_nodes(count: int) -> bytes:
    """A chain of nodes."""
    nodes = [helper.make_node("Sin", [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    return _model(nodes, [_value("v0")], [_value(f"v{count}")])


def recursive_functions() -> bytes:
    """Two functions, each of which calls the other."""
    functions = [_function("F", [("G", "x", "y")]), _function("G", [("F", "x", "y")])]
    return _called("F", functions)


def exponential_functions(levels: int) -> bytes:
    """Functions that each call the next one twice: 2 to the `levels` nodes, written out."""
    functions = [
        _function(f"F{i}", [(f"F{i + 1}", "x", "h"), (f"F{i + 1}", "h", "y")])
        for i in range(levels)
    ]
    last = helper.make_node("Sin", ["x"], ["y"])
    end = helper.make_function(
        "own", f"F{levels}", ["x"], ["y"], [last], [helper.make_opsetid("", 21)]
    )
    return _called("F0", [*functions, end])


def resized() -> bytes:
    """A Resize by the caller's scales."""
    return written(
        """(float[1, 1, 2, 2] x, float[4] scales) => (float s) {
            r = Resize<mode = "linear">(x, , scales)
            s = ReduceSum<keepdims = 0>(r)
        }"""
    )


def expanded() -> bytes:
    """An Expand to the caller's shape, which is the answer."""
    return written("(float x, int64[m] shape) => (float[a, b] y) { y = Expand(x, shape) }")


def ranged() -> bytes:
    """A Range to the caller's limit."""
    return written(
        """(float x, int64 limit) => (float s) {
            r = Range(zero, limit, one)
            f = Cast<to = 1>(r)
            g = Mul(f, x)
            s = ReduceSum<keepdims = 0>(g)
        }""",
        {"zero": np.array(0), "one": np.array(1)},
    )


def tiled() -> bytes:
    """A Tile by the caller's repeats."""
    return written(
        """(float[2, 2] x, int64[2] repeats) => (float s) {
            t = Tile(x, repeats)
            s = ReduceSum<keepdims = 0>(t)
        }"""
    )


def dividing() -> bytes:
    """A quotient of whole numbers: the least one by -1 traps, and the runtime's process ends."""
    return written(
        """(int32[n] a, int32[n] b, float x) => (float[n] y) {
            q = Div(a, b)
            f = Cast<to = 1>(q)
            y = Mul(f, x)
        }"""
    )


def unlike(model: bytes, nonce: str) -> bytes:
    """The same net with other bytes, and so another id: the producer's name is set anew."""
    text = f"torture {nonce}".encode()
    return model + b"\x12" + bytes([len(text)]) + text


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes or a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + _varint(number >> 7)


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, [2])


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    functions: Sequence[onnx.FunctionProto] = (),
) -> bytes:
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(nodes, "net", inputs, outputs)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)
    data: bytes = model.SerializeToString()
    return data


def _function(name: str, calls: Sequence[tuple[str, str, str]]) -> onnx.FunctionProto:
    nodes = [helper.make_node(op, [x], [y], domain="own") for op, x, y in calls]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], nodes, opsets)


def _called(name: str, functions: Sequence[onnx.FunctionProto]) -> bytes:
    node = helper.make_node(name, ["x"], ["y"], domain="own")
    return _model([node], [_value("x")], [_value("y")], functions)
