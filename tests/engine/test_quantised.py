"""Nets that onnxruntime has quantised: outputs, exact gradients, and those of the estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import portgrad
from portgrad.errors import InvalidRequest
from support import quantised_nets as nets
from support.quantised_nets import convolutional, mlp

STRAIGHT: dict[str, Any] = {"quantized": "straight_through"}
FILES: dict[str, tuple[Callable[[], onnx.ModelProto], Callable[[], bytes]]] = {
    "mlp-qdq": (mlp, lambda: nets.static(mlp, True)),
    "mlp-qdq-channels": (mlp, lambda: nets.static(mlp, True, True, True)),
    "mlp-qoperator": (mlp, lambda: nets.static(mlp, False)),
    "mlp-dynamic": (mlp, lambda: nets.dynamic(mlp)),
    "conv-qdq": (convolutional, lambda: nets.static(convolutional, True)),
    "conv-qdq-channels": (convolutional, lambda: nets.static(convolutional, True, True, True)),
    "conv-qoperator": (convolutional, lambda: nets.static(convolutional, False)),
    "conv-dynamic": (convolutional, lambda: nets.dynamic(convolutional)),
}


@pytest.mark.parametrize(("make", "quantised"), FILES.values(), ids=FILES)
def test_outputs_are_those_of_the_file_in_every_call(make: Any, quantised: Any) -> None:
    net, x = portgrad.load(quantised()), nets.data(make())
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    [plain] = ort.InferenceSession(quantised(), options).run(None, {"x": x})
    evaluated = net.evaluate(x)["y"]
    # Optimised products add up in another order; a rounding step is about 0.05.
    np.testing.assert_allclose(evaluated, plain, atol=1e-4)
    for given in ({}, {"quantized": "exact"}, STRAIGHT, {"wrt": "all", **STRAIGHT}):
        found = net.gradient(x, outputs=True, **given)
        np.testing.assert_array_equal(found.outputs["y"], evaluated)


@pytest.mark.parametrize(("make", "quantised"), FILES.values(), ids=FILES)
def test_exact_zeros_are_told_at_once_and_in_the_description(make: Any, quantised: Any) -> None:
    net, x = portgrad.load(quantised()), nets.data(make())
    [sentence] = net.description.warnings
    kind = "DynamicQuantizeLinear" if b"DynamicQuantizeLinear" in quantised() else "QuantizeLinear"
    assert sentence.startswith(f"{kind} node 'x_QuantizeLinear'")
    assert "straight_through" in sentence
    exact = net.gradient(x)
    assert exact.warnings == (sentence,)
    if kind == "QuantizeLinear":
        np.testing.assert_array_equal(exact["x"], np.zeros_like(x))
    assert net.gradient(x, **STRAIGHT).warnings == ()


@pytest.mark.parametrize("name", [name for name in FILES if "qdq" in name])
def test_the_estimate_is_the_gradient_of_masked_numbers(name: str) -> None:
    make, quantised = FILES[name]
    model, x = onnx.load_from_string(quantised()), nets.data(make())
    masked = portgrad.load(_masked(model, x).SerializeToString())
    net = portgrad.load(quantised())
    seed = np.random.default_rng(2).standard_normal(net.evaluate(x)["y"].shape).astype(np.float32)
    found = net.gradient(x, output_gradients={"y": seed}, **STRAIGHT)["x"]
    want = masked.gradient(x, output_gradients={"y": seed})["x"]
    assert 0 < np.count_nonzero(found) < found.size  # some numbers are clamped
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def _masked(model: onnx.ModelProto, x: np.ndarray) -> onnx.ModelProto:
    """The net with `mask · v + rest` in place of each quantisation of a value v.

    The mask is 1 where the code of v is not clamped, and the rest what makes the sum right.
    """
    made = {node.output[0]: node for node in model.graph.node}
    held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in made]
    values = _values(model, x, [made[n.input[0]].input[0] for n in pairs if n.input[0] in made])
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for node in [n for n in twin.graph.node if n.output[0] in {p.output[0] for p in pairs}]:
        quantiser = made[node.input[0]]
        if quantiser.op_type != "QuantizeLinear":
            continue  # codes that were moved: dequantised as they are
        v = values[quantiser.input[0]]
        scale, zero = (held[name] for name in quantiser.input[1:3])
        code = np.round(v / scale) + zero.astype(np.float32)
        limits = np.iinfo(zero.dtype)
        mask = ((code >= limits.min) & (code <= limits.max)).astype(np.float32)
        steps = np.clip(code, limits.min, limits.max) - zero.astype(np.float32)
        name = node.output[0]
        twin.graph.initializer.append(numpy_helper.from_array(mask, f"{name}/mask"))
        twin.graph.initializer.append(
            numpy_helper.from_array(steps * scale - mask * v, f"{name}/rest")
        )
        node.CopyFrom(helper.make_node("Add", [f"{name}/product", f"{name}/rest"], [name]))
        place = list(twin.graph.node).index(node)
        product = helper.make_node("Mul", [quantiser.input[0], f"{name}/mask"], [f"{name}/product"])
        twin.graph.node.insert(place, product)
    return twin


def _values(model: onnx.ModelProto, x: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Inner values of a net at x."""
    net = portgrad.load(model.SerializeToString())
    inner = list(dict.fromkeys(name for name in names if name != "x"))
    return {"x": x, **net.evaluate(x, outputs=inner)} if inner else {"x": x}


