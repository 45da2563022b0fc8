"""Three different nothings, and the warnings of zeros that would surprise."""

from __future__ import annotations

import numpy as np
import pytest

from portgrad.autodiff import registry
from portgrad.errors import Unsupported
from support.engine import counted, engine_net, refusal


def test_a_target_that_no_output_depends_on_is_zero() -> None:
    net = engine_net("(float[2] x, float[N,3] z) => (float[2] y) { y = Mul(x, x) u = Mul(z, v) }",
                     {"v": counted(3)})  # fmt: skip
    found = net.gradient({"x": [1.0, 2.0], "z": counted(4, 3)}, wrt="all")
    np.testing.assert_array_equal(found["z"], np.zeros((4, 3), np.float32))
    np.testing.assert_array_equal(found["v"], np.zeros(3, np.float32))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [("bool", True, "booleans"), ("int64", 1, "integers"), ("string", "a", "strings")],
)
def test_what_holds_no_floats_has_none(kind: str, value: object, word: str) -> None:
    ports = f"(float[2] x, {kind}[1] k) => (float[2] y, {kind}[1] l)"
    net = engine_net(f"{ports} {{ y = Mul(x, x) l = Identity(k) }}")
    data = {"x": [1.0, 2.0], "k": [value]}
    found = net.gradient(data, outputs=True)
    assert list(found) == ["x"]
    assert list(found.none) == ["k"]
    assert word in found.none["k"]
    assert found.outputs["l"].tolist() == [value]
    error = refusal(lambda: net.gradient(data, wrt=["x", "k"]))
    assert (error.code, error.where) == ("no_gradient", "wrt[1]")
    assert refusal(lambda: net.gradient(data, of=["l"])).code == "no_gradient"
    assert refusal(lambda: net.gradient(data, output_gradients={"l": [1]})).code == "no_gradient"
    described = {port.name: port for port in net.description.inputs}
    assert not described["k"].differentiable
    assert word in str(described["k"].reason)


def test_an_empty_group_offers_the_nearest_values() -> None:
    net = engine_net(
        """(int64[N] tokens) => (float[N,2] y) {
             vectors = Gather(table, tokens) y = Relu(vectors) }""",
        {"table": counted(5, 2)},
    )
    error = refusal(lambda: net.gradient([0, 3]))
    assert error.code == "empty_targets"
    assert "`vectors`" in str(error.remedy)
    found = net.gradient([3, 3], wrt=["vectors", "table"])
    np.testing.assert_array_equal(found["vectors"], np.ones((2, 2)))
    np.testing.assert_array_equal(found["table"][3], [2, 2])


def test_a_shape_fixing_tensor_has_none() -> None:
    net = engine_net(
        "(float[1,1,2,2] x) => (float[1,1,4,4] y) { y = Resize<mode = \"linear\">(x, , scales) }",
        {"scales": np.array([1, 1, 2, 2], np.float32)},
    )  # fmt: skip
    found = net.gradient(counted(1, 1, 2, 2), wrt="all")
    assert list(found) == ["x"]
    assert "scales" in found.none["scales"]
    assert refusal(lambda: net.gradient(counted(1, 1, 2, 2), wrt="scales")).code == "no_gradient"


