"""DESIGN §1, names and paths: each sentence is a row."""

from __future__ import annotations

import time

import pytest

from portgrad.errors import InvalidNet, InvalidRequest
from portgrad.graph.nearest import nearest
from support.text_nets import text_names

# Written like ACAS Xu: nodes called after layers, parameters after nodes.
ACAS = """(float[1,5] input) => (float[1,5] linear_7_Add)
<float[5,5] linear_7_MatMul_W, float[5] linear_7_Add_B> {
  [linear_7_MatMul] linear_7_MatMul = MatMul(input, linear_7_MatMul_W)
  [linear_7_Add] linear_7_Add = Add(linear_7_MatMul, linear_7_Add_B)
}"""

TORCH = """(float[N,4] x, int64[N] ids) => (float[N,M] "out/y", float[N,4] copy)
<float[4,4] "layer1.0.weight", float[4] "/layer1/bias", float[4] layer1_scale, int64[2] shape,
 float[4] "head.0/gain"> {
  ["/layer1/MatMul"] "/layer1/MatMul_output_0" = MatMul(x, "layer1.0.weight")
  "/layer1/Add_output_0" = Add("/layer1/MatMul_output_0", "/layer1/bias")
  scaled = Mul("/layer1/Add_output_0", layer1_scale)
  gained = Mul(scaled, "head.0/gain")
  [reshape] reshaped = Reshape(gained, shape)
  [cat] joined = Concat<axis = 1>(x, gained, reshaped)
  [split] part, rest = Split<axis = 1, num_outputs = 2>(joined)
  ["norm"] normed = LayerNormalization(part, layer1_scale)
  copy = Identity(x)
  "out/y" = Identity(rest)
}"""

BN = """(float[N,2,3] x) => (float[N,2,3] y)
<float[2] scale, float[2] bias, float[2] running_mean, float[2] running_var> {
  [bn] y = BatchNormalization(x, scale, bias, running_mean, running_var)
}"""

TWO_WAYS = """(float[2] x) => (float[2] y)
<float[2] "a.b", float[2] "a/b", float[2] other, float[2] same, float[2] "same.B"> {
  [one] p = Add(x, "a.b")
  [two] q = Add(p, "a/b")
  [mul] r = Mul(q, other)
  "mul.B" = Relu(r)
  [same] s = Mul("mul.B", "same.B")
  [twin] t = Mul(s, other)
  [twin] u = Mul(t, same)
  [alike] v = Mul(u, other)
  [alike] y = Mul(v, other)
}"""

RESOLVED = [
    pytest.param(ACAS, "input", "input", id="an input port"),
    pytest.param(ACAS, "linear_7_Add", "linear_7_Add", id="an output port"),
    pytest.param(ACAS, "linear_7_MatMul", "linear_7_MatMul", id="an inner value"),
    pytest.param(ACAS, ["linear_7_MatMul", "B"], "linear_7_MatMul_W", id="node, operand"),
    pytest.param(ACAS, ["linear_7_MatMul", "A"], "input", id="an operand that is a port"),
    pytest.param(ACAS, ["linear_7_Add", "C"], "linear_7_Add", id="node, output"),
    pytest.param(ACAS, ("linear_7_Add", "B"), "linear_7_Add_B", id="a tuple"),
    pytest.param(ACAS, ["linear", "7", "Add", "B"], "linear_7_Add_B", id="joined by _"),
    pytest.param(ACAS, ["linear_7_Add_B"], "linear_7_Add_B", id="one element"),
    pytest.param(TORCH, ["layer1", "0", "weight"], "layer1.0.weight", id="joined by ."),
    pytest.param(TORCH, ["layer1.0", "weight"], "layer1.0.weight", id="an element with a dot"),
    pytest.param(TORCH, ["layer1", "bias"], "/layer1/bias", id="joined by / with a leading /"),
    pytest.param(TORCH, ["/layer1", "bias"], "/layer1/bias", id="a leading / of its own"),
    pytest.param(
        TORCH,
        ["layer1", "MatMul_output_0"],
        "/layer1/MatMul_output_0",
        id="joined, an inner value",
    ),
    pytest.param(TORCH, ["/layer1/MatMul", "B"], "layer1.0.weight", id="a node with slashes"),
    pytest.param(TORCH, ["scaled", "B"], "layer1_scale", id="a node without a name"),
    pytest.param(TORCH, ["cat", "inputs.2"], "reshaped", id="a variadic operand"),
    pytest.param(TORCH, ["cat", "inputs.0"], "x", id="the first variadic operand"),
    pytest.param(TORCH, ["split", "outputs.1"], "rest", id="a variadic output"),
    pytest.param(TORCH, ["reshape", "shape"], "shape", id="integers resolve, to be refused later"),
    pytest.param(BN, ["bn", "input_mean"], "running_mean", id="the schema's name of today"),
    pytest.param(BN, ["bn", "var"], "running_var", id="the name before opset 14"),
    pytest.param(TWO_WAYS, ["alike", "B"], "other", id="two nodes, one tensor"),
]


