"""Old operators mean the same after they are brought to the working opset, and keep their names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.autodiff.tensor import FLOATING
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays, directional
from support.old_operators import CASES, Array, Case, old_model
from support.rig import Case as Rigged

# No gradient leaves these, and none reaches these operands.
FLAT = {"Hardmax", "Less", "And", "Cast-5", "Cast-6"}
UNREAD = {"Resize": {"in_1"}, "Upsample": {"in_1"}}


def run(model: onnx.ModelProto, case: Case) -> list[Array]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([f"out_{i}" for i in range(case.outputs)], sent(case))


def sent(case: Case) -> Arrays:
    return {f"in_{i}": x for i, x in enumerate(case.inputs) if i not in case.fixed}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_old_operator_means_the_same_after_conversion(case: Case) -> None:
    model = old_model(case)
    net = load(NetFiles(model.SerializeToString()))
    assert net.opset_imports[""] == 21
    got = run(ir.to_proto(net), case)
    want = [case.expected(*case.inputs)] if case.expected else run(model, case)
    for theirs, ours in zip(want, got, strict=True):
        assert ours.dtype == theirs.dtype
        # A few roundings of float32: conversion may split a kernel into several.
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6)


def meaning(model: onnx.ModelProto, case: Case) -> Callable[[Arrays], list[Array]]:
    """The floating outputs at some feeds: in float64 where NumPy says what the operator means."""
    if case.expected is None:
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return lambda feeds: [y for y in session.run(None, feeds) if y.dtype.kind == "f"]
    given = {f"in_{i}": x for i, x in enumerate(case.inputs)}
    return lambda feeds: [case.expected(*(feeds.get(name, x) for name, x in given.items()))]


SMOOTH = [case for case in CASES if not {case.op, str(case)} & FLAT]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_the_gradient_is_that_of_the_old_operator(case: Case) -> None:
    model, feeds = old_model(case), sent(case)
    net = load(NetFiles(model.SerializeToString()))
    unread = UNREAD.get(case.op, frozenset())
    wrt = tuple(n for n, x in feeds.items() if x.dtype.kind == "f" and n not in unread)
    of = tuple(str(y.name) for y in net.graph.outputs if y.dtype in FLOATING)
    means = meaning(model, case)
    seeds = [np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype) for y in means(feeds)]
    loaded = Rigged(ir.to_proto(net), feeds, wrt, of)
    gradients = loaded.run_gradient({f"seed/{n}": s for n, s in zip(of, seeds, strict=True)})
    # In float64 float32's rounding of the gradient; else h² and 1e-7 / h, by third derivatives.
    step, tolerance = (1e-5, 1e-5) if case.expected else (1e-2, 2e-3)
    wide = {n: x.astype(np.float64) if n in wrt and case.expected else x for n, x in feeds.items()}
    for name, gradient in zip(wrt, gradients, strict=True):
        v = np.random.default_rng(5).standard_normal(gradient.shape)
        numeric = directional(means, wide, seeds, {name: v}, step)
        scale = 1.0 + float(np.linalg.norm(gradient) * np.linalg.norm(v))
        assert abs(float(np.vdot(gradient.astype(np.float64), v)) - numeric) <= tolerance * scale


@pytest.mark.parametrize("case", CASES, ids=str)
def test_names_survive_conversion(case: Case) -> None:
    net = load(NetFiles(old_model(case).SerializeToString()))
    assert [v.name for v in net.graph.inputs] == [
        f"in_{i}" for i in range(len(case.inputs)) if i not in case.fixed
    ]
    assert [v.name for v in net.graph.outputs] == [f"out_{i}" for i in range(case.outputs)]
    assert {f"in_{i}" for i in case.fixed} <= set(net.graph.initializers)
    assert [node.name for node in net.graph].count("the_node") == 1
    for node in net.graph:
        for value in node.outputs:
            assert value.dtype is not None
            assert value.shape is not None


FLATTENED = ["Shape", "Flatten", "Softmax", "Reshape"]
SOFTMAX = [
    ("(float[1, 5] x)", "", ["Softmax"]),
    ("(float[N, 5] x)", "<axis = 1>", ["Softmax"]),
    ("(float[N, 5, 1, 1] x)", "", ["Softmax"]),
    ("(float[N, 5, 7] x)", "<axis = 2>", ["Softmax"]),
    ("(float[N, 5, 7] x)", "<axis = -1>", ["Softmax"]),
    ("(float[N, 5, 1] x)", "<axis = -2>", ["Softmax"]),
    ("(float[N, 5, 7] x)", "", FLATTENED),
    ("(float[N, 5, M] x)", "", FLATTENED),
    ("(float[5, 1] x)", "<axis = 0>", ["Softmax"]),
    ("(float[5, 2] x)", "<axis = 0>", FLATTENED),
    ("(float[5] x)", "", FLATTENED),
]


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize(("port", "axis", "expected"), SOFTMAX)
def test_a_softmax_over_one_axis_stays_one_node(
    op: str, port: str, axis: str, expected: list[str]
) -> None:
    header = '<ir_version: 8, opset_import: ["": 12]> net '
    text = header + port + f" => (float[] y) {{ [soft] y = {op}{axis}(x) }}"
    net = load(NetFiles(onnx.parser.parse_model(text).SerializeToString()))
    assert [node.op_type.replace(op, "Softmax") for node in net.graph] == expected
    assert [node.name for node in net.graph].count("soft") == 1