def test_both_forms_of_a_file_have_the_same_estimate() -> None:
    """A QLinearConv reads its bias in steps of x_scale · w_scale; a pair has a scale for it."""
    x, files = (
        nets.data(convolutional()),
        [nets.static(convolutional, qdq) for qdq in (True, False)],
    )
    bias = "b1_quantized_scale"
    pairs = portgrad.load(files[0]).gradient(x, wrt=["x", "x_scale", bias], **STRAIGHT)
    operators = portgrad.load(files[1]).gradient(x, wrt=["x", "x_scale"], **STRAIGHT)
    np.testing.assert_allclose(operators["x"], pairs["x"], rtol=1e-4, atol=1e-5)
    held = onnx.load_from_string(files[0]).graph.initializer
    [weight_scale] = (numpy_helper.to_array(t) for t in held if t.name == "w1_scale")
    through_bias = (pairs[bias] * weight_scale).sum()
    np.testing.assert_allclose(operators["x_scale"], pairs["x_scale"] + through_bias, rtol=1e-4)


@pytest.mark.parametrize("make", [mlp, convolutional])
def test_a_dynamic_net_has_nearly_the_gradient_of_the_net_that_it_was(make: Any) -> None:
    x = nets.data(make())
    want = portgrad.load(make().SerializeToString()).gradient(x)["x"]
    found = portgrad.load(nets.dynamic(make)).gradient(x, **STRAIGHT)["x"]
    # Codes of 8 bits round weights and numbers to 1/255 of their range.
    np.testing.assert_allclose(found, want, atol=0.03 * np.abs(want).max())


@pytest.mark.parametrize("opset", [10, 13])
@pytest.mark.parametrize("qdq", [False, True])
@pytest.mark.parametrize("make", [mlp, convolutional])
def test_files_of_older_opsets_have_the_same_estimate(make: Any, qdq: bool, opset: int) -> None:
    x = nets.data(make())
    want, found = (
        portgrad.load(nets.static(make, qdq, opset=version)).gradient(x, **STRAIGHT)["x"]
        for version in (21, opset)
    )
    np.testing.assert_array_equal(found, want)


def test_scales_have_gradients_and_codes_have_none() -> None:
    net = portgrad.load(nets.static(mlp, True))
    found = net.gradient(nets.data(mlp()), wrt="parameters", **STRAIGHT)
    assert "w1_scale" in found
    assert not any("quantized" in name or "zero_point" in name for name in found)
    with pytest.raises(InvalidRequest) as caught:
        net.gradient(nets.data(mlp()), wrt="w1_quantized", **STRAIGHT)
    assert caught.value.code == "no_gradient"
