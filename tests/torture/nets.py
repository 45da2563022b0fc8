"""What honest clients ask: small nets of whole numbers, whose answers are known to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Honest:
    """A call, and what it answers.

    Args:
        net: the name of the net.
        kind: the call.
        arrays: what it takes, named as in binary bodies.
        options: its other fields.
        expected: the arrays of its answer, named as in binary bodies.
    """

    net: str
    kind: str
    arrays: Arrays
    options: Mapping[str, Any]
    expected: Arrays


def written(text: str, weights: Arrays | None = None) -> bytes:
    """A net from ONNX's text form, and its weights."""
    model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 21]> net ' + text)
    for name, array in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    data: bytes = model.SerializeToString(deterministic=True)
    return data


W = np.array([3, -2, 5, 7], np.float32)
W1 = (np.arange(24, dtype=np.float32).reshape(4, 6) % 5) - 2
W2 = (np.arange(18, dtype=np.float32).reshape(6, 3) % 7) - 3

NETS: dict[str, bytes] = {
    "times": written("(float[n, 4] x) => (float[n, 4] y) { y = Mul(x, w) }", {"w": W}),
    "square": written("(float[n] x) => (float s) { q = Mul(x, x) s = ReduceSum<keepdims=0>(q) }"),
    "layers": written(
        """(float[batch, 4] x) => (float[batch, 3] y) {
            h = MatMul(x, w1)
            r = Relu(h)
            y = MatMul(r, w2)
        }""",
        {"w1": W1, "w2": W2},
    ),
    "loop": written(
        """(float[4] x) => (float[4] y) {
            y = Loop(trips, , x) <body = body (int64 i, bool c, float[4] a) => (bool d, float[4] b)
                { d = Identity(c) b = Mul(a, w) }>
        }""",
        {"trips": np.array(3), "w": W},
    ),
}


def calls(rng: np.random.Generator) -> list[Honest]:
    """Calls of every net, with data of their own."""
    x = rng.integers(-8, 8, (3, 4)).astype(np.float32)
    v = rng.integers(-8, 8, 6).astype(np.float32)
    one = rng.integers(-4, 4, 4).astype(np.float32)
    hidden = x @ W1
    layers = ((hidden > 0) * W2.sum(1)) @ W1.T
    moved = {"x": x, "tangent/x": x}
    return [
        Honest("times", "gradient", {"x": x}, {}, {"grad/x": np.broadcast_to(W, (3, 4))}),
        Honest("times", "gradient", {"x": x}, {"wrt": ["w"]}, {"grad/w": x.sum(0)}),
        Honest("times", "evaluate", {"x": x}, {}, {"y": x * W}),
        Honest("times", "jvp", moved, {}, {"jvp/y": x * W}),
        Honest("square", "gradient", {"x": v}, {}, {"grad/x": 2 * v}),
        Honest("square", "evaluate", {"x": v}, {}, {"s": (v * v).sum()}),
        Honest("layers", "gradient", {"x": x}, {}, {"grad/x": layers}),
        Honest("layers", "evaluate", {"x": x}, {}, {"y": np.maximum(hidden, 0) @ W2}),
        Honest("loop", "gradient", {"x": one}, {}, {"grad/x": W**3}),
        Honest("loop", "evaluate", {"x": one}, {}, {"y": one * W**3}),
    ]


def right(found: Arrays, expected: Arrays) -> bool:
    """Whether an answer is exactly what it must be, and nothing more."""
    return set(found) == set(expected) and all(
        np.array_equal(found[name], array) and np.asarray(found[name]).dtype == np.float32
        for name, array in expected.items()
    )
