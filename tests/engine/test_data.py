"""What callers send: dtypes, lists, bare arrays, strings, sequences; what they get is theirs."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from portgrad.engine.arrays import as_port_array, as_port_value
from support.engine import counted, engine_net, refusal


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, 2], "float32", np.array([1, 2], np.float32)),
        ([1.5, 2], "float16", np.array([1.5, 2], np.float16)),
        ([1.5, 2], "bfloat16", np.array([1.5, 2], ml_dtypes.bfloat16)),
        ([1.5], "float64", np.array([1.5])),
        ([], "float32", np.zeros(0, np.float32)),
        ([[], []], "int64", np.zeros((2, 0), np.int64)),
        (3, "int64", np.array(3)),
        (True, "bool", np.array(True)),
        (["NaN", 1, "-Infinity"], "float32", np.array([np.nan, 1, -np.inf], np.float32)),
        ([["Infinity"]], "float64", np.array([[np.inf]])),
        ("a", "string", np.array("a", object)),
        (["a", "b"], "string", np.array(["a", "b"], object)),
        (np.array(["a", "b"]), "string", np.array(["a", "b"], object)),
        (np.array([1, 2], ">f4"), "float32", np.array([1, 2], np.float32)),
        (np.float32(2), "float32", np.array(2, np.float32)),
        (np.ones((2, 3), np.float32).T, "float32", np.ones((3, 2), np.float32)),
        (np.ones(2, ml_dtypes.bfloat16), "bfloat16", np.ones(2, ml_dtypes.bfloat16)),
        ([127, -128], "int8", np.array([127, -128], np.int8)),
    ],
)
def test_what_a_port_takes(value: Any, dtype: str, expected: np.ndarray[Any, Any]) -> None:
    found = as_port_array(value, dtype, "x")
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("value", "dtype", "code"),
    [
        (np.ones(2), "float32", "wrong_dtype"),
        (np.ones(2, np.float32), "float64", "wrong_dtype"),
        (np.ones(2, np.float32), "bfloat16", "wrong_dtype"),
        (np.ones(2, np.uint16), "bfloat16", "wrong_dtype"),
        (np.ones(2, np.int32), "int64", "wrong_dtype"),
        ([1.5], "int64", "wrong_dtype"),
        ([True], "float32", "wrong_dtype"),
        ([1], "bool", "wrong_dtype"),
        (["a"], "float32", "wrong_dtype"),
        ([1], "string", "wrong_dtype"),
        ([[1], [1, 2]], "float32", "ragged_array"),
        ([None], "float32", "ragged_array"),
        ({"a": 1}, "float32", "ragged_array"),
        ([128], "int8", "out_of_range"),
        ([1e39], "float32", "out_of_range"),
        ([70000], "float16", "out_of_range"),
        ([2**70], "int64", "ragged_array"),
        (1.0, "sequence(float32)", "not_a_list"),
        ([1.0], "sequence(int64)", "wrong_dtype"),
        ([1.0], "optional(float32)", "not_built"),
        ([1.0], "sequence(optional(float32))", "not_built"),
        ([{}], "unknown", "not_built"),
    ],
)
def test_what_a_port_refuses(value: Any, dtype: str, code: str) -> None:
    error = refusal(lambda: as_port_value(value, dtype, "x"))
    assert error.code == code
    assert str(error.where).startswith("x")


def test_lists_of_one_kind_and_of_no_array_are_told_apart_in_place() -> None:
    error = refusal(lambda: as_port_value([[1.0], ["a"]], "sequence(float32)", "x"))
    assert error.where == "x[1]"


@pytest.mark.parametrize("kind", ["float16", "float", "double"])
def test_nets_of_every_floating_dtype(kind: str) -> None:
    dtype = {"float": np.float32, "double": np.float64}.get(kind, np.float16)
    net = engine_net(
        f"({kind}[1,3] x) => ({kind}[1,2] y) {{ h = MatMul(x, w) y = Mul(h, h) }}",
        {"w": counted(3, 2).astype(dtype)},
    )
    x = counted(2, 3).astype(dtype)
    outputs, found = net.value_and_gradient(x, wrt=["x", "h", "w"])
    w = counted(3, 2).astype(dtype)
    h = x @ w
    expected = {"h": 2 * h, "x": 2 * h @ w.T, "w": x.T @ (2 * h)}
    for name, gradient in {**expected, "y": h * h}.items():
        array = outputs[name] if name == "y" else found[name]
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, gradient)


def test_bfloat16_arrays_go_in_and_come_out() -> None:
    """The runtime's CPU kernels know few operators in bfloat16; casting is among them."""
    net = engine_net("""(bfloat16[1,3] x) => (bfloat16[1,3] y) {
      f = Cast<to = 1>(x)  g = Mul(f, w)  y = Cast<to = 16>(g) }""", {"w": counted(3)})  # fmt: skip
    x = np.array([[1, 2, 3], [4, 5, 6]], ml_dtypes.bfloat16)
    outputs, found = net.value_and_gradient(x, output_gradients={"y": x}, wrt="all")
    assert outputs["y"].dtype == found["x"].dtype == x.dtype
    np.testing.assert_array_equal(outputs["y"].astype(np.float32), [[1, 4, 9], [4, 10, 18]])
    np.testing.assert_array_equal(found["x"].astype(np.float32), [[1, 4, 9], [4, 10, 18]])
    np.testing.assert_array_equal(found["w"], [17, 29, 45])


