"""Parameters that lie in the subgraphs of If, Loop and Scan have gradients like any other."""

from __future__ import annotations

import numpy as np
import pytest

from support.engine import counted, engine_net, refusal

X = counted(2, 3)
PORTS = "(float[N,3] x, bool c) => (float[N,3] y)"


def _if(then: str, other: str) -> str:
    return f"""{PORTS} {{ [gate] y = If(c) <
      then_branch = yes () => (float[N,3] t) {then},
      else_branch = no () => (float[N,3] e) {other}> }}"""


PLAIN = _if("<float[3] w = {1, 2, 3}> { t = Mul(x, w) }", "{ e = Neg(x) }")
TWICE = _if(
    "<float[3] w = {1, 2, 3}> { t = Mul(x, w) }", "<float[3] w = {4, 5, 6}> { e = Mul(x, w) }"
)
CLASH = _if("<float[3] w = {1, 2, 3}> { t = Mul(x, w) }", "{ w = Neg(x) e = Mul(w, w) }")


@pytest.mark.parametrize(
    ("body", "taken", "expected"),
    [
        (PLAIN, True, {"w": X.sum(0)}),
        (PLAIN, False, {"w": np.zeros(3)}),
        (TWICE, True, {"gate/then_branch/w": X.sum(0), "gate/else_branch/w": np.zeros(3)}),
        (TWICE, False, {"gate/then_branch/w": np.zeros(3), "gate/else_branch/w": X.sum(0)}),
        (CLASH, True, {"w": X.sum(0)}),
        (CLASH, False, {"w": np.zeros(3)}),
    ],
)
def test_parameters_of_branches(body: str, taken: bool, expected: dict[str, object]) -> None:
    net = engine_net(body)
    assert {p.name: p.differentiable for p in net.description.parameters} == dict.fromkeys(
        expected, True
    )
    found = net.gradient({"x": X, "c": taken}, wrt="parameters")
    assert list(found) == list(expected)
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found[name], gradient)
        np.testing.assert_array_equal(
            net.gradient({"x": X, "c": taken}, wrt=[name])[name], gradient
        )


def test_a_parameter_that_a_branch_gives_out() -> None:
    net = engine_net("""(bool c, float[2] x) => (float[2] y) { s = If(c) <
      then_branch = yes () => (float[2] t) <float[2] t = {1, 2}> { },
      else_branch = no () => (float[2] e) { e = Neg(x) }>  y = Mul(s, s) }""")  # fmt: skip
    data = {"c": True, "x": [7.0, 8.0]}
    outputs, found = net.value_and_gradient(data, wrt="all")
    np.testing.assert_array_equal(outputs["y"], [1, 4])
    np.testing.assert_array_equal(found["t"], [2, 4])
    np.testing.assert_array_equal(found["x"], [0, 0])


def test_the_same_plain_name_twice_is_ambiguous() -> None:
    error = refusal(lambda: engine_net(TWICE).gradient({"x": X, "c": True}, wrt=["w"]))
    assert error.code == "ambiguous_path"


def test_a_parameter_of_a_loop_totals_its_iterations() -> None:
    net = engine_net("""(int64 n, float[2] x) => (float[2] y) {
      yes = Constant<value = bool {1}>()
      [again] y = Loop(n, yes, x) <body = step
        (int64 i, bool go, float[2] s) => (bool g, float[2] t)
        <float[2] w = {2, 3}> { g = Identity(go) t = Mul(s, w) }> }""")
    x, w = np.array([1.0, -1.0]), np.array([2.0, 3.0])
    found = net.gradient({"n": 3, "x": x.tolist()}, wrt="all")
    np.testing.assert_array_equal(found["x"], w**3)
    np.testing.assert_array_equal(found["w"], 3 * x * w**2)


def test_large_parameters_of_one_name_are_kept_apart() -> None:
    """Above a kilobyte the runtime gets weights by name."""
    up, down = (", ".join(map(str, range(*way))) for way in ((1, 301), (300, 0, -1)))
    body = _if(f"<float[300] w = {{{up}}}> {{ t = Mul(x, w) }}",
               f"<float[300] w = {{{down}}}> {{ e = Mul(x, w) }}")  # fmt: skip
    net = engine_net(body.replace("[N,3]", "[N,300]"))
    x = np.ones((1, 300), np.float32)
    for taken, weight in ((True, counted(300)), (False, counted(300)[::-1])):
        outputs, found = net.value_and_gradient({"x": x, "c": taken})
        np.testing.assert_array_equal(outputs["y"][0], weight)
        np.testing.assert_array_equal(found["x"][0], weight)
