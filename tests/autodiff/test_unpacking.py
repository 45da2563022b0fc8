"""Sequences whose elements are known when compiling leave no trace in a gradient graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from autodiff.test_sequences import X, net_case
from portgrad.autodiff import unpacking
from portgrad.graph import walk
from support.rig import Case, check_adjoint, second_order

CONSTANTS = """
    zero = Constant<value = int64 {0}>()
    one = Constant<value = int64 {1}>()
    two = Constant<value = int64 {2}>()
    three = Constant<value = int64 {3}>()
    last = Constant<value = int64 {-1}>()
    parts = Constant<value = int64[3] {1, 0, 3}>()
"""
THREE = "a = Sin(x) b = Exp(x) c = Mul(x, x) s = SequenceConstruct(a, b, c)"
KNOWN = {
    "at": f"{THREE} t = SequenceAt(s, one) u = SequenceAt(s, last) y = Mul(t, u)",
    "stack": f"{THREE} t = ConcatFromSequence<axis = -1, new_axis = 1>(s) y = Mul(t, t)",
    "concat": f"{THREE} t = ConcatFromSequence<axis = 1>(s) y = Mul(t, t)",
    "insert": f"""{THREE} d = SequenceInsert(s, x, one) e = SequenceInsert(d, x)
        f = SequenceInsert(e, a, last) t = ConcatFromSequence<axis = 0>(f) y = Mul(t, t)""",
    "erase": f"""{THREE} d = SequenceErase(s, last) e = SequenceErase(d)
        t = ConcatFromSequence<axis = 0>(e) y = Mul(t, t)""",
    "from nothing": """none = SequenceEmpty<dtype = 11>() d = SequenceInsert(none, x)
        e = Identity(d) t = SequenceAt(e, zero) y = Mul(t, t)""",
    "length": f"""{THREE} n = SequenceLength(s) m = Cast<to = 11>(n) y = Mul(m, x)""",
    "split by sizes": """s = SplitToSequence<axis = 0>(x, parts) a = SequenceAt(s, two)
        b = SequenceAt(s, zero) t = Mul(a, b) y = Mul(t, t)""",
    "split by a size": """s = SplitToSequence<axis = 0>(x, three) a = SequenceAt(s, zero)
        b = SequenceAt(s, one) y = Mul(a, b)""",
    "split by ones": """s = SplitToSequence<axis = -1>(x) a = SequenceAt(s, two)
        b = SequenceAt(s, one) y = Mul(a, b)""",
    "unbind": """s = SplitToSequence<axis = -1, keepdims = 0>(x) a = SequenceAt(s, two)
        b = SequenceAt(s, zero) t = Mul(a, b)
        u = ConcatFromSequence<axis = 0, new_axis = 1>(s) z = Mul(u, u) v = ReduceSum(z)
        y = Mul(t, v)""",
    "in a branch": f"""{THREE} q = ReduceSum<keepdims = 0>(x) flag = Greater(q, q)
        t = If(flag) <
            then_branch = yes () => (double[4, 3] e) {{ e = SequenceAt(s, one) }},
            else_branch = no () => (double[4, 3] f) {{
                more = SequenceInsert(s, x)
                g = SequenceAt(more, three)
                h = SequenceAt(more, zero)
                f = Mul(g, h)
            }}
        >
        y = Mul(t, t)""",
}  # fmt: skip
UNKNOWN = {
    "at a place that is data": f"""{THREE} k = Shape(x) i = Gather(k, zero) j = Sub(i, two)
        t = SequenceAt(s, j) y = Mul(t, t)""",
    "erase at a place that is data": f"""{THREE} k = Shape(x) i = Gather(k, zero) j = Sub(i, two)
        d = SequenceErase(s, j) t = SequenceAt(d, zero) y = Mul(t, t)""",
}  # fmt: skip


def _case(body: str, ports: str = "double[4, 3] x") -> Case:
    return net_case(ports, CONSTANTS + body, {"x": X})


def _sequences(model: onnx.ModelProto) -> set[str]:
    """Operators of a model that make or read sequences."""
    found = {node.op_type for node in walk.nodes(model.graph)}
    return {op for op in found if "Sequence" in op}


@pytest.mark.parametrize("name", KNOWN)
def test_known_elements_become_tensors(name: str) -> None:
    case = _case(KNOWN[name])
    assert _sequences(case.model)
    assert not _sequences(case.gradient())
    check_adjoint(case, step=1e-5, tolerance=1e-7)
    # A difference of gradients: its third derivatives are larger than those of the output.
    check_adjoint(second_order(case), step=1e-5, tolerance=1e-6)


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_places_stay_sequences(name: str) -> None:
    case = _case(UNKNOWN[name], "double[rows, 3] x")
    assert _sequences(case.gradient())
    check_adjoint(case, step=1e-5, tolerance=1e-7)


def test_a_split_of_unknown_size_stays_a_sequence() -> None:
    body = "s = SplitToSequence<axis = 0>(x) t = SequenceAt(s, last) y = Mul(t, t)"
    assert _sequences(_case(body, "double[rows, 3] x").gradient())


def test_values_of_sequences_keep_their_names() -> None:
    case = _case(KNOWN["at"])
    model = case.gradient()
    assert "t" in {name for node in model.graph.node for name in node.output}


def test_a_position_that_is_not_there_fails_as_before() -> None:
    case = _case(f"{THREE} t = SequenceAt(s, three) y = Mul(t, t)")
    assert _sequences(case.gradient())
    with pytest.raises(Exception, match=r"(?i)index|position"):
        case.run_gradient({"seed/y": np.ones((4, 3))})


def test_a_position_that_is_no_number_fails_as_before() -> None:
    case = _case(f"{THREE} t = SequenceAt(s, parts) y = Mul(t, t)")
    assert _sequences(case.gradient())


def test_a_list_may_grow_longer_than_the_stack_and_than_is_known() -> None:
    longer = unpacking._MOST + 2
    steps = [f"s{k + 1} = SequenceInsert(s{k}, x)" for k in range(longer)]
    nodes = ["s0 = SequenceEmpty<dtype = 11>()", *steps]
    for last in (700, longer):
        end = f"y = ConcatFromSequence<axis = 0>(s{last})"
        case = net_case("double[1] x", "\n".join([*nodes[: last + 1], end]), {"x": X[0, :1]})
        assert bool(_sequences(case.gradient())) == (last == longer)
        [gradient] = case.run_gradient({"seed/y": np.arange(float(last))})
        np.testing.assert_array_equal(gradient, [last * (last - 1) / 2])
