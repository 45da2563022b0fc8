"""DESIGN §1, what `wrt`, `of`, `outputs` and `data` may name: each sentence is a row."""

from __future__ import annotations

from typing import Any

import pytest

from portgrad.errors import InvalidRequest
from portgrad.graph.targets import check_ports, resolve_of, resolve_outputs, resolve_targets
from support.text_nets import text_names

# Ports called after group words, two floating outputs and an integer one.
NET = """(float[N,2] inputs, int64[N] ids, float[2] all) =>
         (float[N,2] y, float[N,2] z, int64[N] best)
<float[2,2] w, float[4,2] table> {
  [embed] rows = Gather(table, ids)
  [mm] h = MatMul(inputs, w)
  y = Add(h, rows)
  z = Mul(y, all)
  best = ArgMax<axis = 1, keepdims = 0>(z)
}"""

# No parameter and no floating port: tokens, cast and embedded by a one-hot product.
TOKENS = """(int64[N] tokens, int64[N] mask) => (float[N] logits) <int64[1] axes = {1}> {
  depth = Constant<value = int64 {4}>()
  onoff = Constant<value = float[2] {0.0, 1.0}>()
  seen = Unsqueeze(mask, axes)
  seen_float = Cast<to = 1>(seen)
  embedded = OneHot(tokens, depth, onoff)
  masked = Mul(embedded, seen_float)
  logits = ReduceSum<keepdims = 0>(masked, axes)
}"""

# What is floating does not follow from the port.
APART = """(int64[N] ids) => (int64[N] twice, float[2] y) <float[2] w> {
  twice = Add(ids, ids)
  y = Relu(w)
}"""

GROUPS = [
    pytest.param("inputs", ["inputs", "all"], ["ids"], id="inputs"),
    pytest.param("parameters", ["w", "table"], [], id="parameters"),
    pytest.param("all", ["inputs", "all", "w", "table"], ["ids"], id="all"),
]


@pytest.mark.parametrize(("word", "asked", "none"), GROUPS)
def test_a_group_word_means_all_that_have_a_gradient(
    word: str, asked: list[str], none: list[str]
) -> None:
    targets = resolve_targets(text_names(NET), word)
    assert list(targets.asked) == asked
    assert list(targets.values) == asked
    assert list(targets.none) == none


def test_wrt_is_the_inputs_by_default() -> None:
    assert resolve_targets(text_names(NET)).asked == ("inputs", "all")


def test_what_a_group_leaves_out_has_its_reason() -> None:
    none = resolve_targets(text_names(NET), "inputs").none
    assert none == {"ids": "its values are integers (int64), which have no gradient"}


ITEMS = [
    pytest.param("w", ["w"], id="a name"),
    pytest.param(["w"], ["w"], id="a list of one"),
    pytest.param(["inputs"], ["inputs"], id="in a list a string is always a name"),
    pytest.param(["all", "inputs"], ["all", "inputs"], id="two ports called as groups"),
    pytest.param([["mm", "B"], "h"], ["w", "h"], id="a path and an inner value"),
    pytest.param(("h",), ["h"], id="a tuple, in process"),
    pytest.param("y", ["y"], id="an output port"),
]


@pytest.mark.parametrize(("wrt", "asked"), ITEMS)
def test_names_and_paths(wrt: Any, asked: list[str]) -> None:
    targets = resolve_targets(text_names(NET), wrt)
    assert list(targets.asked) == asked
    assert targets.none == {}


def test_duplicates_keep_an_entry_each_and_one_tensor() -> None:
    targets = resolve_targets(text_names(NET), ["w", ["mm", "B"], "h", "w"])
    assert targets.asked == ("w", "w", "h", "w")
    assert list(targets.values) == ["w", "h"]