@pytest.mark.parametrize(("net", "item", "name"), RESOLVED)
def test_a_name_or_path_means_one_tensor(net: str, item: str | list[str], name: str) -> None:
    names = text_names(net)
    assert names.name(names.resolve(item, "wrt")) == name


def test_the_name_of_a_running_mean_in_an_older_net() -> None:
    names = text_names(BN, opset=9)
    assert names.name(names.resolve(["bn", "mean"], "wrt")) == "running_mean"


LISTED = "The net's description lists its names: `GET /nets/{net}`, or `portgrad describe`."
UNKNOWN = [
    pytest.param(ACAS, "inputt", "Did you mean `input`?", id="nearest name"),
    pytest.param(ACAS, "INPUT", "Did you mean `input`?", id="names are exact"),
    pytest.param(ACAS, "zzz", LISTED, id="nothing near"),
    pytest.param(ACAS, "i" * 10**6, LISTED, id="endless name"),
    pytest.param(TORCH, "gain", "Did you mean `gained` or `head.0/gain`?", id="part of a name"),
    pytest.param(
        TORCH,
        ["layer1", "1", "weight"],
        "Did you mean `layer1.0.weight`?",
        id="nearest name for a path",
    ),
    pytest.param(
        TORCH,
        ["head", "0", "gain"],
        "Did you mean `head.0/gain`?",
        id="one separator joins all elements",
    ),
    pytest.param(
        ACAS,
        ["linear_7_MatMul", "b"],
        "The MatMul node `linear_7_MatMul` has `A`, `B` and `Y`.",
        id="schema names are exact",
    ),
    pytest.param(
        TORCH,
        ["cat", "inputs"],
        "The Concat node `cat` has `inputs.0`, `inputs.1`, `inputs.2` and `concat_result`.",
        id="variadic ones have numbers",
    ),
    pytest.param(
        TORCH,
        ["norm", "B"],
        "The LayerNormalization node `norm` has `X`, `Scale` and `Y`.",
        id="an operand that is left out",
    ),
    pytest.param(ACAS, ["input"], "A port is named by a string: `input`.", id="a port as a path"),
    pytest.param(TORCH, ["out", "y"], "A port is named by a string: `out/y`.", id="joined port"),
    pytest.param(ACAS, ["linear_7_MatMull", "Q"], "Did you mean `linear_7_MatMul`?", id="node"),
]


