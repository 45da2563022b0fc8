"""The description of a net: DESIGN §1 on ports and parameters, §4 on how it looks."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from portgrad.graph.names import Names
from portgrad.graph.ports import Parameter, describe
from support.text_nets import text_model, text_names

NET = """(float[N,3,?] x, int64 k, bool[2] flags, string[1] words, bfloat16[N] half,
         seq(float[N]) many, optional(float[N]) maybe) =>
         (float[N,3,?] y, int64 kk, seq(float[N]) again)
<float[3,1] w, int64[2] shape> {
  [mul] y = Mul(x, w)
  kk = Identity(k)
  again = Identity(many)
}"""


def test_the_whole_description_as_plain_data() -> None:
    names = text_names("""(float[N,2] x) => (float[N,2] y, int64[N] best) <float[2,2] w> {
        [mm] y = MatMul(x, w)
        best = ArgMax<axis = 1, keepdims = 0>(y)
    }""")
    assert describe(names, opset=9, warnings=["w is odd"]).plain() == {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 2], "differentiable": True}],
        "outputs": [
            {"name": "y", "dtype": "float32", "shape": ["N", 2], "differentiable": True},
            {
                "name": "best",
                "dtype": "int64",
                "shape": ["N"],
                "differentiable": False,
                "reason": "its values are integers (int64), which have no gradient",
            },
        ],
        "parameters": [
            {
                "name": "w",
                "dtype": "float32",
                "shape": [2, 2],
                "differentiable": True,
                "buffer": False,
                "paths": [["mm", "B"]],
                "aliases": [],
                "shared": False,
            }
        ],
        "opset": 9,
        "warnings": ["w is odd"],
    }


PORTS = [
    pytest.param("x", "float32", ("N", 3, None), None, id="a symbol and an unknown size"),
    pytest.param("k", "int64", (), "its values are integers (int64)", id="integers"),
    pytest.param("flags", "bool", (2,), "its values are booleans", id="booleans"),
    pytest.param("words", "string", (1,), "its values are strings", id="strings"),
    pytest.param("half", "bfloat16", ("N",), None, id="bfloat16"),
    pytest.param(
        "many", "sequence(float32)", None, "its type is sequence(float32)", id="a sequence"
    ),
    pytest.param(
        "maybe", "optional(float32)", None, "its type is optional(float32)", id="an optional"
    ),
]


@pytest.mark.parametrize(("name", "dtype", "shape", "reason"), PORTS)
def test_a_port(
    name: str, dtype: str, shape: tuple[int | str | None, ...] | None, reason: str | None
) -> None:
    (port,) = (port for port in describe(text_names(NET)).inputs if port.name == name)
    assert (port.dtype, port.shape, port.differentiable) == (dtype, shape, reason is None)
    assert (port.reason or "").startswith(reason or "")


def test_ports_and_parameters_are_told_apart_and_stay_in_order() -> None:
    description = describe(text_names(NET))
    assert [port.name for port in description.inputs] == [
        "x", "k", "flags", "words", "half", "many", "maybe",
    ]  # fmt: skip
    assert [port.name for port in description.outputs] == ["y", "kk", "again"]
    assert [parameter.name for parameter in description.parameters] == ["w"]


def test_the_opset_is_the_nets_own_unless_the_file_had_another() -> None:
    assert describe(text_names(NET)).opset == 21
    assert describe(text_names(NET), opset=8).opset == 8


def test_an_unknown_rank_has_no_shape() -> None:
    names = text_names("(float[] x) => (float[] y) { y = Relu(x) }")
    assert describe(names).inputs[0].shape is None


DTYPES = [
    pytest.param(ir.DataType.FLOAT16, "float16", True, id="float16"),
    pytest.param(ir.DataType.BFLOAT16, "bfloat16", True, id="bfloat16"),
    pytest.param(ir.DataType.FLOAT, "float32", True, id="float32"),
    pytest.param(ir.DataType.DOUBLE, "float64", True, id="float64"),
    pytest.param(ir.DataType.FLOAT8E4M3FN, "float8_e4m3fn", False, id="float8"),
    pytest.param(ir.DataType.FLOAT4E2M1, "float4_e2m1fn", False, id="float4"),
    pytest.param(ir.DataType.COMPLEX64, "complex64", False, id="complex"),
    pytest.param(ir.DataType.INT4, "int4", False, id="int4"),
    pytest.param(ir.DataType.UINT8, "uint8", False, id="uint8"),
]


@pytest.mark.parametrize(("dtype", "name", "differentiable"), DTYPES)
def test_which_dtypes_have_gradients(dtype: ir.DataType, name: str, differentiable: bool) -> None:
    model = text_model("(float[2] x) => (float[2] y) { y = Identity(x) }")
    model.graph.inputs[0].type = ir.TensorType(dtype)
    (port,) = describe(Names(model)).inputs
    assert (port.dtype, port.differentiable) == (name, differentiable)


def test_obstacles_stop_a_port_or_a_parameter() -> None:
    obstacles = {"x": "Twist has no rule", "w": "Twist has no rule", "k": "never read"}
    description = describe(text_names(NET), obstacles=obstacles)
    reasons = {port.name: port.reason for port in description.inputs}
    assert reasons["x"] == "Twist has no rule"
    assert reasons["k"] == "its values are integers (int64), which have no gradient"
    assert not description.parameters[0].differentiable


PARAMETERS = """(float[N,2,3] x, bool c) => (float[N,2,3] y)
<float[2] scale, float[2] bias, float[2] mean, float[2] var, float[2] ones, float[2] fresh,
 float[3] tied, float[2] unused, int64[1] axes, float[1] ratio> {
  [bn] a = BatchNormalization(x, scale, bias, mean, var)
  ["bn2.var"] bn2_var = Identity(var)
  [bn2] b = BatchNormalization(a, ones, bias, mean, bn2_var)
  [bn3] d = BatchNormalization(b, fresh, bias, mean, fresh)
  [first] e = Mul(d, tied)
  ["tied.alias"] "other.tied" = Identity(tied)
  [second] f = Mul(e, "other.tied")
  [drop] g = Dropout(f, ratio)
  [pick] y = If(c) <then_branch = t () => (float[N,2,3] p) <float[1] gain> {
                      p = Mul(g, gain) },
                    else_branch = u () => (float[N,2,3] q) { q = Add(g, tied) }>
}"""


def described(name: str) -> Parameter:
    parameters = describe(text_names(PARAMETERS)).parameters
    return next(parameter for parameter in parameters if parameter.name == name)


def test_parameters_are_the_floating_initializers() -> None:
    assert [parameter.name for parameter in describe(text_names(PARAMETERS)).parameters] == [
        "scale", "bias", "mean", "var", "ones", "fresh", "tied", "unused", "ratio", "gain",
    ]  # fmt: skip


BUFFERS = [
    pytest.param("scale", False, id="a learned scale"),
    pytest.param("mean", True, id="the mean"),
    pytest.param("var", True, id="the variance, passed on by an Identity"),
    pytest.param("fresh", False, id="a tensor of ones that is scale and variance"),
    pytest.param("unused", False, id="no use at all"),
]


@pytest.mark.parametrize(("name", "buffer"), BUFFERS)
def test_running_statistics_are_buffers(name: str, buffer: bool) -> None:
    assert described(name).buffer is buffer


USES = [
    pytest.param("scale", [("bn", "scale")], [], False, id="one use"),
    pytest.param("bias", [("bn", "B"), ("bn2", "B"), ("bn3", "B")], [], True, id="three uses"),
    pytest.param("fresh", [("bn3", "scale"), ("bn3", "input_var")], [], True, id="one node twice"),
    pytest.param(
        "tied",
        [("first", "B"), ("tied.alias", "input"), ("q", "B")],
        ["other.tied"],
        True,
        id="passed on and captured",
    ),
    pytest.param("gain", [("p", "B")], [], False, id="in a branch"),
    pytest.param("unused", [], [], False, id="no use"),
]


@pytest.mark.parametrize(("name", "paths", "aliases", "shared"), USES)
def test_where_a_parameter_is_used(
    name: str, paths: list[tuple[str, str]], aliases: list[str], shared: bool
) -> None:
    parameter = described(name)
    assert list(parameter.paths) == paths
    assert list(parameter.aliases) == aliases
    assert parameter.shared is shared


def test_every_path_of_the_description_names_its_parameter() -> None:
    names = text_names(PARAMETERS)
    for parameter in describe(names).parameters:
        for path in parameter.paths:
            assert names.name(names.resolve(path, "wrt")) == parameter.name


def test_a_path_that_would_be_ambiguous_is_not_offered() -> None:
    names = text_names("""(float[2] x) => (float[2] y) <float[2] w, float[2] "mul.B"> {
        [mul] h = Mul(x, w)
        y = Mul(h, "mul.B")
    }""")
    assert {p.name: p.paths for p in describe(names).parameters} == {
        "w": (),
        "mul.B": (("y", "B"),),
    }


def test_a_shape_fixing_parameter_has_its_reason() -> None:
    ratio = described("ratio")
    assert not ratio.differentiable
    assert ratio.reason == (
        "it only fixes shapes or hyper-parameters: `ratio` of the Dropout node `drop`"
    )