def test_large_bfloat16_weights_reach_the_runtime() -> None:
    net = engine_net("""(float[1] x) => (float[1000] y) { f = Cast<to = 1>(w)  y = Mul(x, f) }""",
                     {"w": np.full(1000, 1.5, ml_dtypes.bfloat16)})  # fmt: skip
    found = net.gradient([2.0], wrt="all")
    assert found["x"].tolist() == [1500.0]
    assert found["w"].dtype == ml_dtypes.bfloat16
    assert set(found["w"].astype(np.float32)) == {2.0}


def test_a_kernel_that_the_runtime_lacks_is_named() -> None:
    net = engine_net('(int16[3] x) => (int16[3] y) { ["/block/Max"] y = Max(x, x) }')
    error = refusal(lambda: net.evaluate([1, 2, 3]))
    assert (error.code, error.where) == ("not_runnable", "Max node '/block/Max'")


def test_a_bare_array_is_for_a_net_with_one_port() -> None:
    two = engine_net("(float[2] a, float[2] b) => (float[2] y) { y = Mul(a, b) }")
    assert refusal(lambda: two.gradient([1.0, 2.0])).code == "missing_port"
    assert refusal(lambda: two.gradient({"a": [1.0, 2.0]})).code == "missing_port"
    extra = {"a": [1.0, 2.0], "b": [1.0, 2.0], "bb": [1.0]}
    error = refusal(lambda: two.gradient(extra))
    assert error.code == "unknown_port"
    assert "`b`" in str(error.remedy)


SEQUENCES = """(seq(float[K]) s, float[K] x) => (float[M] y, seq(float[K]) t) {
  y = ConcatFromSequence<axis = 0>(s)  t = SequenceInsert(s, x) }"""


def test_sequences_are_lists_of_arrays() -> None:
    net = engine_net(SEQUENCES)
    found = net.evaluate({"s": [counted(2), [5.0, 6.0]], "x": [7.0, 8.0]})
    np.testing.assert_array_equal(found["y"], [1, 2, 5, 6])
    assert [part.tolist() for part in found["t"]] == [[1, 2], [5, 6], [7, 8]]
    [s, _] = net.description.inputs
    assert (s.dtype, s.shape, s.differentiable) == ("sequence(float32)", None, False)
    assert (
        refusal(lambda: net.gradient({"s": [[1.0]], "x": [1.0]}, wrt=["s"])).code == "no_gradient"
    )


def test_a_batch_of_sequences_is_not_built() -> None:
    net = engine_net("""(float[1,4] x) => (seq(float[1,2]) y) {
      two = Constant<value = int64 {2}>()  y = SplitToSequence<axis = 1>(x, two) }""")  # fmt: skip
    assert len(net.evaluate(counted(1, 4))["y"]) == 2
    assert refusal(lambda: net.evaluate(counted(3, 4))).code == "not_built"


@pytest.mark.parametrize("nodes", ["y = Identity(x)", "h = Identity(x) y = Reshape(h, s)"])
@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_results_are_the_caller_s_own(nodes: str, shape: tuple[int, ...]) -> None:
    net = engine_net(f"(float[N,3] x) => (float[N,3] y) {{ {nodes} }}", {"s": np.array([-1, 3])})
    x = counted(*shape)
    seed = 2 * x
    outputs, found = net.value_and_gradient(x, output_gradients={"y": seed})
    for array, given in ((outputs["y"], x), (found["x"], seed)):
        np.testing.assert_array_equal(array, given)
        assert not np.shares_memory(array, given)
        array[...] = 0
    np.testing.assert_array_equal(x, counted(*shape))
    np.testing.assert_array_equal(net.evaluate(x)["y"], x)


@pytest.mark.parametrize("size", [3, 1000])
def test_changing_a_result_does_not_change_the_net(size: int) -> None:
    ports = f"(float[{size}] x) => (float[{size}] v, float[{size}] y)"
    net = engine_net(f"{ports} {{ v = Identity(w) y = Mul(x, v) }}", {"w": counted(size)})
    x = np.ones(size, np.float32)
    outputs, found = net.value_and_gradient(x)
    outputs["v"][...] = 0
    found["x"][...] = 0
    np.testing.assert_array_equal(net.evaluate(x)["v"], counted(size))
    np.testing.assert_array_equal(net.gradient(x, of="y")["x"], counted(size))


def test_read_only_data_is_enough() -> None:
    net = engine_net("(float[2] x) => (float[2] y) { y = Mul(x, x) }")
    x = np.frombuffer(np.array([2, 3], np.float32).tobytes(), np.float32)
    assert not x.flags.writeable
    np.testing.assert_array_equal(net.gradient(x)["x"], [4, 6])


def test_names_like_those_of_casts_do_no_harm() -> None:
    for name in ("v", "t/in-float32/0", "t/in-float32:0"):
        net = engine_net(f'''(float[3] x) => (float[3] y) {{
          "{name}" = Cast<to = 16>(x) t = Erf("{name}") u = Add(t, "{name}") y = Cast<to = 1>(u) }}
        ''')  # fmt: skip
        assert net.evaluate([1.0, 1.0, 1.0])["y"].tolist() == [1.84375] * 3
