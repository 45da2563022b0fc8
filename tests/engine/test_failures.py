"""What the runtime says when it fails, as users read it: their node, no paths, no C++."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from portgrad.engine.failures import cleaned, not_runnable, run_failed
from support.engine import Array, counted, engine_net, refusal

LEAKS = re.compile(
    r"onnxruntime::|\.(?:cc|h):\d|/(?:usr|root|home|tmp|onnxruntime_src)|std::|ONNXRuntimeError"
)


@pytest.mark.parametrize(
    ("body", "data", "where", "words"),
    [
        (
            '(float[N,3] x) => (float[A,B] y) { ["/a/b/Reshape"] y = Reshape(x, s) }',
            {"x": counted(1, 3)},
            "Reshape node '/a/b/Reshape'",
            "Input shape:{1,3}",
        ),
        (
            '(float[N,3] x, int64[K] i) => (float[A,B] y) { ["/a/Gather_1"] y = Gather(x, i) }',
            {"x": counted(1, 3), "i": np.array([7])},
            "Gather node '/a/Gather_1'",
            "idx=7",
        ),
        (
            "(float[N,M] x, float[K,L] z) => (float[A,B] y) { h = Add(x, z) y = Tanh(h) }",
            {"x": counted(1, 3), "z": counted(2, 2)},
            "Add node 'h'",
            "2 by 3",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", ["evaluate", "gradient"])
def test_a_failed_run_names_the_node(
    body: str, data: dict[str, Array], where: str, words: str, call: str
) -> None:
    net = engine_net(body, {"s": np.array([-1, 4])})
    error = refusal(lambda: getattr(net, call)(data))
    code = "out_of_memory" if "memory" in words else "run_failed"
    assert (error.code, error.where) == (code, where)
    assert words in str(error)
    assert not LEAKS.search(str(error))


@pytest.mark.parametrize("call", ["evaluate", "gradient"])
def test_a_run_without_memory_names_the_node_and_the_size(call: str) -> None:
    net = engine_net("(float[N,3] x, int64[K] n) => (float[A,B] y) { y = Expand(x, n) }")
    data = {"x": counted(1, 3), "n": np.array([10**13, 3])}
    error = refusal(lambda: getattr(net, call)(data))
    assert (error.code, error.where) == ("out_of_memory", "Expand node 'y'")
    assert error.found == "120000000000000 bytes asked for at once"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("cannot open /srv/data/nets/ab12/model.onnx: denied", "cannot open …: denied"),
        ("/home/u/x.cc:12 void onnxruntime::F(int, const T&) const it was false", "it was false"),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : too big", "too big"),
        ("in node '/layer/MatMul' sizes differ", "in node '/layer/MatMul' sizes differ"),
        ("x / y is 3/4", "x / y is 3/4"),
    ],
)
def test_messages_are_cleaned(message: str, expected: str) -> None:
    assert cleaned(message) == expected


def test_a_node_of_the_backward_pass_is_told_from_the_user_s() -> None:
    text = "running Expand node. Name:'portgrad/12_Expand' Status Message: too large"
    assert run_failed(RuntimeError(text)).where == "the backward pass, at its Expand node"


def test_a_graph_that_does_not_load_has_its_node_and_version() -> None:
    text = "Could not find an implementation for Erf(13) node with name '/a/Erf'"
    error = not_runnable(RuntimeError(f"[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : {text}"))
    assert error.where == "Erf node '/a/Erf'"
    assert "version 13" in error.detail


def test_nodes_of_one_name_are_no_obstacle() -> None:
    net = engine_net("(float[2] x) => (float[2] y) { [n] h = Mul(x, x) [n] y = Add(h, x) }")
    np.testing.assert_array_equal(net.gradient([1.0, 2.0])["x"], [3, 5])


def test_a_failure_leaves_the_net_usable() -> None:
    net = engine_net("(float[N,3] x, int64[K] i) => (float[A,B] y) { y = Gather(x, i) }")
    good: dict[str, Any] = {"x": counted(2, 3), "i": [1]}
    refusal(lambda: net.gradient({**good, "i": [7]}))
    np.testing.assert_array_equal(net.gradient(good)["x"], [[0, 0, 0], [1, 1, 1]])