@pytest.mark.parametrize(("net", "item", "remedy"), UNKNOWN)
def test_an_unknown_name_offers_the_nearest(net: str, item: str | list[str], remedy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        text_names(net).resolve(item, "wrt[1]")
    assert (caught.value.code, caught.value.where) == ("unknown_name", "wrt[1]")
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith(remedy.removesuffix("?"))


AMBIGUOUS = [
    pytest.param(["a", "b"], "`a.b` and `a/b`", id="two separators"),
    pytest.param(["mul", "B"], "`mul.B` and `other`", id="joined and operand"),
    pytest.param(["twin", "B"], "`other` and `same`", id="two nodes of one name"),
]


@pytest.mark.parametrize(("path", "readings"), AMBIGUOUS)
def test_several_readings_are_listed(path: list[str], readings: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        text_names(TWO_WAYS).resolve(path, "of[0]")
    assert (caught.value.code, caught.value.where) == ("ambiguous_path", "of[0]")
    assert caught.value.found == readings
    assert readings in caught.value.detail


def test_two_readings_that_name_one_tensor_are_no_conflict() -> None:
    names = text_names(TWO_WAYS)
    assert names.name(names.resolve(["same", "B"], "wrt")) == "same.B"


MALFORMED = [
    pytest.param(7, id="number"),
    pytest.param([], id="empty path"),
    pytest.param(["layer1", 0, "weight"], id="a number in a path"),
    pytest.param([["layer1", "weight"]], id="nested too deep"),
    pytest.param(["layer1", ""], id="empty element"),
    pytest.param(None, id="null"),
    pytest.param({"name": "x"}, id="object"),
]


@pytest.mark.parametrize("item", MALFORMED)
def test_what_is_neither_name_nor_path_is_malformed(item: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        text_names(ACAS).resolve(item, "wrt[2]")  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.where) == ("invalid_field", "wrt[2]")


# Inner branches: `w` of both branches share a name, `x` is taken by a port, `only` is free.
BRANCHES = """(float[2] x, bool c) => (float[2] y) <float[2] w_main> {
  [choose] y = If(c) <
    then_branch = then () => (float[2] t) <float[2] w, float[2] only, int64[1] k> {
      [add] a = Add(x, w)
      [inner] b = If(c) <
        then_branch = deep () => (float[2] d) <float[2] w_main, float[2] deepest> {
          e = Mul(a, w_main)
          d = Mul(e, deepest)
        },
        else_branch = deeper () => (float[2] f) { f = Mul(a, w_outer) }>
      t = Mul(b, only)
    },
    else_branch = other () => (float[2] u) <float[2] w> {
      u = Mul(x, w)
    }>
}""".replace("w_outer", "a")


def test_parameters_of_subgraphs_keep_free_names_and_are_qualified_otherwise() -> None:
    assert list(text_names(BRANCHES).parameters) == [
        "w_main",
        "choose/then_branch/w",
        "choose/else_branch/w",
        "only",
        "choose/then_branch/inner/then_branch/w_main",
        "deepest",
    ]


def test_a_plain_name_in_two_branches_is_ambiguous() -> None:
    with pytest.raises(InvalidRequest) as caught:
        text_names(BRANCHES).resolve("w", "wrt")
    assert caught.value.code == "ambiguous_path"
    assert caught.value.found == "`choose/then_branch/w` and `choose/else_branch/w`"


SUBGRAPH_PATHS = [
    pytest.param("choose/then_branch/w", "choose/then_branch/w", id="by name"),
    pytest.param(["choose", "then_branch", "w"], "choose/then_branch/w", id="joined"),
    pytest.param(["add", "B"], "choose/then_branch/w", id="operand of a node inside"),
    pytest.param(["add", "A"], "x", id="captured"),
    pytest.param(["u", "B"], "choose/else_branch/w", id="a node inside without a name"),
    pytest.param(["choose", "outputs.0"], "y", id="output of the If"),
    pytest.param("w_main", "w_main", id="the plain name is the main graph's"),
]


@pytest.mark.parametrize(("item", "name"), SUBGRAPH_PATHS)
def test_tensors_of_subgraphs(item: str | list[str], name: str) -> None:
    names = text_names(BRANCHES)
    value = names.resolve(item, "wrt")
    assert names.name(value) == name
    assert names.none_reason(value) is None


def test_what_a_subgraph_computes_has_no_gradient() -> None:
    names = text_names(BRANCHES)
    value = names.resolve(["add", "C"], "wrt")
    assert names.none_reason(value) == (
        "it is computed anew at each run of a subgraph, outside the main graph"
    )


def test_an_unnamed_node_qualifies_by_its_first_output() -> None:
    names = text_names(
        """(float[2] w, bool c) => (float[2] y) {
          y = If(c) <then_branch = a () => (float[2] t) <float[2] w2> { t = Mul(w, w2) },
                     else_branch = b () => (float[2] u) <float[2] w2> { u = Add(w, w2) }>
        }"""
    )
    assert list(names.parameters) == ["y/then_branch/w2", "y/else_branch/w2"]


def test_a_qualified_name_that_is_taken_is_refused() -> None:
    with pytest.raises(InvalidNet) as caught:
        text_names(
            """(float[2] x, bool c) => (float[2] y)
            <float[2] p, float[2] "choose/then_branch/p"> {
              h = Mul(x, p)
              [choose] y = If(c) <
                then_branch = a () => (float[2] t) <float[2] p> { t = Mul(h, p) },
                else_branch = b () => (float[2] u) { u = Add(h, "choose/then_branch/p") }>
            }"""
        )
    assert (caught.value.code, caught.value.where) == ("ambiguous_name", "choose/then_branch/p")


def test_a_node_of_another_domain_has_no_schema_names() -> None:
    names = text_names("(float[2] x) => (float[2] y) { [n] y = ai.other.Twist(x) }")
    with pytest.raises(InvalidRequest) as caught:
        names.resolve(["n", "X"], "wrt")
    assert caught.value.remedy == "The operator ai.other.Twist has no schema here: use names."


def test_inner_values_are_neither_ports_nor_parameters() -> None:
    names = text_names(ACAS)
    inner = [
        name
        for name in ("input", "linear_7_MatMul", "linear_7_MatMul_W", "linear_7_Add")
        if names.is_inner(names.resolve(name, "wrt"))
    ]
    assert inner == ["linear_7_MatMul"]


def test_among_very_many_the_nearest_are_found_in_no_time() -> None:
    names = {f"layer{number}.weight" for number in range(50_000)}
    start = time.perf_counter()
    assert nearest("layer12345.weigth", names)[0] == "layer12345.weight"
    assert time.perf_counter() - start < 1.0