INTEGERS = "its values are integers (int64), which have no gradient"
REFUSED = [
    pytest.param(NET, [], "empty_targets", "wrt", id="an empty list"),
    pytest.param(TOKENS, "inputs", "empty_targets", "wrt", id="a group that turns out empty"),
    pytest.param(TOKENS, "parameters", "empty_targets", "wrt", id="no parameters"),
    pytest.param(TOKENS, "all", "empty_targets", "wrt", id="nothing at all"),
    pytest.param(NET, "ids", "no_gradient", "wrt", id="integers by name"),
    pytest.param(NET, ["w", "best"], "no_gradient", "wrt[1]", id="an integer output"),
    pytest.param(NET, ["w", ["embed", "indices"]], "no_gradient", "wrt[1]", id="by path"),
    pytest.param(NET, "input", "unknown_name", "wrt", id="an unknown name"),
    pytest.param(NET, ["w", "parameters"], "unknown_name", "wrt[1]", id="a group in a list"),
    pytest.param(NET, 3, "invalid_field", "wrt", id="a number"),
    pytest.param(NET, None, "invalid_field", "wrt", id="null"),
    pytest.param(NET, {"w": 1}, "invalid_field", "wrt", id="an object"),
    pytest.param(NET, ["w", "h", 3], "invalid_field", "wrt[2]", id="a number in a list"),
    pytest.param(NET, ["w", []], "invalid_field", "wrt[1]", id="an empty path"),
    pytest.param(NET, [[["mm", "B"]]], "invalid_field", "wrt[0]", id="nested too deep"),
]


