"""Values of unknown type, as after another domain's operators, of which onnx infers nothing.

A gradient through one would be lost without a word if it were taken for a value that is no float.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.errors import Unsupported

X = np.array([[0.1, 0.2], [0.3, 0.5]], np.float32)


def load(nodes: str) -> portgrad.Net:
    text = f"""<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
    net (float[2,2] x) => (float[A,B] y) <float[2,2] w = {{1,2,3,4}}> {{ {nodes} }}"""
    return portgrad.load(onnx.parser.parse_model(text).SerializeToString())


ON_THE_PATH = [
    ("c = com.microsoft.QuickGelu(x) y = Tanh(c)", "c"),
    ("b = Tanh(x) c = com.microsoft.QuickGelu(b) d = Tanh(c) y = Mul(d, d)", "c"),
    ("[act] c = com.microsoft.QuickGelu(x) y = Add(c, x)", "act"),
]


@pytest.mark.parametrize(("nodes", "where"), ON_THE_PATH)
def test_no_gradient_is_lost_on_the_way(nodes: str, where: str) -> None:
    net = load(nodes)
    assert not net.description.plain()["inputs"][0]["differentiable"]
    with pytest.raises(Unsupported) as caught:
        net.gradient(X)
    assert caught.value.where == where
    assert caught.value.found == "com.microsoft.QuickGelu"


BESIDE_THE_PATH = [
    "c = com.microsoft.QuickGelu(w) y = Mul(c, x)",
    "c = com.microsoft.QuickGelu(w) d = Tanh(c) y = Mul(x, d)",
    "c = com.microsoft.QuickGelu(w) y = Concat<axis = 0>(x, c)",
]


@pytest.mark.parametrize("nodes", BESIDE_THE_PATH)
def test_a_rule_that_needs_the_type_says_so(nodes: str) -> None:
    with pytest.raises(Unsupported, match=r"the type of '[cd]' is not known"):
        load(nodes).gradient(X)


AWAY_FROM_THE_PATH = [
    ("c = com.microsoft.QuickGelu(x) i = ArgMax<axis = 1>(c) j = Cast<to = 1>(i) y = Add(x, j)"),
    ("c = com.microsoft.QuickGelu(x) d = Tanh(c) y = Identity(x)"),
]


@pytest.mark.parametrize("nodes", AWAY_FROM_THE_PATH)
def test_where_no_gradient_flows_the_type_does_not_matter(nodes: str) -> None:
    np.testing.assert_array_equal(load(nodes).gradient(X)["x"], np.ones_like(X))
