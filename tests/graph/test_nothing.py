"""DESIGN §1: a floating tensor that only fixes shapes or hyper-parameters has no gradient."""

from __future__ import annotations

import onnx
import pytest

from portgrad.graph.nothing import HYPER_PARAMETERS, VALUES_UNREAD
from support.text_nets import text_names

RESIZE = '<coordinate_transformation_mode = "{}">'
NONE = [
    pytest.param(
        "(float[1,1,2,2] x, float[4] s) => (float[1,1,N,M] y) { [up] y = Resize(x, , s) }",
        "`scales` of the Resize node `up`",
        id="Resize's scales",
    ),
    pytest.param(
        "(float[1,1,2,2] x, float[8] s, float[4] z) => (float[1,1,N,M] y) { y = Resize(x, s, z) }",
        "`roi` of the Resize node `y`",
        id="a roi that is not sampled at",
    ),
    pytest.param(
        "(float[2] x, float s) => (float[2] y) { y = Dropout(x, s) }",
        "`ratio` of the Dropout node `y`",
        id="Dropout's ratio",
    ),
    pytest.param(
        "(float a, float s, float d) => (float[N] y) { y = Range(a, s, d) }",
        "`limit` of the Range node `y`",
        id="Range's limit",
    ),
    pytest.param(
        "(int64[2] x, float s, float[2] v) => (float[2,N] y) { y = OneHot(x, s, v) }",
        "`depth` of the OneHot node `y`",
        id="OneHot's depth",
    ),
    pytest.param(
        "(float[4] x, float s) => (float[N] y) {"
        " doubled = Add(s, s)  rounded = Floor(doubled)  size = Cast<to = 7>(rounded)"
        " one = Constant<value = int64[1] {1}>()  list = Reshape(size, one)"
        " [last] y = Expand(x, list) }",
        "`shape` of the Expand node `last`",
        id="through arithmetic, rounding and a cast",
    ),
    pytest.param(
        "(float[2] x, float s, bool c) => (float[2] y) {"
        " y = If(c) <then_branch = a () => (float[2] t) { [deep] t = Dropout(x, s) },"
        "            else_branch = b () => (float[2] u) { u = Relu(x) }> }",
        "`ratio` of the Dropout node `deep`",
        id="captured by a branch",
    ),
    pytest.param(
        "(float[4] x, float s) => (float[2] y, float[N] z) {"
        " y = Dropout(x, s)  n = Cast<to = 7>(s)  one = Constant<value = int64[1] {1}>()"
        " list = Reshape(n, one)  z = Expand(x, list) }",
        "`ratio` of the Dropout node `y`",
        id="two such uses",
    ),
]


@pytest.mark.parametrize(("net", "slot"), NONE)
def test_only_fixes_shapes_or_hyper_parameters(net: str, slot: str) -> None:
    names = text_names(net)
    reason = names.none_reason(names.inputs["s"])
    assert reason == f"it only fixes shapes or hyper-parameters: {slot}"
    others = [name for name in names.inputs if name not in {"s", "z"}]
    floating = [name for name in others if names.inputs[name].dtype.name == "FLOAT"]  # type: ignore[union-attr]
    assert [names.none_reason(names.inputs[name]) for name in floating] == [None] * len(floating)


HAS = [
    pytest.param(
        "(float[2] x, float s) => (float[2] y) { d = Dropout(x, s)  y = Mul(d, s) }",
        id="used in both kinds of slots",
    ),
    pytest.param(
        "(float[2] x, float s) => (float[2] y, float t) { t = Neg(s)  y = Dropout(x, t) }",
        id="its dependant is an output too",
    ),
    pytest.param(
        "(float[2] x, float s) => (float[2] y, float s) { y = Dropout(x, s) }",
        id="an output itself",
    ),
    pytest.param("(float[2] s) => (float[2] y) { y = Clip(s) }", id="plain data"),
    pytest.param("(float[2] x, float s) => (float[2] y) { y = Clip(x, s) }", id="a bound of Clip"),
    pytest.param(
        "(float[2] x, float s) => (float[4] y) <int64[2] pads> { y = Pad(x, pads, s) }",
        id="Pad's value",
    ),
    pytest.param("(float s, float l, float d) => (float[N] y) { y = Range(s, l, d) }", id="start"),
    pytest.param(
        "(int64[2] x, int64 n, float[2] s) => (float[2,N] y) { y = OneHot(x, n, s) }",
        id="OneHot's values",
    ),
    pytest.param(
        "(float[1,1,2,2] x, float[8] s, float[4] z) => (float[1,1,N,M] y) { y = Resize"
        + RESIZE.format("tf_crop_and_resize")
        + "(x, s, z) }",
        id="a roi that is sampled at",
    ),
    pytest.param("(float[2] x, float[1] s) => (float[2] y) { y = Relu(x) }", id="unused: zero"),
    pytest.param(
        "(float[2] x, float[3] s) => (float[N] y) { size = Shape(s)  y = Expand(x, size) }",
        id="only its shape is read: zero",
    ),
    pytest.param(
        "(float[2] x, float[2] s) => (float[2] y, int64[2] z) { y = Relu(x)  z = Cast<to = 7>(s) }",
        id="cast to an output: zero",
    ),
    pytest.param(
        "(float[2] x, float s) => (float[2] y) { y = ai.other.Dropout(x, s) }",
        id="another domain's operator of that name",
    ),
]


@pytest.mark.parametrize("net", HAS)
def test_other_floating_tensors_are_targets(net: str) -> None:
    names = text_names(net)
    assert names.none_reason(names.inputs["s"]) is None


def test_the_tables_use_the_schemas_own_names() -> None:
    for op, operands in HYPER_PARAMETERS.items():
        version = 9 if op == "Upsample" else onnx.defs.onnx_opset_version()
        schema = onnx.defs.get_schema(op, version)
        assert operands <= {formal.name for formal in schema.inputs}, op
    assert all(onnx.defs.has(op) for op in VALUES_UNREAD)