@pytest.fixture
def without_sinh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no rule were registered for one operator."""
    monkeypatch.delitem(registry._ENTRIES, ("", "Sinh"))


SINH = """(float[N,3] x) => (float[N,3] y, float[N,3] z) {
  [square] z = Mul(x, x)  [bend] h = Sinh(z)  y = Mul(h, w) }"""


@pytest.mark.parametrize("wrt", ["inputs", "all", "x", ["z"], ["w", "x"]])
@pytest.mark.usefixtures("without_sinh")
def test_an_operator_without_a_rule_on_the_path_is_unsupported(wrt: str | list[str]) -> None:
    net = engine_net(SINH, {"w": counted(3)})
    error = refusal(lambda: net.gradient(counted(2, 3), wrt=wrt))
    assert isinstance(error, Unsupported)
    assert (error.code, error.where) == ("unsupported_operator", "bend")
    assert "Sinh node 'bend' (version 9)" in error.detail


@pytest.mark.usefixtures("without_sinh")
def test_an_operator_without_a_rule_off_the_path_does_no_harm() -> None:
    net = engine_net(SINH, {"w": counted(3)})
    np.testing.assert_array_equal(net.gradient(counted(2, 3), of="z")["x"], 2 * counted(2, 3))
    np.testing.assert_allclose(
        net.gradient(counted(1, 3), wrt="parameters")["w"],
        np.sinh(counted(3) ** 2),
        rtol=1e-6,  # one rounding of float32
    )


@pytest.mark.usefixtures("without_sinh")
def test_the_description_says_what_is_not_differentiable_and_why() -> None:
    described = engine_net(SINH, {"w": counted(3)}).description
    [x], [w] = described.inputs, described.parameters
    assert (x.differentiable, w.differentiable) == (False, True)
    assert "'bend'" in str(x.reason)


@pytest.mark.parametrize(
    ("nodes", "node"),
    [
        ("[r] h = Round(x) y = Mul(h, x)", "Round node 'r'"),
        ("[f] h = Floor(x) y = Add(h, x)", "Floor node 'f'"),
        ("[c] i = Cast<to = 7>(x) h = Cast<to = 1>(i) y = Mul(h, h)", "Cast node 'c'"),
        ("[a] i = ArgMax<axis = 0>(x) h = Cast<to = 1>(i) y = Mul(x, h)", "ArgMax node 'a'"),
    ],
)
def test_zeros_that_would_surprise_come_with_a_warning(nodes: str, node: str) -> None:
    net = engine_net(f"(float[3] x) => (float[3] y) {{ {nodes} }}")
    [warning] = net.gradient([1.25, 2.0, 3.5]).warnings
    assert warning.startswith(node)


def test_a_warning_reaches_every_reading() -> None:
    net = engine_net("(float[1,3] x) => (float[1,3] y) { y = Round(x) }")
    for batch in (counted(3), counted(1, 3), counted(4, 3), counted(0, 3)):
        assert len(net.gradient(batch).warnings) == 1


def test_no_warning_where_the_rounded_values_are_not_asked_for() -> None:
    net = engine_net("(float[3] x) => (float[3] y, float[3] z) { y = Round(x) z = Mul(x, x) }")
    assert net.gradient([1.0, 2.0, 3.0], of="z").warnings == ()


@pytest.mark.parametrize(
    ("nodes", "at", "slope"),
    [
        ("y = Relu(x)", 0.0, 0.0),
        ("y = Abs(x)", 0.0, 0.0),
        ("y = Clip(x, low, high)", -1.0, 0.0),
        ("y = Clip(x, low, high)", 1.0, 0.0),
        ("y = Max(x, high)", 1.0, 0.5),
        ("y = Min(x, high)", 1.0, 0.5),
        ("y = Max(x, x)", 0.3, 1.0),
        ("y = Sign(x)", 0.0, 0.0),
    ],
)
def test_kinks_follow_the_table(nodes: str, at: float, slope: float) -> None:
    net = engine_net(
        f"(float[1] x) => (float[1] y) {{ {nodes} }}",
        {"low": np.float32(-1).reshape(()), "high": np.float32(1).reshape(())},
    )
    assert net.gradient([at])["x"].tolist() == [slope]


def test_ties_of_reductions_are_shared_and_of_pools_go_to_the_first() -> None:
    even = engine_net("(float[4] x) => (float[1] y) { y = ReduceMax(x) }")
    np.testing.assert_array_equal(even.gradient([1.0, 2.0, 2.0, 0.0])["x"], [0, 0.5, 0.5, 0])
    first = engine_net(
        "(float[1,1,4] x) => (float[1,1,1] y) { y = MaxPool<kernel_shape = [4]>(x) }"
    )
    np.testing.assert_array_equal(first.gradient([[[1.0, 2.0, 2.0, 0.0]]])["x"], [[[0, 1, 0, 0]]])
