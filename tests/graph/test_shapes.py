"""Shapes of what onnx's inference has nothing to say about."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from portgrad.errors import InvalidNet
from portgrad.graph.batching import batched
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

GROUPS = "y = GroupNormalization<num_groups = 2>(x, s, s)"
IMAGE = "(float[N, 4, H, 5] x, float[4] s) => (float[] z)"
ROWS = [
    ("groups", 21, IMAGE + "{ [g] " + GROUPS + " z = Relu(y) }", ["N", 4, "H", 5]),
    ("one after the other", 25, IMAGE + "{ t = Relu(x) [g] " + GROUPS
     + " w = GroupNormalization<num_groups = 4>(y, s, s) z = ReduceMax(w) }", ["N", 4, "H", 5]),
    ("a given size", 21, "(float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i) => (float[] z)"
     "<int64[4] sizes = {1, 1, 5, 4}>"
     "{ [g] y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i, sizes) z = Relu(y) }",
     [1, 1, 5, 4]),
    ("its own size", 22, "(float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i) => (float[] z)"
     "{ [g] y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i) z = Relu(y) }",
     [1, 1, 4, 4]),
    ("all axes by default", 21, "(float[N, 4, H, 5] x) => (float[] z)"
     "{ [g] y = MeanVarianceNormalization(x) z = Relu(y) }", ["N", 4, "H", 5]),
    ("half of the bins", 21, "(float[2, 11, 1] x) => (float[] z)"
     "<int64 step = {2}, float[5] window = {1, 1, 1, 1, 1}>"
     "{ [g] y = STFT(x, step, window) z = Relu(y) }", [2, 4, 3, 2]),
    ("an axis from the end, as torch unflattens it", 20, "(float[N, 5, 24] x) => (float[] z)"
     "<int64[1] last = {-1}, int64[1] rank = {3}, int64[1] start = {0}, int64[2] into = {3, 8},"
     " int64[1] flat = {-1}>"
     "{ axis = Mod(last, rank) end = Reshape(axis, flat) all = Shape(x)"
     " before = Slice(all, start, end) sizes = Concat<axis = 0>(before, into)"
     " [g] y = Reshape(x, sizes) z = Relu(y) }", ["N", 5, 3, 8]),
    ("behind an input that is an output too", 21, "(float[N, 4] x) => (float[] z, float[] x)"
     "{ [g] y = Relu(x) z = Neg(y) }", ["N", 4]),
    ("heads of a size that is not known, which onnx counts as 0", 23,
     "(float[N, T, A] x, float[N, T, A] k) => (float[] z)"
     "{ [g] y = Attention<q_num_heads = 2, kv_num_heads = 2>(x, k, k) z = ReduceSum(y) }",
     ["N", "T", None]),
    ("a constant that cannot be computed", 21, "(float[N, 4] x) => (float[] z)"
     "<int64[1] one = {1}, int64[1] zero = {0}>"
     "{ k = Mod(one, zero) two = Concat<axis = 0>(one, k) t = Reshape(x, two) [g] y = Relu(x)"
     " w = ReduceSum(t) z = Mul(y, w) }", ["N", 4]),
]  # fmt: skip


def loaded(text: str, opset: int) -> ir.Model:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> net ' + text)
    return load(NetFiles(model.SerializeToString()))


@pytest.mark.parametrize(
    ("opset", "text", "expected"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_a_shape_is_found(opset: int, text: str, expected: list[int | str | None]) -> None:
    net = loaded(text, opset)
    node = next(node for node in net.graph if node.name == "g")
    written = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> net ' + text)
    assert node.op_type in {n.op_type for n in written.graph.node}
    [y] = node.outputs
    assert y.dtype == ir.DataType.FLOAT
    assert y.shape is not None
    assert [d if isinstance(d, int) else d.value for d in y.shape] == expected
    assert net.graph.outputs[0].shape is not None


def test_inside_a_subgraph() -> None:
    net = loaded(
        "(bool c, float[N, 4, 5] x, float[4] s) => (float[N, 4, 5] z) { z = If(c) <then_branch ="
        " t () => (float[N, 4, 5] p) { " + GROUPS + " p = Relu(y) },"
        " else_branch = e () => (float[N, 4, 5] q) { q = Neg(x) }> }",
        21,
    )
    shapes = {value.name: value.shape for node in net.graph.all_nodes() for value in node.outputs}
    assert [str(size) for size in shapes["y"] or ()] == ["N", "4", "5"]


def test_the_operand_is_still_checked_against_the_declared_output() -> None:
    with pytest.raises(InvalidNet) as caught:
        loaded("(float[2, 4, 5] x, float[4] s) => (float[2, 4, 6] y) { [g] " + GROUPS + " }", 21)
    assert caught.value.code == "shape_inference_failed"
    assert "`g`" in (caught.value.where or "")


def test_what_a_converter_of_classical_models_declares_is_not_believed() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]>
    net (float[N, 4] x) => (float[N, 4] y) {
        y = ai.onnx.ml.LinearRegressor<coefficients = [1.0, 2.0, 3.0, 4.0]>(x) }"""
    net = load(NetFiles(onnx.parser.parse_model(text).SerializeToString()))
    assert [str(size) for size in net.graph.outputs[0].shape or ()] == ["N", "1"]


def test_groups_run_as_one_batch() -> None:
    net = loaded(
        "(float[1, 4, 5] x, float[4] s) => (float[1, 4, 5] z) { " + GROUPS + " z = Relu(y) }", 21
    )
    found = batched(net, ["x"])
    assert found is not None
    assert found.axis == {"x": 0, "y": 0, "z": 0}


def test_unknown_sizes_have_symbols_that_inference_carries_along() -> None:
    net = loaded(
        "(float[?, 3] x, float[?, ?] y_0, float[x_0, -1] z, float[] r, seq(float[?]) s) =>"
        " (float[?, 3] a, float[?, ?] b, float[?, ?] c)"
        "{ a = Relu(x) b = Relu(y_0) c = Relu(z) }",
        21,
    )
    shapes = [value.shape for value in (*net.graph.inputs[:3], *net.graph.outputs)]
    expected = [["x_0_", "3"], ["y_0_0", "y_0_1"], ["x_0", "z_1"]]
    assert [[str(size) for size in shape or ()] for shape in shapes] == expected * 2
    assert net.graph.inputs[3].shape is None
