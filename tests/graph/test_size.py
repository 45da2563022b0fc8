"""Nets that are too large are refused before anything is made of them, in little time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import portgrad
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import net_bytes, refusal

FLOAT = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])


def model(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto] | None = None) -> bytes:
    """Nodes from x to y."""
    end = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph(nodes, "net", [FLOAT], [end])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    made = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)
    return bytes(made.SerializeToString())


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """A function that calls others of the domain `own` one after the other."""
    names = ["x", *(f"v{i}" for i in range(1, len(calls))), "y"]
    nodes = [
        helper.make_node(call, [names[i]], [names[i + 1]], domain="own" if call != "Sin" else "")
        for i, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], nodes, opsets)


def called(*functions: onnx.FunctionProto) -> bytes:
    """A net that calls the last of some functions."""
    return model([helper.make_node(functions[-1].name, ["x"], ["y"], domain="own")], [*functions])


def nested(depth: int) -> bytes:
    """If in If in If."""
    condition = helper.make_tensor("value", TensorProto.BOOL, [], [True])
    graph = helper.make_graph([helper.make_node("Sin", ["x"], ["b0"])], "g", [], [_out("b0")])
    for level in range(depth):
        other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "e", [], [_out("e")])
        held = f"c{level}"
        constant = helper.make_node("Constant", [], [held], value=condition)
        name = f"b{level + 1}"
        node = helper.make_node("If", [held], [name], then_branch=graph, else_branch=other)
        graph = helper.make_graph([constant, node], "g", [], [_out(name)])
    return model([*graph.node, helper.make_node("Neg", [f"b{depth}"], ["y"])])


def _out(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


def deeper() -> bytes:
    """Subgraphs so deep that protobuf reads none of it."""
    data = b""
    for _ in range(200):
        for number in (6, 5, 1):  # an attribute's graph, a node's attribute, and a graph's node
            size = len(data)
            length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
            data = bytes([number << 3 | 2]) + length + data
    return bytes([8, 10, 7 << 3 | 2, len(data) & 127 | 128, len(data) >> 7]) + data


def chain(length: int) -> bytes:
    """Negations one after the other."""
    names = ["x", *(f"v{i}" for i in range(1, length)), "y"]
    return model(
        [helper.make_node("Neg", names[i : i + 1], names[i + 1 : i + 2]) for i in range(length)]
    )


def laughs(levels: int) -> bytes:
    """Functions that each call the one before ten times: 10 ** levels nodes in a few lines."""
    made = [function("f0", *["Sin"] * 10)]
    made += [function(f"f{i}", *[f"f{i - 1}"] * 10) for i in range(1, levels)]
    return called(*made)


def branches() -> bytes:
    """A function that calls another within a branch, twenty times over."""
    made = [function("f0", "Sin")]
    for i in range(1, 20):
        then = helper.make_graph(
            [helper.make_node(f"f{i - 1}", ["x"], ["t"], domain="own")], "t", [], [_out("t")]
        )
        other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "e", [], [_out("e")])
        one = function(f"f{i}", "Sin")
        condition = helper.make_node("Constant", [], ["c"], value_int=1)
        cast = helper.make_node("Cast", ["c"], ["b"], to=TensorProto.BOOL)
        del one.node[:]
        chosen = helper.make_node("If", ["b"], ["y"], then_branch=then, else_branch=other)
        one.node.extend([condition, cast, chosen])
        made.append(one)
    return called(*made)


TOO_LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nodes": (lambda: chain(1001), "too_many_nodes"),
    "functions": (lambda: laughs(12), "too_many_nodes"),
    "functions by the thousand": (lambda: laughs(3000), "too_many_nodes"),
    "nesting": (lambda: nested(9), "subgraphs_too_deep"),
    "nesting beyond protobuf's": (deeper, "subgraphs_too_deep"),
    "nesting in functions": (branches, "subgraphs_too_deep"),
    "a function that calls itself": (lambda: called(function("f", "f")), "recursive_function"),
    "functions in a ring": (
        lambda: called(function("f", "g"), function("g", "f", "f")),
        "recursive_function",
    ),
    "operands": (
        lambda: model([helper.make_node("Sum", ["x"] * 20_000, ["y"])]),
        "too_many_values",
    ),
    "a name": (
        lambda: model([helper.make_node("Neg", ["x"], ["y"], name="n" * 5000)]),
        "name_too_long",
    ),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_too_large(case: str) -> None:
    make, code = TOO_LARGE[case]
    data, started = make(), time.process_time()
    error = refusal(lambda: load(NetFiles(data), nodes=1000, depth=8))
    assert error.code == code
    # Reading what was sent alone; written out, some of these would take for ever.
    assert time.process_time() - started < 2


def calling(count: int) -> bytes:
    """Functions that each call the one before."""
    return called(function("f0", "Sin"), *(function(f"f{i}", f"f{i - 1}") for i in range(1, count)))


NOT_TOO_LARGE: dict[str, tuple[Callable[[], bytes], dict[str, int]]] = {
    "nodes": (lambda: chain(1000), {"nodes": 1000}),
    "functions": (lambda: laughs(2), {"nodes": 100}),
    "functions that call functions": (lambda: calling(60), {"nodes": 61}),
    "nesting": (lambda: nested(8), {"depth": 8}),
}


@pytest.mark.parametrize("case", NOT_TOO_LARGE)
def test_just_not_too_large(case: str) -> None:
    make, limits = NOT_TOO_LARGE[case]
    load(NetFiles(make()), **limits)


ODD: dict[str, tuple[bytes, str]] = {
    "an equation that onnx never ends on": (
        net_bytes('(float[2,2] x) => (float[2] y) { y = Einsum<equation = "kj,k\\r<">(x, x) }'),
        "invalid_net",
    ),
    "parts without outputs": (
        net_bytes("(float[4] x) => (float[4] y) { y = Split<num_outputs = 268435456>(x) }"),
        "invalid_net",
    ),
    "a batch below nothing, which ends the process": (
        net_bytes(
            "(float[2,2] x) => (float[a,b] y) { i = Constant<value = int64[1,1] {0}>()"
            " y = GatherND<batch_dims = -2147483648>(x, i) }"
        ),
        "invalid_net",
    ),
    "codes in blocks of less than nothing": (
        net_bytes(
            "(uint8[2,2] x) => (float[a,b] y) { i = Constant<value = int64[1] {0}>()"
            " s = Constant<value = float[2,1] {1, 1}>()"
            " y = com.microsoft.GatherBlockQuantized<block_size = -1>(x, i, s) }"
        ),
        "block",
    ),
    "axes that are no list": (
        net_bytes(
            "(float[2,2] x) => (float[a,b] y)"
            " { k = Constant<value = int64[1,1] {1}>() y = ReduceSum(x, k) }"
        ),
        "invalid_net",
    ),
    "an opset beyond integers": (net_bytes("(float[2] x) => (float[2] y) { y = Sin(x) }"), "opset"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_odd_fields(case: str) -> None:
    data, code = ODD[case]
    if code == "block":
        proto = onnx.load_from_string(data)
        proto.opset_import.add(domain="com.microsoft", version=1)
        data, code = proto.SerializeToString(), "invalid_net"
    if code == "opset":
        proto = onnx.load_from_string(data)
        proto.opset_import.add(domain="com.microsoft", version=2**40)
        data, code = proto.SerializeToString(), "unknown_opset"
    assert refusal(lambda: load(NetFiles(data))).code == code


def test_vectors_whose_numbers_nobody_could_follow() -> None:
    """onnx keeps an object for each element of a vector that a Cast takes."""
    text = "(float[n] x, int64[268435456] k) => (float[m] y) { y = Cast<to = 1>(k) }"
    started = time.process_time()
    net = load(NetFiles(net_bytes(text)))
    assert net.graph.outputs[0].shape == [268435456]
    assert time.process_time() - started < 2


def test_a_scalar_is_a_list_where_runtimes_take_it() -> None:
    body = "(float[2,3] x) => (float[a,b,c] y) { k = Constant<value = int64 {1}>()"
    net = portgrad.load(net_bytes(body + " h = Unsqueeze(x, k) y = Mul(h, h) }"))
    assert net.gradient(np.full((2, 3), 2, np.float32))["x"].tolist() == [[4.0] * 3] * 2
