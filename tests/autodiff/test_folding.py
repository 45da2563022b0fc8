"""Integer arithmetic while compiling gives what the operators give."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.graph.arithmetic import INTEGER
from support.double import runner

_A, _B = np.array([[7, -7, 0], [3, -8, 5]]), np.array([2, -3, 4])
_YES = np.array([True, False, True])

CASES: dict[str, tuple[list[np.ndarray], dict[str, Any]]] = {
    **{name: ([_A], {}) for name in ("Abs", "Neg", "Sign")},
    **{name: ([_A, _B], {}) for name in ("Add", "Sub", "Mul", "Div", "Equal", "Greater", "Less")},
    **{name: ([_A, _B, np.array([1])], {}) for name in ("Max", "Min")},
    "Mod": ([_A, _B], {}),
    "Reshape": ([_A, np.array([-1, 0, 1])], {}),
    "Squeeze": ([_A[:, None, :, None], np.array([1, -1])], {}),
    "Where": ([_YES, _A, _B], {}),
    "Concat": ([_A, _A + 1], {"axis": -1}),
    "Gather": ([_A, np.array([2, -1])], {"axis": 1}),
    "Unsqueeze": ([_A, np.array([0, -1])], {}),
}


def _vocabulary() -> Vocabulary:
    return Vocabulary(ir.Graph([], [], nodes=[], opset_imports={"": 21}), 21)


@pytest.mark.parametrize("op_type", sorted(INTEGER))
def test_constants_fold_to_what_the_runtime_computes(op_type: str) -> None:
    operands, attributes = CASES[op_type]
    op = _vocabulary()
    folded = getattr(op, op_type)(*(op.constant(x) for x in operands), **attributes).constant
    names = [f"x{i}" for i in range(len(operands))]
    ports = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in zip(names, operands, strict=True)
    ]
    node = helper.make_node(op_type, names, ["y"], **attributes)
    graph = helper.make_graph([node], "one", ports, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model)
    [expected] = runner(model, engine="onnxruntime")(dict(zip(names, operands, strict=True)))
    assert folded is not None
    assert folded.dtype == expected.dtype
    np.testing.assert_array_equal(folded, expected)


def test_floats_are_left_to_the_runtime() -> None:
    op = _vocabulary()
    one = op.constant(np.ones(2))
    assert op.Add(one, one).value.producer() is not None


def test_a_division_by_zero_is_left_to_the_runtime() -> None:
    op = _vocabulary()
    assert op.Div(op.ints(4), op.ints(0)).value.producer() is not None


def test_axes_that_multiply_are_left_to_the_runtime() -> None:
    op = _vocabulary()
    sides = [np.ones(shape, np.int64) for shape in ((4096, 1, 1), (1, 4096, 1), (1, 1, 4096))]
    assert op.Max(*map(op.constant, sides)).constant is None
    assert op.Add(op.constant(sides[0]), op.constant(sides[0][:5])).constant is None
    table = op.constant(np.arange(4096))
    assert op.Gather(table, op.constant(np.zeros((4096, 2), np.int64))).constant is None
    assert op.Concat(table, table, axis=0).constant is not None


def test_long_positions_are_made_when_the_net_runs() -> None:
    op = _vocabulary()
    assert op.iota(op.ints(2**40)).constant is None
    assert op.iota(op.ints(5)).constant is not None
