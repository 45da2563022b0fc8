"""Parts of a padded image are each made in one copy: the same numbers, by fewer nodes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.engine.rewrites import views
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import Array, net_bytes, random

# The padding (rows and columns before, then after), parts as starts, ends, axes and steps, and the
# nodes that are left. There are 4 rows.
Part = tuple[list[int], list[int], list[int], list[int]]
CASES: dict[str, tuple[list[int], list[Part], list[str]]] = {
    "rows": ([1, 1, 1, 1], [([0], [4], [2], [1]), ([2], [6], [2], [1])], ["Pad", "Pad"]),
    "both axes": ([2, 0, 1, 3], [([1, 2], [6, 2**31], [2, 3], [1, 1])], ["Pad"]),
    "from the end": ([0, 3, 0, 3], [([-9], [-2], [-1], [1])], ["Pad"]),
    "the image itself": ([1, 0, 1, 0], [([1], [5], [2], [1]), ([0], [4], [2], [1])], ["Pad"]),
    "padding that cuts": ([-1, 2, 0, -1], [([1], [6], [3], [1])], ["Pad"]),
    "padding alone": ([2, 0, 0, 0], [([0], [2], [2], [1])], ["Pad", "Slice"]),
    "nothing": ([1, 1, 1, 1], [([3], [3], [2], [1])], ["Pad", "Slice"]),
    "every second row": ([1, 1, 1, 1], [([0], [6], [2], [2])], ["Pad", "Slice"]),
    "an open axis": ([1, 1, 1, 1], [([0], [1], [0], [1])], ["Pad", "Slice"]),
    "one part of two": (
        [2, 0, 0, 0],
        [([1], [5], [2], [1]), ([0], [2], [2], [1])],
        ["Pad", "Slice", "Slice"],
    ),
}
COLUMNS = 64
PAD = "p = Pad(x, pads, , axes)"
WHOLE: Part = ([0], [4], [2], [1])


def _net(
    pads: list[int], parts: list[Part], pad: str = PAD, more: str = "", columns: int = COLUMNS
) -> bytes:
    held = {"pads": pads, "axes": [2, 3], "last": [3]}
    nodes, given = [pad, more], []
    for at, part in enumerate(parts):
        names = [f"c{at}{place}" for place in range(4)]
        held |= dict(zip(names, part, strict=True))
        nodes += [f"s{at} = Slice(p, {', '.join(names)})", f"y{at} = Neg(s{at})"]
        given.append(f"float[A{at}, B{at}, C{at}, D{at}] y{at}")
    body = f"(float[N, 2, 4, {columns}] x) => ({', '.join(given)}) {{ {' '.join(nodes)} }}"
    return net_bytes(body, {name: np.asarray(numbers) for name, numbers in held.items()})


def _at_once(net: bytes) -> ir.Model:
    model = load(NetFiles(net))
    views.of_images(model.graph)
    return model


def _kinds(model: ir.Model) -> list[str]:
    return [
        node.op_type
        for node in model.graph
        if node.op_type not in ("Abs", "Constant", "Mul", "Neg", "Shape")
    ]


def _run(model: bytes, x: Array) -> list[Array]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, {"x": x})
    return found


@pytest.mark.parametrize("name", CASES)
def test_parts_are_the_same(name: str) -> None:
    pads, parts, kinds = CASES[name]
    net = _net(pads, parts)
    model = _at_once(net)
    assert _kinds(model) == kinds
    made = ir.to_proto(model).SerializeToString()
    for examples in (0, 3):
        x = random(examples, 2, 4, COLUMNS)
        for got, want in zip(_run(made, x), _run(net, x), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("pad", "more"),
    [
        ('p = Pad<mode = "edge">(x, pads, , axes)', ""),
        ("one = Constant<value_float = 1.0>() p = Pad(x, pads, one, axes)", ""),
        ("n = Shape<start = 2>(x) t = Mul(n, n) p = Pad(x, t, , last)", ""),
        (PAD, "z = Abs(p)"),
    ],
)
def test_other_padding_is_left(pad: str, more: str) -> None:
    model = _at_once(_net([1, 1, 1, 1], [WHOLE], pad, more))
    assert _kinds(model)[-2:] == ["Pad", "Slice"]


def test_short_rows_are_left() -> None:
    model = _at_once(_net([1, 1, 1, 0], [WHOLE], columns=62))
    assert _kinds(model) == ["Pad", "Slice"]
