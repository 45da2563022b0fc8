"""Zeros that would surprise come with a sentence that names the node."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph

LOOP = """
    n = Constant<value = int64 {{2}}>()
    y = Loop(n, , x) <body = step
        (int64 trip, bool c, float[3] h) => (bool d, float[3] g) {{ d = Identity(c) {} }}>
"""


def _warnings(body: str, of: str = "y") -> tuple[str, ...]:
    text = f'<ir_version: 10, opset_import: ["": 21]> g (float[3] x) => (float[3] y) {{ {body} }}'
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), strict_mode=True)
    return gradient_graph(ir.from_proto(model), wrt=["x"], of=[of]).warnings


@pytest.mark.parametrize(
    ("body", "node"),
    [
        ("[near] r = Round(x) y = Mul(r, x)", "Round node 'near'"),
        ("[whole] i = Cast<to = 7>(x) f = Cast<to = 1>(i) y = Add(f, x)", "Cast node 'whole'"),
        ("[thin] i = Cast<to = 17>(x) f = Cast<to = 1>(i) y = Add(f, x)", "Cast node 'thin'"),
        ("[best] i = ArgMax(x) f = Cast<to = 1>(i) y = Mul(f, x)", "ArgMax node 'best'"),
        (LOOP.format("i = Cast<to = 7>(h) f = Cast<to = 1>(i) g = Mul(f, x)"), "Cast node 'i'"),
    ],
)
def test_a_zero_on_the_way_is_told(body: str, node: str) -> None:
    [sentence] = _warnings(body)
    assert sentence.startswith(node)


@pytest.mark.parametrize(
    "body",
    [
        "zero = Constant<value = float {0}>() m = Greater(x, zero) y = Where(m, x, zero)",
        "s = Shape(x) f = Cast<to = 1>(s) i = Cast<to = 7>(f) y = Expand(x, i)",
        "[aside] unused = Round(x) y = Sin(x)",
        LOOP.format("i = ReduceMax(h) e = Cast<to = 7>(i) b = Cast<to = 9>(e) g = Mul(h, x)"),
    ],
)
def test_what_surprises_nobody_is_not_told(body: str) -> None:
    assert _warnings(body) == ()


def test_a_seed_is_an_input_even_where_nothing_depends_on_it() -> None:
    text = """<ir_version: 10, opset_import: ["": 21]>
    g (float[3] x, float[3] z) => (float[3] y) { y = Sin(z) }"""
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), strict_mode=True)
    graph = gradient_graph(ir.from_proto(model), wrt=["x"], of=["y"], seeds=["y"]).model.graph
    assert [value.name for value in graph.inputs] == ["x", "z", "seed/y"]
