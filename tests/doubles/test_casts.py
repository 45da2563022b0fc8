"""Mixed precision, half precision and casts in double: casts between floats become nothing."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest

import portgrad
from engine.test_mixed_precision import AUTOCAST, BIAS, LAYERS, WEIGHT, X, net

NUMBERS = {"float16": 10, "bfloat16": 16, "float32": 1}


@pytest.mark.parametrize("half", NUMBERS)
def test_casts_between_floats_are_nothing(half: str) -> None:
    """To the last bit as without the casts."""
    asked = {"wrt": "all", "outputs": True, "precision": "float64"}
    cast, plain = AUTOCAST.replace("H", str(NUMBERS[half])), AUTOCAST.replace("H", "11")
    got, want = (net(text, w=WEIGHT, b=BIAS).gradient(X, **asked) for text in (cast, plain))
    for name in ("x", "w", "b"):
        assert got[name].dtype == np.float64
        np.testing.assert_array_equal(got[name], want[name])
    np.testing.assert_array_equal(got.outputs["y"], want.outputs["y"])


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_a_net_in_half_precision_has_its_own_weights_in_double(half: type) -> None:
    """It is the net in float64 whose weights are those halves."""
    weights = {"w": WEIGHT.astype(half), "b": BIAS.astype(half)}
    text = LAYERS.replace("T[", f"{np.dtype(half).name}[")
    narrow = net(text, **weights, yes=np.array(True))
    wide = {name: w.astype(np.float64) for name, w in weights.items()}
    exact = net(LAYERS.replace("T[", "double["), **wide, yes=np.array(True))
    got = narrow.gradient(X.astype(np.float64), wrt="all", precision="float64")
    want = exact.gradient(X.astype(np.float64), wrt="all")
    assert set(got) == set(want)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array)


def test_integers_become_doubles() -> None:
    text = """(int64[N] n) => (float[N] y) { f = Cast<to = 1>(n) y = Div(f, d) }"""
    found = net(text, d=np.array(3.0, np.float32)).evaluate(np.array([1, 2]), precision="float64")
    np.testing.assert_array_equal(found["y"], np.array([1.0, 2.0]) / 3.0)


def test_what_makes_floats_of_nothing_makes_doubles() -> None:
    """Constants, fills, ranges, identities, windows, random numbers and sequences."""
    text = """(int64[1] n, float[N] x) => (float[] y) {
        zero = ConstantOfShape(n) c = Constant<value_float = 0.5>() m = EyeLike(square)
        k = ReduceSum(m) size = Squeeze(n) w = HammingWindow<periodic = 0>(size)
        r = RandomUniform<shape = [1]>() s = SequenceEmpty() t = SequenceInsert(s, x)
        u = ConcatFromSequence<axis = 0>(t) total = ReduceSum(u)
        a = Add(c, zero) b = Add(a, k) d = Add(b, total) e = Add(d, r) f = ReduceSum(w)
        y = Add(e, f) }"""
    built = net(text, square=np.zeros((2, 2), np.float32))
    data = {"n": np.array([1]), "x": np.array([0.1, 0.2])}
    found = built.evaluate(data, outputs=["y", "f", "b"], precision="float64", random_seed=1)
    assert {name: a.dtype for name, a in found.items()} == dict.fromkeys("yfb", np.dtype("float64"))
    assert built.gradient(data, wrt=["x"], precision="float64", random_seed=1)["x"].dtype == float


def test_the_file_of_the_net_is_checked_as_before() -> None:
    """A net of float64 ports is what it was, with the setting and without."""
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]> n (double[2] x) => (double[2] y) { y = Erf(x) }'
    )
    built = portgrad.load(model.SerializeToString(), threads=1)
    x = np.array([0.25, -3.0])
    plain, asked = built.gradient(x)["x"], built.gradient(x, precision="float64")["x"]
    np.testing.assert_array_equal(plain, asked)
