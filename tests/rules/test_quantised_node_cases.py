"""ONNX's own node cases of quantisation: 42, of which 17 give numbers and 25 codes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import portgrad
from portgrad.errors import Unsupported
from support.node_cases import NodeCase
from support.node_verdicts import AGREES, judge

OPERATORS = (
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
)
# onnxruntime has no kernel for four-bit floats.
NOT_RUN = {"test_quantizelinear_float4e2m1"}


@functools.cache
def _cases() -> dict[str, NodeCase]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    found = {}
    for case in collected:
        [*others, node] = case.model.graph.node
        if not others and node.op_type in OPERATORS:
            data = tuple(case.data_sets[0][0])
            found[case.name] = NodeCase(case.name, node.op_type, case.model, data)
    return found


NUMBERS = [case for case in _cases().values() if case.outputs and case.targets]
CODES = [case for case in _cases().values() if not case.outputs]


def test_every_case_is_looked_at() -> None:
    assert (len(_cases()), len(NUMBERS), len(CODES)) == (42, 17, 25)


@pytest.mark.parametrize("case", NUMBERS, ids=lambda case: case.name)
def test_gradients_of_scales_agree_with_differences(case: NodeCase) -> None:
    verdict = judge(case)
    assert verdict.outcome == AGREES, verdict.why


@pytest.mark.parametrize("case", CODES, ids=lambda case: case.name)
def test_the_estimate_runs(case: NodeCase) -> None:
    """A DequantizeLinear behind the operator makes numbers of its codes."""
    feeds, targets = case.feeds(), list(case.targets)
    codes = {name: feeds.pop(name) for name in list(feeds) if name not in targets}
    net = portgrad.load(_with_numbers(case.original, codes).SerializeToString())
    if case.name in NOT_RUN:
        with pytest.raises(Unsupported, match="no kernel"):
            net.check()
        return
    if not targets:  # codes alone: nothing has a gradient
        net.check()
        return
    exact = net.gradient(feeds, wrt=targets)
    assert [g.any() for g in exact.values()] == [False] * len(targets)
    found = net.gradient(feeds, wrt=targets, quantized="straight_through")
    for name, gradient in found.items():
        assert gradient.dtype == feeds[name].dtype
        assert np.isfinite(gradient).all()
        assert gradient.any(), name


def _with_numbers(original: onnx.ModelProto, held: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The case with some of its inputs fixed, and its codes as numbers."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    for index in reversed(range(len(model.graph.input))):
        if model.graph.input[index].name in held:
            del model.graph.input[index]
    fixed = [numpy_helper.from_array(array, name) for name, array in held.items()]
    model.graph.initializer.extend(fixed)
    [codes] = model.graph.output
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.0), "step"))
    reader = helper.make_node("DequantizeLinear", [codes.name, "step"], ["numbers"])
    model.graph.node.append(reader)
    shape = [d.dim_value for d in codes.type.tensor_type.shape.dim]
    model.graph.output.append(helper.make_tensor_value_info("numbers", 1, shape))
    del model.graph.output[0]
    return model