@pytest.mark.parametrize(("net", "wrt", "code", "where"), REFUSED)
def test_what_wrt_refuses(net: str, wrt: Any, code: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_targets(text_names(net), wrt)
    assert (caught.value.code, caught.value.where) == (code, where)


REMEDIES = [
    pytest.param(
        TOKENS,
        "inputs",
        "The nearest values that have one: `embedded` and `seen_float`.",
        id="a text net offers its embedding first",
    ),
    pytest.param(NET, [], "The nearest values that have one: `rows`, `h` and `z`.", id="[]"),
    pytest.param(APART, "inputs", 'Ask for "parameters".', id="parameters alone"),
    pytest.param(
        "(int64[N] ids) => (int64[N] y) { y = Add(ids, ids) }",
        "all",
        "Ask for values inside, by name, if any of them are floating.",
        id="integers all along",
    ),
    pytest.param(NET, "ids", "The nearest values that have one: `rows`.", id="integer input"),
    pytest.param(NET, "input", "Did you mean `inputs`?", id="a port is near"),
    pytest.param(NET, "parameter", "Did you mean `parameters`?", id="a group is near"),
    pytest.param(
        NET,
        ["parameters"],
        'In a list every string is a name; for the group, give "parameters" alone.',
        id="a group in a list",
    ),
    pytest.param(
        NET,
        ["mm", "B"],
        "If this is one path, put it in a list of its own: [['mm', 'B']].",
        id="a path that stands alone",
    ),
]


@pytest.mark.parametrize(("net", "wrt", "remedy"), REMEDIES)
def test_what_wrt_offers(net: str, wrt: Any, remedy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_targets(text_names(net), wrt)
    assert caught.value.remedy == remedy


def test_asked_by_name_the_reason_is_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_targets(text_names(NET), "ids")
    assert caught.value.detail == f"`ids` has no gradient: {INTEGERS}."


SUMMED = [
    pytest.param(None, [], ["y", "z"], id="by default all floating outputs"),
    pytest.param(None, ["z"], ["z"], id="what is imposed, if anything is"),
    pytest.param(None, ["h"], ["h"], id="a gradient imposed inside"),
    pytest.param("z", [], ["z"], id="a name"),
    pytest.param(["z", "y"], ["y"], ["z", "y"], id="what is named without being imposed too"),
    pytest.param(["h", ["mm", "Y"], "z"], [], ["h", "z"], id="inner value, path, named twice"),
    pytest.param(["z", "rows"], ["rows"], ["z", "rows"], id="an inner value, imposed"),
]


@pytest.mark.parametrize(("of", "imposed", "summed"), SUMMED)
def test_what_is_summed(of: Any, imposed: list[str], summed: list[str]) -> None:
    assert list(resolve_of(text_names(NET), of, imposed)) == summed


ARGMAX = """(float[N,2] x) => (int64[N] best) {
  best = ArgMax<axis = 1, keepdims = 0>(x)
}"""
OF_REFUSED = [
    pytest.param(NET, "z", ["y"], "imposed_outside_of", "output_gradients.y", id="outside"),
    pytest.param(NET, [], [], "empty_of", "of", id="an empty list"),
    pytest.param(ARGMAX, None, [], "empty_of", "of", id="no floating output"),
    pytest.param(NET, ["z", "best"], [], "no_gradient", "of[1]", id="an integer output"),
    pytest.param(NET, None, ["best"], "no_gradient", "output_gradients.best", id="imposed there"),
    pytest.param(NET, "w", [], "not_an_output", "of", id="a parameter"),
    pytest.param(NET, ["inputs"], [], "not_an_output", "of[0]", id="an input port"),
    pytest.param(NET, "yy", [], "unknown_name", "of", id="unknown"),
    pytest.param(NET, None, ["yy"], "unknown_name", "output_gradients.yy", id="imposed, unknown"),
    pytest.param(NET, 1, [], "invalid_field", "of", id="a number"),
    pytest.param(NET, [1], [], "invalid_field", "of[0]", id="a number in a list"),
]


@pytest.mark.parametrize(("net", "of", "imposed", "code", "where"), OF_REFUSED)
def test_what_of_refuses(net: str, of: Any, imposed: list[str], code: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_of(text_names(net), of, imposed)
    assert (caught.value.code, caught.value.where) == (code, where)


OUTPUTS = [
    pytest.param(True, ["y", "z", "best"], id="all output ports"),
    pytest.param(False, [], id="none"),
    pytest.param(["best", "h"], ["best", "h"], id="integers and inner values"),
    pytest.param([["mm", "Y"]], ["h"], id="a path"),
    pytest.param([], [], id="an empty list"),
]


@pytest.mark.parametrize(("outputs", "answered"), OUTPUTS)
def test_which_outputs_are_answered(outputs: Any, answered: list[str]) -> None:
    assert list(resolve_outputs(text_names(NET), outputs)) == answered


@pytest.mark.parametrize(
    ("outputs", "code", "where"),
    [
        pytest.param(["w"], "not_an_output", "outputs[0]", id="a parameter"),
        pytest.param(["y", "yy"], "unknown_name", "outputs[1]", id="unknown"),
        pytest.param(2, "invalid_field", "outputs", id="a number"),
    ],
)
def test_which_outputs_are_refused(outputs: Any, code: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_outputs(text_names(NET), outputs)
    assert (caught.value.code, caught.value.where) == (code, where)


def test_an_output_port_that_is_an_input_port_can_be_answered() -> None:
    names = text_names("(float[2] x) => (float[2] y, float[2] x) { y = Relu(x) }")
    assert list(resolve_outputs(names, True)) == ["y", "x"]
    assert list(resolve_of(names, ["x"])) == ["x"]


PORTS = [
    pytest.param([], "missing_port", "inputs", "Add `inputs`, `ids` and `all` to", id="none"),
    pytest.param(["inputs", "all"], "missing_port", "ids", "Add `ids` to the data.", id="one"),
    pytest.param(
        ["inputs", "ids", "all", "y"], "unknown_port", "y", "Leave `y` out.", id="one too many"
    ),
    pytest.param(
        ["input", "ids", "all"], "unknown_port", "input", "Did you mean `inputs`?", id="misspelt"
    ),
    pytest.param(
        ["inputs", "ids", "all", "w"], "unknown_port", "w", "Leave `w` out.", id="a parameter"
    ),
]


@pytest.mark.parametrize(("given", "code", "where", "remedy"), PORTS)
def test_data_names_every_input_port_and_no_other(
    given: list[str], code: str, where: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_ports(text_names(NET), given)
    assert (caught.value.code, caught.value.where) == (code, where)
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith(remedy)


def test_complete_data_in_any_order_is_right() -> None:
    check_ports(text_names(NET), ["all", "ids", "inputs"])
